/* SPDX-License-Identifier: MIT */
/* switch.c - from the target's stack to one for programs, and back, without
 * touching a byte of the target's.
 *
 * The stub has such stacks (stack.S) and gives one to who jumps there with a
 * way back in r13.  That takes two registers before any can be saved, so they
 * must be dead at the site, and a third for the flags.  Compiled Go has r12,
 * r13 and r15 for that at its entries and returns (live.c); elsewhere others
 * may do.
 *
 *         mov  %rax, %r15              flags are wanted, rax is not dead
 *         lahf; seto %al
 *         xchg %r12, A; xchg %r13, B   where others are dead
 *         lea  back(%rip), %r13
 *         jmp  weld_stack_claim
 *         jmp  miss
 *   back: mov  %rsp, 8(%r12)
 *         lea  -SIZE(%r12), %rsp
 *         xchg %r12, A; xchg %r13, B
 *         mov  %eax, flags(%rsp)
 *         mov  %r15, %rax
 *         ...                          SIZE bytes of frame, then
 *         lea  SIZE(%rsp), A           struct probe_stack
 *         mov  8(A), %rsp
 *         movl $0, (A)
 *
 * A program that reads these registers through ctx, where the target does not,
 * finds something else in them than the kernel would show.
 *
 * While it is on the other stack, unwinders find the frame by the rsp that is
 * stored there.
 */
#include <stddef.h>
#include <string.h>

#include "rewriter/code/x86.h"
#include "rewriter/patch/frame.h"

/* In this order. */
static const int8_t spares[] = { R12, R13, R15, R11, R10, R9, R8,
				 RDI, RSI, RDX, RCX, RBX, RBP };
enum { A, B, C, NSPARE };

static int8_t take(uint32_t *dead)
{
	for (size_t i = 0; i < sizeof(spares); i++)
		if (*dead & REG_BIT(spares[i])) {
			*dead &= ~REG_BIT(spares[i]);
			return spares[i];
		}
	return -1;
}

/* r12 and r13 are best left where they are. */
static void choose(uint32_t dead, int8_t spare[NSPARE])
{
	uint32_t rest = dead & ~(REG_BIT(R12) | REG_BIT(R13));

	spare[A] = dead & REG_BIT(R12) ? R12 : take(&rest);
	spare[B] = dead & REG_BIT(R13) ? R13 : take(&rest);
	spare[C] = take(&rest);
}

bool switch_can(uint32_t dead)
{
	int8_t spare[NSPARE];

	choose(dead, spare);
	return spare[A] >= 0 && spare[B] >= 0 &&
	       (dead & REG_BIT(RAX) || spare[C] >= 0);
}

void switch_lay_out(struct keep *k, const struct needs *n)
{
	choose(n->dead, k->spare);
	k->claim = n->claim;
	k->f.other = (int32_t)(k->size + offsetof(struct probe_stack, rsp));
	k->flags_first = n->live_flags || k->f.flags >= 0;
	k->rax_first = k->flags_first && !(n->dead & REG_BIT(RAX));
}

static void xchg(struct code *c, int x, int y)
{
	if (x != y)
		x86_rr(c, 8, 0x87, x, y);
}

static void exchange(struct code *c, const struct keep *k)
{
	xchg(c, R12, k->spare[A]);
	xchg(c, R13, k->spare[B]);
}

static void flags_to_rax(struct code *c, const struct keep *k)
{
	static const uint8_t lahf_seto[] = { 0x9f, 0x0f, 0x90, 0xc0 };

	if (!k->flags_first)
		return;
	if (k->rax_first)
		x86_mov(c, 8, k->spare[C], RAX);
	code_bytes(c, lahf_seto, sizeof(lahf_seto));
}

static void rax_back(struct code *c, const struct keep *k)
{
	if (k->rax_first)
		x86_mov(c, 8, RAX, k->spare[C]);
}

static void flags_from_rax(struct code *c)
{
	static const uint8_t add_al_sahf[] = { 0x04, 0x7f, 0x9e };

	code_bytes(c, add_al_sahf, sizeof(add_al_sahf));
}

/* r13 = the address `over` bytes behind this instruction. */
static void way_back(struct code *c, unsigned over)
{
	struct mem back = { .base = MEM_RX, .to = code_here(c) + 7 + over };

	x86_lea(c, R13, &back);
}

static struct mem at(int base, int32_t disp)
{
	return (struct mem){ .base = base, .disp = disp };
}

/* On the new stack: what rax holds, to where it is wanted. */
static void flags_store(struct code *c, const struct keep *k, struct depths *d)
{
	struct mem arith = at(RSP, k->arith), flags = at(RSP, k->f.flags);

	if (k->arith >= 0)
		x86_store(c, 4, &arith, RAX);
	if (k->f.flags >= 0) {
		flags_from_rax(c);
		code_u8(c, 0x9c); /* pushfq */
		d->now.sp += 8;
		depth_note(d, c);
		x86_rm(c, 4, 0x8f, 0, &flags, 0); /* popq */
		d->now.sp -= 8;
		depth_note(d, c);
	}
	rax_back(c, k);
}

static void claim(struct code *c, struct keep *k)
{
	way_back(c, 5 + 5);
	code_jmp(c, k->claim);
	code_jmp(c, code_here(c));
	k->miss = c->n - 4;
}

void switch_enter(struct code *c, struct keep *k, struct depths *d)
{
	struct mem rsp = at(R12, offsetof(struct probe_stack, rsp));
	struct mem frame = at(R12, -(int32_t)k->size);

	flags_to_rax(c, k);
	exchange(c, k);
	claim(c, k);
	x86_store(c, 8, &rsp, RSP);
	x86_lea(c, RSP, &frame);
	d->now.sp = k->f.other;
	depth_note(d, c);
	exchange(c, k);
	if (k->flags_first)
		flags_store(c, k, d);
}

void switch_leave(struct code *c, const struct keep *k, struct depths *d)
{
	struct mem stack = at(RSP, (int32_t)k->size);
	struct mem rsp = at(k->spare[A], offsetof(struct probe_stack, rsp));
	struct mem taken = at(k->spare[A], offsetof(struct probe_stack, taken));

	x86_lea(c, k->spare[A], &stack);
	x86_load(c, 8, false, RSP, &rsp);
	d->now.sp = 0;
	depth_note(d, c);
	x86_store_imm(c, 4, &taken, 0);
}

void switch_miss(struct code *c, const struct keep *k)
{
	code_land(c, k->miss);
	exchange(c, k);
}

void switch_missed(struct code *c, const struct keep *k)
{
	if (!k->flags_first)
		return;
	if (k->arith >= 0)
		flags_from_rax(c);
	rax_back(c, k);
}

void switch_arm(struct code *c, uint32_t dead, uint64_t arm)
{
	int8_t spare[NSPARE];

	choose(dead, spare);
	xchg(c, R13, spare[B]);
	way_back(c, 5);
	code_jmp(c, arm);
	xchg(c, R13, spare[B]);
}
