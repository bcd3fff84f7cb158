/* SPDX-License-Identifier: MIT */
/* libs.c - are the libraries of this process those that the welder has seen?
 *
 * What it has proved (rewriter/fault.c) it has proved of files.  Another
 * version of one may be found at run time, by LD_LIBRARY_PATH or after an
 * upgrade, or one more: preloaded, or of an auditor.  Where ld.so has started
 * the program, all of them are mapped before its own code runs.
 *
 * So what has code must add up: the sum of the digests of the build ids of all
 * files but our own is weld_info.libs.  Code in a file that has no id, or does
 * not show its header, is another.  What is no file, as the vDSO, somebody has
 * made who counts.
 *
 * Seen by nobody are modules that the C library loads for the character set of
 * a locale.  They are its own where GCONV_PATH does not say otherwise.
 */
#include "runtime-stub/fault.h"
#include "runtime-stub/mappings.h"

struct sum {
	struct mapping own; /* one with our code, once it was seen */
	struct mapped_file file;
	uint64_t sum;
	uint32_t others;    /* that have no digest */
};

static bool same_file(const struct mapping *m, uint64_t device, uint64_t inode)
{
	return m->inode == inode && m->device == device;
}

static bool has_us(const struct mapping *m)
{
	return (uint64_t)&weld_info - m->start < m->end - m->start;
}

/* Has a piece of it counted?  Then the header was looked at. */
static bool counted(const struct sum *s, const struct mapping *m)
{
	return s->file.asked && same_file(m, s->file.device, s->file.inode);
}

/* Ours may be behind other code of our own file, which was there before. */
static void own_found(struct sum *s, const struct mapping *m)
{
	s->own = *m;
	if (!counted(s, m))
		return;
	if (s->file.has_id)
		s->sum -= file_digest(s->file.id);
	else
		s->others--;
}

static bool add(void *arg, const struct mapping *m)
{
	struct sum *s = arg;

	if (!m->inode || same_file(m, s->own.device, s->own.inode))
		return true;
	if (has_us(m)) {
		own_found(s, m);
		return true;
	}
	if (counted(s, m))
		return true;
	mapped_follow(&s->file, m);
	if (m->exec && mapped_id(&s->file, m))
		s->sum += file_digest(s->file.id);
	else if (m->exec)
		s->others++;
	return true;
}

/* (A page at a time, which takes a tenth of the calls: a program begins once, in
 * one thread.) */
bool libs_are_seen(void)
{
	static char lines[4096];
	struct sum s;

	mem_zero(&s, sizeof(s));
	return mappings_read(lines, sizeof(lines), add, &s) && s.own.inode &&
	       !s.others && s.sum == weld_info.libs;
}
