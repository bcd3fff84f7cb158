/* SPDX-License-Identifier: MIT */
/* late.c - returns that are seen at the return address, not at a ret.
 *
 * A function that ends in a jump to another one returns when that one does.
 * Before such a jump the return address on the stack is exchanged for a pad's
 * (and on entry, where a function's rets do not tell enough):
 *
 *   f:  ...                          pad k:  push  ret_k          16 bytes,
 *       call weld_exchange                   push  $k             one after
 *       jmp  g  -->  g: ... ret  -->         jmp   weld_pad       the other
 *                                              |
 *              jmp *-8(%rsp)  <--  programs  <-+
 *
 * A pad stands for one pair of return address and function, is made when that
 * pair is first seen, and never changes.  So nothing is to be undone when a
 * frame is left by longjmp or an exception, when a stack is switched, copied or
 * ends with its thread, or when fork copies it; any number of frames may be
 * pending at the same pad.  Where g leaves by a jump, too, its pad's return
 * address is f's pad.  (The stub's returns.c has the table.)
 *
 * An unwinder finds the return address of a pad in the table entry that the
 * pad's own first instruction refers to.
 */
#include <stddef.h>
#include <string.h>

#include "elf/cfa.h"
#include "rewriter/patch/tramp.h"

enum { PAD_SIZE = 16, PADS_MIN = 256, PADS_MAX = 8192 };

uint32_t pads_count(const struct plan *p)
{
	uint32_t n = PADS_MIN;

	if (!p->nlate)
		return 0;
	while (n < 2 * p->nlate + PADS_MIN && n < PADS_MAX)
		n *= 2;
	return n;
}

/* returns.c: entries, an index of twice as many words, a count. */
uint64_t pads_room(const struct plan *p)
{
	uint32_t n = pads_count(p);

	return n ? n * sizeof(struct weld_pad) + 2 * n * sizeof(uint32_t) + 64
		 : 0;
}

static uint64_t row_of(const struct tramp *t, uint32_t late)
{
	return t->rows + late * sizeof(struct weld_late);
}

static uint32_t from_info(const struct tramp *t, uint64_t vaddr)
{
	return (uint32_t)(vaddr - t->env->code.info_vaddr);
}

static void *at_vaddr(const struct tramp *t, uint64_t vaddr)
{
	return t->c->p + (vaddr - t->c->vaddr);
}

static void push(struct tramp *t, uint8_t op)
{
	code_u8(t->c, op);
	depth_change(&t->depths, t->c, 8);
}

static void pop(struct tramp *t, uint8_t op)
{
	code_u8(t->c, op);
	depth_change(&t->depths, t->c, -8);
}

/* The register that a jump to a thunk goes by, or -1. */
static int through(const struct tramp *t, const struct insn *in)
{
	return in && in->rel_off ? thunk_register(t->img, in->target) : -1;
}

/* Arguments of weld_exchange (entry.S): where the return address is, the
 * function's row, and of an indirect jump, where it goes. */
void exchange(struct tramp *t, const struct point *pt, const struct insn *in)
{
	enum { PUSH_RDX = 0x52, PUSH_RSI = 0x56, PUSH_RDI = 0x57, POP = 8,
	       OVER = 128 };
	int reg = through(t, in);
	bool ind = in && (in->flow == FLOW_JMP_IND || reg >= 0);
	int32_t by = OVER + (ind ? 24 : 16) + (t->called ? 8 : 0);
	struct mem ret = { .base = RSP, .disp = by };
	const struct stub *stub = t->env->code.stub;

	tramp_step(t, OVER);
	push(t, PUSH_RDI);
	push(t, PUSH_RSI);
	if (ind) {
		push(t, PUSH_RDX);
		if (reg >= 0)
			x86_mov(t->c, 8, RDX, reg);
		else
			displace_target(t->c, t->img, in, by);
	}
	x86_lea(t->c, RDI, &ret);
	x86_set(t->c, RSI, from_info(t, row_of(t, pt->late)));
	code_call(t->c, stub_symbol(stub, ind ? "weld_exchange_to"
					      : "weld_exchange"));
	if (ind)
		pop(t, PUSH_RDX + POP);
	pop(t, PUSH_RSI + POP);
	pop(t, PUSH_RDI + POP);
	tramp_step(t, -OVER);
}

