/* SPDX-License-Identifier: MIT */
/* session.c - programs that run on entry and on return.
 *
 * In the kernel one program does both and asks two kernel functions which it
 * is, and for eight bytes that its entry may leave to its return.  Here it is
 * loaded twice, once for each, so that the first answer is a constant:
 *
 *     call bpf_session_is_return    ->   r0 = 0 (or 1)
 *     call bpf_session_cookie       ->   r0 = *(u64 *)(r10 - K)
 *     in front of the program            r0 = *(u64 *)(r1 + HIT_SESSION)
 *                                        *(u64 *)(r10 - K) = r0
 *
 * K is below the program's own stack.  Only the program itself may ask for the
 * cookie: a subprogram has a stack of its own.
 */
#include <string.h>

#include "rewriter/bpf/object.h"
#include "runtime-stub/abi.h"
#include "runtime-stub/guard.h"

enum { PREFIX = 2, STACK_MAX = 512 };
bool is_session(const char *sec)
{
	static const char type[] = "uprobe.session";
	size_t n = sizeof(type) - 1;

	return !strncmp(sec, type, n) &&
	       (!sec[n] || sec[n] == '/' || !strcmp(sec + n, ".s") ||
		!strncmp(sec + n, ".s/", 3));
}

bool session_call(const struct bpf_prog *p, struct bpf_insn *insn,
		  const char *name)
{
	if (!p->session)
		return false;
	if (!strcmp(name, "bpf_session_is_return"))
		*insn = (struct bpf_insn){ .code = BPF_ALU64 | BPF_MOV,
					   .imm = p->session ==
						  SESSION_RETURN };
	else if (!strcmp(name, "bpf_session_cookie"))
		*insn = (struct bpf_insn){ .code = BPF_JMP | BPF_CALL,
					   .imm = COOKIE_CALL };
	else
		return false;
	return true;
}

static bool is_lddw(const struct bpf_insn *i)
{
	return i->code == (BPF_LD | BPF_IMM | BPF_DW);
}

/* Room for the prefix: everything that counts from the start moves. */
static void prefix_insert(struct arena *a, struct bpf_prog *p, int16_t slot)
{
	struct bpf_insn *v = arena_alloc(a, (p->ninsn + PREFIX) * sizeof(*v));
	uint32_t i;

	v[0] = (struct bpf_insn){ .code = BPF_LDX | BPF_MEM | BPF_DW,
				  .dst_reg = 0, .src_reg = 1,
				  .off = HIT_SESSION };
	v[1] = (struct bpf_insn){ .code = BPF_STX | BPF_MEM | BPF_DW,
				  .dst_reg = 10, .src_reg = 0, .off = slot };
	memcpy(v + PREFIX, p->insn, p->ninsn * sizeof(*v));
	p->insn = v;
	p->ninsn += PREFIX;
	p->cookie = true;
	for (i = PREFIX; i < p->ninsn; i++) {
		if (is_lddw(&v[i]) && v[i].src_reg == BPF_PSEUDO_FUNC)
			v[i].imm += PREFIX;
		i += is_lddw(&v[i]);
	}
	for (i = 1; i < p->nsub; i++)
		p->sub[i] += PREFIX;
	for (i = 0; i < p->nline; i++)
		p->line[i].insn += PREFIX;
}

/* Replace the calls; how many there are, and the last one's place. */
static uint32_t cookies_load(struct bpf_prog *p, int16_t slot, uint32_t *last)
{
	uint32_t n = 0, i;

	for (i = 0; i < p->ninsn; i++) {
		struct bpf_insn *insn = &p->insn[i];

		if (insn->code == (BPF_JMP | BPF_CALL) && !insn->src_reg &&
		    insn->imm == COOKIE_CALL) {
			n++;
			*last = i;
			*insn = (struct bpf_insn){
				.code = BPF_LDX | BPF_MEM | BPF_DW,
				.src_reg = 10, .off = slot,
			};
		}
		i += is_lddw(insn);
	}
	return n;
}

bool session_loads(const struct bpf_prog *p, uint32_t i)
{
	while (p->cookie && i && is_guard(&p->insn[i - 1]))
		i--;
	return p->cookie && !i;
}

int session_finish(struct arena *a, struct bpf_prog *p, const char *file,
		   struct err *e)
{
	struct bpf_prog bare = *p;
	uint32_t last = 0;
	int stack;

	if (!p->session)
		return 0;
	/* The calls do not count for the stack that the rest needs. */
	bare.insn = arena_dup(a, p->insn, p->ninsn * sizeof(*p->insn));
	if (!cookies_load(&bare, -8, &last))
		return 0;
	if (p->nsub > 1 && last >= p->sub[1])
		return refuse(e, file, NOWHERE,
			      "%s: bpf_session_cookie is supported in the "
			      "program itself only",
			      bpf_where(a, p, last));
	stack = (int)check_stack(&bare) + 8;
	if (stack > STACK_MAX)
		return refuse(e, file, NOWHERE,
			      "program '%s': no room for the session's cookie "
			      "on its stack of %d bytes",
			      p->name, stack - 8);
	cookies_load(p, (int16_t)-stack, &last);
	prefix_insert(a, p, (int16_t)-stack);
	return 0;
}
