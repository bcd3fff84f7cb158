/* SPDX-License-Identifier: MIT */
/* frame.c - save what a trampoline would change, where the target cannot see.
 *
 *   rsp at the site ->  +---------------------------+
 *                       | red zone, 128 bytes       |  may be in use
 *   frame.stack     ->  +---------------------------+
 *                       | stack of the BPF programs |
 *                       | lahf/seto                 |  flags live at the site
 *                       | rflags, return address    |  a program reads them
 *                       | registers                 |  clobbered, and live or
 *   rsp             ->  +---------------------------+  read by a program
 *
 * Where a program needs its ctx in memory, a whole struct hit (abi.h) takes the
 * place of the last two.  The stack pointer moves by lea, which leaves the
 * flags alone, before anything is written: a signal may come at any moment.
 *
 * In Go code, which has no red zone but may have no stack either, the frame is
 * on a stack of its own (switch.c), from frame.stack down.
 *
 * Flags come back by  add $127, %al  (OF, from seto's 0 or 1) and sahf (the
 * others); popf would take fifteen times as long.
 */
#include <stddef.h>
#include <string.h>

#include "rewriter/code/x86.h"
#include "rewriter/patch/frame.h"

enum { RED_ZONE = 128, WORD = 8 };

// clang-format off
static const int16_t hit_slot[NREG] = {
	[RAX] = offsetof(struct hit, ax),  [RCX] = offsetof(struct hit, cx),
	[RDX] = offsetof(struct hit, dx),  [RBX] = offsetof(struct hit, bx),
	[RSP] = -1,                        [RBP] = offsetof(struct hit, bp),
	[RSI] = offsetof(struct hit, si),  [RDI] = offsetof(struct hit, di),
	[R8]  = offsetof(struct hit, r8),  [R9]  = offsetof(struct hit, r9),
	[R10] = offsetof(struct hit, r10), [R11] = offsetof(struct hit, r11),
	[R12] = offsetof(struct hit, r12), [R13] = offsetof(struct hit, r13),
	[R14] = offsetof(struct hit, r14), [R15] = offsetof(struct hit, r15),
};
// clang-format on

static int32_t slots_of_hit(struct keep *k)
{
	k->saved = ALL_REGS & ~REG_BIT(RSP);
	for (int r = 0; r < NREG; r++)
		k->f.slot[r] = hit_slot[r];
	k->f.flags = offsetof(struct hit, flags);
	k->f.hit = 0;
	if (k->origin)
		k->f.ip = offsetof(struct hit, ip);
	return HIT_SIZE;
}

static int32_t slots_of_saved(struct keep *k, const struct needs *n)
{
	int32_t at = 0;

	for (int r = 0; r < NREG; r++) {
		k->f.slot[r] = -1;
		if (!(k->saved & REG_BIT(r)))
			continue;
		k->f.slot[r] = at;
		at += WORD;
	}
	k->f.hit = -1;
	k->f.flags = -1;
	if (n->reads_flags) {
		k->f.flags = at;
		at += WORD;
	}
	if (k->origin) {
		k->f.ip = at;
		at += WORD;
	}
	return at;
}

/* Behind the ret, ip is the return address and sp is above it.  Without pads
 * the return address can be read where it is. */
static void ctx_of_return(struct keep *k, const struct needs *n)
{
	k->f.sp = k->f.below + n->pops;
	if (!k->hit && !k->origin)
		k->f.ip = (int32_t)k->f.below;
}

void frame_lay_out(struct keep *k, const struct needs *n, uint32_t entered,
		   bool pads)
{
	uint32_t clobbers = n->clobbers & ~REG_BIT(RSP);
	bool wants_ip = n->returns && (n->hit || n->reads_ip);
	int32_t at;

	*k = (struct keep){ .hit = n->hit, .arith = -1, .f.ip = -1,
			    .origin = wants_ip && (n->hit || pads || n->go) };
	if (n->live_flags || n->hit)
		clobbers |= REG_BIT(RAX);
	if (k->origin)
		clobbers |= REG_BIT(RAX) | REG_BIT(RDI);
	k->restored = clobbers & n->live;
	k->saved = clobbers & (n->live | n->reads);
	at = n->hit ? slots_of_hit(k) : slots_of_saved(k, n);
	if (n->live_flags) {
		k->arith = at;
		at += WORD;
	}
	at += (int32_t)align_up(n->stack, WORD);
	k->f.stack = at;
	if (at || n->calls)
		k->size = (uint32_t)at + (n->go	       ? WORD
					  : n->stepped ? 0
						       : RED_ZONE);
	k->f.below = k->size + entered;
	if (n->go && k->size) {
		k->f.below = entered;
		switch_lay_out(k, n);
	}
	k->f.sp = k->f.below;
	if (n->returns)
		ctx_of_return(k, n);
}

static struct mem slot(int32_t at)
{
	return (struct mem){ .base = RSP, .disp = at };
}

static void rsp_lower(struct code *c, int32_t by, struct depths *d)
{
	struct mem m = slot(-by);

	x86_lea(c, RSP, &m);
	depth_change(d, c, by);
}

static void rflags_save(struct code *c, int32_t at, struct depths *d)
{
	struct mem m = slot(at);

	code_u8(c, 0x9c); /* pushfq */
	depth_change(d, c, WORD);
	x86_rm(c, 4, 0x8f, 0, &m, 0); /* popq: rsp counts as popped already */
	depth_change(d, c, -WORD);
}