/* --- tables --------------------------------------------------------------- */

void late_reserve(struct tramp *t)
{
	const struct plan *p = t->plan;
	size_t parts = 0;

	code_align(t->c, 8, 0);
	t->rows = code_here(t->c);
	for (size_t i = 0; i < p->nlate; i++)
		parts += p->late[i].body->npart;
	parts = p->nlate * sizeof(struct weld_late) +
		parts * sizeof(struct weld_part);
	for (size_t i = 0; i < parts; i++)
		code_u8(t->c, 0);
}

/* Inside a body is what is not its entry. */
static void parts_write(const struct tramp *t, const struct body *b,
			struct weld_part *to)
{
	for (size_t i = 0; i < b->npart; i++) {
		uint64_t lo = b->part[i].lo + (i == 0);

		to[i] = (struct weld_part){
			.lo = (int32_t)from_info(t, lo),
			.size = (uint32_t)(b->part[i].hi - lo),
		};
	}
}

static void tables_write(const struct tramp *t)
{
	const struct plan *p = t->plan;
	uint64_t part = row_of(t, (uint32_t)p->nlate);

	for (uint32_t i = 0; i < p->nlate; i++) {
		const struct late *l = &p->late[i];
		struct weld_late row = {
			.code = (int32_t)from_info(t, l->code),
			.part = from_info(t, part),
			.nparts = (uint32_t)l->body->npart,
			.probe = t->env->probe_of[l->link],
			.nprobe = l->nlink,
		};

		memcpy(at_vaddr(t, row_of(t, i)), &row, sizeof(row));
		parts_write(t, l->body, at_vaddr(t, part));
		part += l->body->npart * sizeof(struct weld_part);
	}
}

/* --- pads ------------------------------------------------------------------ */

/* DW_OP_*, those we write. */
enum {
	OP_DEREF = 0x06, OP_CONST1S = 0x09, OP_DUP = 0x12, OP_AND = 0x1a,
	OP_MINUS = 0x1c, OP_PLUS = 0x22, OP_PLUS_UCONST = 0x23, OP_SHL = 0x24,
	OP_BRA = 0x28, OP_GE = 0x2a, OP_SKIP = 0x2f, OP_LIT0 = 0x30,
	OP_BREG0 = 0x70, OP_DEREF_SIZE = 0x94, OP_NOP = 0x96,
};

/* 1 << 3 where the pc is `n` bytes or more into its pad, else 0. */
#define BEHIND(n)                                                              \
	OP_BREG0 + CFA_REG_RIP, 0, OP_LIT0 + 15, OP_AND, OP_LIT0 + (n),        \
		OP_GE, OP_LIT0 + 3, OP_SHL

/* The caller's rsp is rsp, and 8 more behind each push.  That is where the
 * function's own CFA was; libgcc tells frames apart by their CFA, so ours is
 * one more.
 * The return address is in the entry, which is 6 + disp32 from the pad's start,
 * disp32 standing at its third byte; while the entry's depth is not 0, it is
 * another pad's. */
static const uint8_t pad_frame[] = {
	CFA_DEF_CFA_EXPRESSION, 22,
	OP_BREG0 + CFA_REG_RSP, 0, BEHIND(6), OP_PLUS, BEHIND(11), OP_PLUS,
	OP_LIT0 + 1, OP_PLUS,
	CFA_VAL_EXPRESSION, CFA_REG_RSP, 2, /* from the CFA */
	OP_LIT0 + 1, OP_MINUS,
	CFA_EXPRESSION, CFA_REG_RIP, 29,
	/*  0 */ OP_BREG0 + CFA_REG_RIP, 0, OP_CONST1S, 0xf0, OP_AND,
	/*  5 */ OP_DUP, OP_PLUS_UCONST, 2, OP_DEREF_SIZE, 4, OP_PLUS,
	/* 11 */ OP_PLUS_UCONST, 6,
	/* 13 */ OP_DUP, OP_PLUS_UCONST, offsetof(struct weld_pad, depth),
	/* 16 */ OP_DEREF_SIZE, 4, OP_BRA, 3, 0,
	/* 21 */ OP_SKIP, 4, 0,
	/* 24 */ OP_DEREF, OP_SKIP, (uint8_t)-23, 0xff,
	/* 28 */ OP_NOP, /* libdw cannot skip to the end */
};

