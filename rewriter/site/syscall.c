/* SPDX-License-Identifier: MIT */
/* syscall.c - system call instructions, and which calls they make.
 *
 * The number is what the instructions in front say, in order: most functions of
 * a C library have it as a constant right there.  It is not known where it was
 * an argument (syscall()), or where control comes together in between.
 */
#include "rewriter/site/site.h"

/* What eax holds behind an instruction: a constant, or -1. */
static int64_t eax_after(const uint8_t *p, const struct insn *in, int64_t eax)
{
	struct effects e;

	if (in->len == 5 && p[0] == 0xb8) /* mov $imm32, %eax */
		return (uint32_t)insn_imm(p + 1, 4);
	if (in->len == 2 && (p[0] == 0x31 || p[0] == 0x33) && p[1] == 0xc0)
		return 0; /* xor %eax, %eax */
	if (in->flow != FLOW_NEXT && in->flow != FLOW_JCC)
		return -1;
	if (!insn_effects(p, in->len, &e) || e.writes & REG_BIT(RAX))
		return -1;
	return eax;
}

static bool is_syscall(const uint8_t *p, const struct insn *in)
{
	return in->len == 2 && p[0] == 0x0f && p[1] == 0x05;
}

struct syscall_site *syscalls_of(struct arena *a, const struct sites *s,
				 const struct func *f, size_t *n)
{
	uint64_t at = f->addr;
	uint64_t end = f->size ? at + f->size : func_limit(s, f);
	struct syscall_site *v = NULL;
	int64_t eax = -1;
	uint64_t where, before, after;
	struct insn in;

	for (*n = 0; at < end; at += in.len) {
		const uint8_t *p = image_at(s->img, at, end - at);

		if (!p || !insn_decode(p, end - at, at, &in))
			break;
		if (target_in(s, at - 1, at + 1, &where) != TARGET_NONE)
			eax = -1;
		if (is_syscall(p, &in) && func_around(s, at) == f &&
		    code_boundary(s, at, &before, &after) == 1) {
			v = arena_push(a, v, *n, sizeof(*v));
			v[(*n)++] = (struct syscall_site){ at, f, eax };
		}
		eax = eax_after(p, &in, eax);
	}
	return v;
}