static void arith_save(struct code *c, int32_t at)
{
	static const uint8_t seto_al[] = { 0x0f, 0x90, 0xc0 };
	struct mem m = slot(at);

	code_u8(c, 0x9f); /* lahf */
	code_bytes(c, seto_al, sizeof(seto_al));
	x86_store(c, 4, &m, RAX);
}

static void arith_restore(struct code *c, int32_t at)
{
	static const uint8_t add_al_sahf[] = { 0x04, 0x7f, 0x9e };
	struct mem m = slot(at);

	x86_load(c, 4, false, RAX, &m);
	code_bytes(c, add_al_sahf, sizeof(add_al_sahf));
}

/* The words of struct hit that are no register of the target. */
static void hit_fill(struct code *c, const struct keep *k)
{
	struct mem to = slot(offsetof(struct hit, sp));

	frame_sp(c, RAX, &k->f);
	x86_store(c, 8, &to, RAX);
	to = slot(offsetof(struct hit, orig_ax));
	x86_store_imm(c, 8, &to, -1);
	to = slot(offsetof(struct hit, cs));
	x86_store_imm(c, 8, &to, USER_CS);
	to = slot(offsetof(struct hit, ss));
	x86_store_imm(c, 8, &to, USER_SS);
}

static void hit_word(struct code *c, int32_t at, uint64_t value)
{
	struct mem m = slot(at);

	if (fits32((int64_t)value)) {
		x86_store_imm(c, 8, &m, (int32_t)value);
		return;
	}
	x86_set(c, RAX, (int64_t)value);
	x86_store(c, 8, &m, RAX);
}

void frame_hit_for(struct code *c, const struct keep *k)
{
	struct mem ip = { .base = MEM_RX, .to = k->f.site };
	struct mem func_ip = { .base = MEM_RX, .to = k->f.func_ip };
	struct mem to = slot(offsetof(struct hit, ip));

	if (k->f.ip < 0) {
		x86_lea(c, RAX, &ip);
		x86_store(c, 8, &to, RAX);
	}
	if (k->f.ip >= 0 || k->f.func_ip != k->f.site)
		x86_lea(c, RAX, &func_ip);
	to = slot(offsetof(struct hit, func_ip));
	x86_store(c, 8, &to, RAX);
	hit_word(c, offsetof(struct hit, cookie), k->f.cookie);
	hit_word(c, offsetof(struct hit, push_rbp), k->f.push_rbp);
}

void frame_hit_at(struct code *c, const struct keep *k, int site)
{
	struct mem to = slot(offsetof(struct hit, ip));

	if (k->f.ip < 0)
		x86_store(c, 8, &to, site);
	to = slot(offsetof(struct hit, func_ip));
	x86_store(c, 8, &to, site);
	hit_word(c, offsetof(struct hit, cookie), k->f.cookie);
	hit_word(c, offsetof(struct hit, push_rbp), k->f.push_rbp);
}

uint32_t frame_needs(struct arena *a, const struct image *img, uint64_t at)
{
	const struct fde *fde = image_fde(img, at);
	uint32_t needs = fde ? unwind_needs(a, fde, at) : 0, regs = 0;

	for (int r = 0; r < NREG; r++)
		if (needs >> x86_dwarf(r) & 1)
			regs |= REG_BIT(r);
	return regs;
}

/* What the programs may overwrite is on the stack, say the frame tables. */
static void note_kept(struct code *c, const struct keep *k, struct depths *d)
{
	struct kept *v = arena_alloc(d->a, NREG * sizeof(*v));
	size_t n = 0;

	for (int r = 0; r < NREG; r++)
		if (k->restored & REG_BIT(r))
			v[n++] = (struct kept){ x86_dwarf(r),
						 k->f.slot[r] };
	d->now.kept = n ? v : NULL;
	d->now.nkept = n;
	depth_note(d, c);
}

/* Where the function will return to at last. */
static void origin_find(struct code *c, const struct keep *k, uint64_t origin)
{
	struct mem ret = slot((int32_t)k->f.below), ip = slot(k->f.ip);
	struct mem other = slot(k->f.other);

	if (k->claim) {
		x86_load(c, 8, false, RAX, &other);
		ret.base = RAX;
	}
	x86_load(c, 8, false, origin ? RDI : RAX, &ret);
	if (origin)
		code_call(c, origin);
	x86_store(c, 8, &ip, RAX);
}

void frame_enter(struct code *c, struct keep *k, uint64_t origin,
		 struct depths *d)
{
	if (!k->size)
		return;
	if (k->claim)
		switch_enter(c, k, d);
	else
		rsp_lower(c, (int32_t)k->size, d);
	if (k->f.flags >= 0 && !k->claim)
		rflags_save(c, k->f.flags, d);
	for (int r = 0; r < NREG; r++) {
		struct mem m = slot(k->f.slot[r]);

		if (k->saved & REG_BIT(r))
			x86_store(c, 8, &m, r);
	}
	note_kept(c, k, d);
	if (k->arith >= 0 && !k->claim)
		arith_save(c, k->arith);
	if (k->hit)
		hit_fill(c, k);
	if (k->origin)
		origin_find(c, k, origin);
}

void frame_leave(struct code *c, const struct keep *k, struct depths *d)
{
	if (!k->size)
		return;
	if (k->arith >= 0)
		arith_restore(c, k->arith);
	for (int r = 0; r < NREG; r++) {
		struct mem m = slot(k->f.slot[r]);

		if (k->restored & REG_BIT(r))
			x86_load(c, 8, false, r, &m);
	}
	d->now.kept = NULL;
	d->now.nkept = 0;
	if (k->claim)
		switch_leave(c, k, d);
	else
		rsp_lower(c, -(int32_t)k->size, d);
}