static void pads_write(struct tramp *t, struct built *out)
{
	static const uint8_t push_mem[] = { 0xff, 0x35 };
	const struct stub *stub = t->env->code.stub;
	uint32_t n = pads_count(t->plan);
	uint64_t weld_pad = stub_symbol(stub, "weld_pad"), start;
	struct weld_info *info;

	code_align(t->c, PAD_SIZE, 0xcc);
	for (unsigned i = 0; i < PAD_SIZE; i++) /* pad 0 minus 1 is looked up */
		code_u8(t->c, 0xcc);
	start = code_here(t->c);
	for (uint32_t k = 0; k < n; k++) {
		code_bytes(t->c, push_mem, sizeof(push_mem));
		code_rw32(t->c, stub->returns_rw + k * sizeof(struct weld_pad),
			  0);
		code_u8(t->c, 0x68);
		code_u32(t->c, k);
		code_jmp(t->c, weld_pad);
	}
	info = at_vaddr(t, t->env->code.info_vaddr);
	info->pads = (int32_t)from_info(t, start);
	info->pad_count = n;
	out->pads = start;
	out->pads_size = n * (uint64_t)PAD_SIZE;
	out->frame = arena_push(t->c->a, out->frame, out->nframe,
				sizeof(*out->frame));
	out->frame[out->nframe++] = (struct frame_desc){
		.start = start - PAD_SIZE,
		.size = (n + 1) * (uint64_t)PAD_SIZE,
		.raw = { pad_frame, sizeof(pad_frame) },
	};
}

/* --- what a pad leads to --------------------------------------------------- */

/* As before a ret, only that the jump is not foreseen by the processor. */
static void go_back(struct tramp *t)
{
	static const uint8_t jmp[] = { 0xff, 0x64, 0x24, 0xf8 };

	tramp_step(t, -8);
	code_bytes(t->c, jmp, sizeof(jmp)); /* jmp *-8(%rsp) */
}

static int return_write(struct tramp *t, void *spot)
{
	if (spot_run(t, spot))
		return -1;
	go_back(t);
	spot_cold(t, spot);
	return 0;
}

static int late_write(struct tramp *t, struct late *l)
{
	struct point pt = { .kind = POINT_RETURN, .link = l->link,
			    .nlink = l->nlink, .live = { ALL_REGS, true } };
	struct spot s = { .pt = &pt };

	t->called = false;
	if (spot_prepare(t, &s))
		return -1;
	if (!t->env->dense)
		code_align(t->c, 16, 0xcc);
	l->code = code_here(t->c);
	t->depths = (struct depths){ .a = t->c->a, .start = l->code };
	if (write_near(t, return_write, &s))
		return -1;
	l->size = code_here(t->c) - l->code;
	return 0;
}

int late_build(struct tramp *t, struct plan *plan, struct built *out)
{
	if (!plan->nlate)
		return 0;
	for (size_t i = 0; i < plan->nlate; i++) {
		struct late *l = &plan->late[i];

		if (late_write(t, l))
			return -1;
		out->frame = arena_push(t->c->a, out->frame, out->nframe,
					sizeof(*out->frame));
		out->frame[out->nframe++] = (struct frame_desc){
			.start = l->code, .size = l->size,
			.depth = t->depths.v, .ndepth = t->depths.n,
		};
	}
	pads_write(t, out);
	tables_write(t);
	return 0;
}
