/* SPDX-License-Identifier: MIT */
/* helper.c - which helpers a program may call, and why not the others:
 * runtime-stub/helpers.def, refused.def, and what the kernel has for programs
 * of other types, as it says itself.
 */
#include <string.h>

#include "rewriter/bpf/object.h"

static const char *const kernel_names[] = {
#define NAME(x) [BPF_FUNC_##x] = "bpf_" #x
	__BPF_FUNC_MAPPER(NAME)
#undef NAME
};

/* A helper that is in both tables is a warning here, that is, an error. */
static const struct {
	bool offered;
	const char *name, *why; /* of those that are refused */
} known[] = {
#define HELPER(id, ...) [id] = { .offered = true },
#include "runtime-stub/helpers.def"
#define REFUSED(id, name, why) [id] = { false, "bpf_" #name, why },
#include "rewriter/bpf/refused.def"
};

#define COUNT(v) (sizeof(v) / sizeof((v)[0]))

const char *kernel_helper(uint32_t id)
{
	/* The installed <linux/bpf.h> may be older than our table. */
	if (id < COUNT(known) && known[id].name)
		return known[id].name;
	return id && id < COUNT(kernel_names) ? kernel_names[id] : NULL;
}

uint32_t helper_id(const char *enumerator)
{
	static const char prefix[] = "BPF_FUNC_";
	const char *name;

	if (strncmp(enumerator, prefix, strlen(prefix)))
		return 0;
	for (uint32_t id = 1; (name = kernel_helper(id)); id++)
		if (!strcmp(name + strlen("bpf_"),
			    enumerator + strlen(prefix)))
			return id;
	return 0;
}

bool helper_offered(uint32_t id)
{
	return id < COUNT(known) && known[id].offered;
}

bool prog_sleeps(const struct bpf_prog *p)
{
	size_t n = p->section ? strcspn(p->section, "/") : 0;

	return n > 2 && !memcmp(p->section + n - 2, ".s", 2);
}

const char *helper_refusal(const struct bpf_prog *p, uint32_t id)
{
	if (id < COUNT(known) && known[id].why)
		return known[id].why;
	if (id >= COUNT(known) || !known[id].offered)
		return "not for tracing programs";
	if (id == BPF_FUNC_copy_from_user && !prog_sleeps(p))
		return "it may sleep, this program may not: SEC(\"uprobe.s\") "
		       "and the like may";
	return NULL;
}
