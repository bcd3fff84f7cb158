/* SPDX-License-Identifier: MIT */
/* displace.c - write an instruction again at another address, such that the
 * target cannot tell.
 *
 *   displaced                 written
 *   op disp32(%rip)           the same, disp32 adjusted
 *   jmp, jcc (rel8, rel32)    the rel32 form
 *   loop, jrcxz L             loop 1f; jmp 2f; 1: jmp L; 2:
 *   call F                    push return address; jmp F
 *   call *M                   push return address; jmp *M
 *   nop                       nothing
 *   syscall                   itself; lea NEXT(%rip), %rcx
 *   anything else             its bytes
 *
 * The return address that is pushed is the original one: callees, unwinders
 * and exception tables see the program as it was.  Pushing it may touch no
 * register, no flag and no memory but the eight bytes a call would write:
 *
 *   address below 2 GiB       push $imm32
 *   anywhere                  push %rax; lea R(%rip), %rax; xchg %rax, (%rsp)
 *
 * A push that no call made leaves the processor's return predictor (and a
 * shadow stack) one short.  So where the call is the last displaced
 * instruction, as it must be, the site itself is made a call:
 *
 *   site: mov %rbx, %rdi      site: cs cs cs call trampoline
 *         call F                    (ends where `call F` did)
 *
 * The trampoline then starts with the right address on the stack, for the
 * price of a jump.  That writes the eight bytes earlier than the original did:
 * nothing displaced before the call may read them, or make them part of the
 * stack by lowering the stack pointer over them, hence displace_by_call().
 */
#include <assert.h>
#include <string.h>

#include "rewriter/patch/displace.h"

void depth_note(struct depths *d, const struct code *c)
{
	d->now.at = (uint32_t)(code_here(c) - d->start);
	if (!d->n || d->v[d->n - 1].at != d->now.at) {
		d->v = arena_push(d->a, d->v, d->n, sizeof(*d->v));
		d->n++;
	}
	d->v[d->n - 1] = d->now;
}

void depth_change(struct depths *d, const struct code *c, int32_t by)
{
	d->now.below += (uint32_t)by;
	depth_note(d, c);
}

enum { REX_W = 8, REX_B = 1 };
enum { OP_GROUP5 = 0xff, GROUP5_CALL = 2, GROUP5_JMP = 4 };
enum { MOD_DISP8 = 1, MOD_DISP32 = 2, MOD_REG = 3, RM_SIB = 4 };

static unsigned modrm_mod(uint8_t m)
{
	return m >> 6;
}

static unsigned modrm_reg(uint8_t m)
{
	return m >> 3 & 7;
}

static unsigned modrm_rm(uint8_t m)
{
	return m & 7;
}

/* call *-8(%rsp): what is read there is gone once the return address is
 * pushed. */
static bool through_red_zone(const uint8_t *op, unsigned len, uint8_t rex)
{
	unsigned mod = modrm_mod(op[1]);
	int32_t disp;

	if (modrm_rm(op[1]) != RM_SIB || (op[2] & 7) != RSP || rex & REX_B ||
	    (mod != MOD_DISP8 && mod != MOD_DISP32))
		return false;
	disp = insn_imm(op + 3, len - 3);
	return disp < 0 && disp > -16;
}

static const char *indirect_refusal(const uint8_t *p, const struct insn *in)
{
	uint8_t rex;
	unsigned op = insn_opcode_at(p, in->len, &rex);
	uint8_t m = p[op + 1];

	if (p[op] != OP_GROUP5 || modrm_reg(m) != GROUP5_CALL)
		return "a far call";
	if (modrm_mod(m) == MOD_REG && modrm_rm(m) == RSP && !(rex & REX_B))
		return "a call to the stack pointer";
	if (through_red_zone(p + op, in->len - op, rex))
		return "a call through the stack slot it overwrites";
	return NULL;
}

const char *displace_refusal(const uint8_t *p, const struct insn *in)
{
	uint8_t rex;
	unsigned op = insn_opcode_at(p, in->len, &rex);

	if (in->endbr)
		return "endbr64";
	if (in->rip_off && insn_has_prefix(p, op, 0x67))
		return "an eip-relative operand";
	if (in->flow == FLOW_LOOP && (p[op] < 0xe0 || p[op] > 0xe3))
		return "xbegin";
	if (in->flow == FLOW_CALL_IND)
		return indirect_refusal(p, in);
	return NULL;
}

bool insn_ends_flow(const struct insn *in)
{
	return in->flow == FLOW_JMP || in->flow == FLOW_JMP_IND ||
	       in->flow == FLOW_RET || in->flow == FLOW_STOP;
}

static bool is_call(const struct insn *in)
{
	return in->flow == FLOW_CALL || in->flow == FLOW_CALL_IND;
}

/* May execution arrive behind its new place? */
static bool in_flow(const struct insn *in)
{
	return (!insn_ends_flow(in) || in->flow == FLOW_STOP) && !is_call(in);
}

/* Does it leave alone what was below the stack pointer?  A push overwrites
 * it; at a function's entry there is nothing. */
static bool reads_no_stack(const uint8_t *p, const struct insn *in, bool entry)
{
	struct effects e;
	int32_t by;

	if (in->flow != FLOW_NEXT)
		return false;
	if (in->nop)
		return true;
	switch (insn_stack(p, in, &by)) {
	case STACK_PUSH_POP:
		return true;
	case STACK_ADD_SUB:
		return by < 0 || entry;
	default:
		break;
	}
	return insn_effects(p, in->len, &e) &&
	       !(e.reads & (REG_BIT(RSP) | REG_BIT(RBP))) &&
	       !(e.writes & REG_BIT(RSP));
}

static bool moves_rsp(const struct image *img, const struct insn *in)
{
	struct effects e;

	return !insn_effects(image_at(img, in->at, in->len), in->len, &e) ||
	       e.writes & REG_BIT(RSP);
}

enum { INSN_MAX = 15 }; /* the site becomes one instruction, with prefixes */

bool displace_by_call(const struct image *img, const struct patch *p)
{
	const struct insn *last = &p->insn[p->ninsn - 1];
	bool entry = p->entry;

	for (size_t i = 0; i < p->npoint; i++)
		if (p->point[i].before)
			return false;
	if (!is_call(last) || last->at + last->len != p->at + p->len ||
	    p->len > INSN_MAX)
		return false;
	for (unsigned i = 0; i + 1 < p->ninsn; i++) {
		const struct insn *in = &p->insn[i];

		if (p->func->go && moves_rsp(img, in))
			return false;
		if (!reads_no_stack(image_at(img, in->at, in->len), in,
				    entry))
			return false;
	}
	return true;
}

static void push_return(struct code *c, const struct image *img, uint64_t ret,
			struct depths *d)
{
	static const uint8_t push_rax[] = { 0x50 };
	static const uint8_t lea_rax[] = { 0x48, 0x8d, 0x05 };
	static const uint8_t xchg_rax[] = { 0x48, 0x87, 0x04, 0x24 };

	if (img->type == ET_EXEC && ret <= INT32_MAX) {
		code_u8(c, 0x68);
		code_u32(c, (uint32_t)ret);
		depth_change(d, c, 8);
		return;
	}
	code_bytes(c, push_rax, sizeof(push_rax));
	depth_change(d, c, 8);
	code_bytes(c, lea_rax, sizeof(lea_rax));
	code_rel32(c, ret, 0);
	code_bytes(c, xchg_rax, sizeof(xchg_rax));
}

static void copy(struct code *c, const uint8_t *p, const struct insn *in)
{
	if (in->nop && p[0] != 0xf3)
		return;
	if (!in->rip_off) {
		code_bytes(c, p, in->len);
		return;
	}
	code_bytes(c, p, in->rip_off);
	code_rel32(c, in->target, in->len - in->rip_off - 4);
	code_bytes(c, p + in->rip_off + 4, in->len - in->rip_off - 4);
}

/* The operand behind a ModRM that has rsp as base, `by` bytes further up. */
static void rsp_operand(struct code *c, uint8_t modrm, const uint8_t *sib,
			int32_t by)
{
	static const uint8_t size[] = { 0, 1, 4 };
	unsigned n = size[modrm_mod(modrm)];
	int64_t disp = (n ? insn_imm(sib + 1, n) : 0) + (int64_t)by;
	bool small = disp >= INT8_MIN && disp <= INT8_MAX;

	code_u8(c, (modrm & 0x3f) | (small ? MOD_DISP8 : MOD_DISP32) << 6);
	code_u8(c, *sib);
	if (small)
		code_u8(c, (uint8_t)disp);
	else
		code_u32(c, (uint32_t)disp);
}

/* The operand of jmp *M or call *M in another instruction, whose opcode stands
 * already and which has `reg` in the ModRM. */
static void indirect_operand(struct code *c, const uint8_t *p,
			     const struct insn *in, unsigned reg, int32_t by)
{
	uint8_t rex;
	unsigned op = insn_opcode_at(p, in->len, &rex);
	uint8_t m = (uint8_t)((p[op + 1] & 0xc7) | reg << 3);
	bool sib = modrm_mod(m) != MOD_REG && modrm_rm(m) == RM_SIB;

	if (sib && (p[op + 2] & 7) == RSP && !(rex & REX_B)) {
		rsp_operand(c, m, p + op + 2, by);
		return;
	}
	code_u8(c, m);
	if (in->rip_off)
		code_rel32(c, in->target, 0);
	else
		code_bytes(c, p + op + 2, in->len - op - 2);
}

/* jmp *M for call *M, the return address being on the stack already. */
static void jump_indirect(struct code *c, const uint8_t *p,
			  const struct insn *in)
{
	uint8_t rex;

	code_bytes(c, p, insn_opcode_at(p, in->len, &rex) + 1);
	indirect_operand(c, p, in, GROUP5_JMP, 8);
}

void displace_target(struct code *c, const struct image *img,
		     const struct insn *in, int32_t by)
{
	const uint8_t *p = image_at(img, in->at, in->len);
	uint8_t rex;
	unsigned op = insn_opcode_at(p, in->len, &rex);

	for (unsigned i = 0; i < op; i++)
		if (p[i] == 0x64 || p[i] == 0x65 || p[i] == 0x67)
			code_u8(c, p[i]);
	code_u8(c, 0x48 | (rex & 3));
	code_u8(c, 0x8b);
	indirect_operand(c, p, in, RDX, by);
}

/* rel32 of a jump that goes to `target`, or is left open. */
static void jump_open(struct code *c, uint64_t target, size_t *taken)
{
	code_jmp(c, taken ? code_here(c) : target);
	if (taken)
		*taken = c->n - 4;
}

static void loop(struct code *c, const uint8_t *p, const struct insn *in,
		 size_t *taken)
{
	static const uint8_t over[] = { 0x02, 0xeb, 0x05 };
	uint8_t rex;

	code_bytes(c, p, insn_opcode_at(p, in->len, &rex) + 1);
	code_bytes(c, over, sizeof(over));
	jump_open(c, in->target, taken);
}

/* The kernel leaves in rcx where the system call returns to. */
static void system_call(struct code *c, const uint8_t *p,
			const struct insn *in)
{
	static const uint8_t lea_rcx[] = { 0x48, 0x8d, 0x0d };

	copy(c, p, in);
	if (in->len < 2 || p[in->len - 2] != 0x0f || p[in->len - 1] != 0x05)
		return;
	code_bytes(c, lea_rcx, sizeof(lea_rcx));
	code_rel32(c, in->at + in->len, 0);
}

static void move(struct code *c, const uint8_t *p, const struct insn *in,
		 size_t *taken)
{
	switch (in->flow) {
	case FLOW_JMP:
	case FLOW_CALL:
		code_jmp(c, in->target);
		break;
	case FLOW_JCC:
		code_jcc(c, in->cond, taken ? code_here(c) : in->target);
		if (taken)
			*taken = c->n - 4;
		break;
	case FLOW_LOOP:
		loop(c, p, in, taken);
		break;
	case FLOW_SYSCALL:
		system_call(c, p, in);
		break;
	case FLOW_CALL_IND:
		jump_indirect(c, p, in);
		break;
	default:
		copy(c, p, in);
	}
}

/* The instruction is behind us: the target's frame is as it was there. */
static void moved(struct code *c, const struct patch *p, const uint8_t *b,
		  const struct insn *in, struct depths *d)
{
	int32_t by = 0;

	if (in->flow == FLOW_NEXT && insn_stack(b, in, &by) != STACK_OTHER)
		d->now.moved += (uint32_t)by;
	d->now.done = (uint32_t)(in->at + in->len - p->at);
	depth_note(d, c);
}

void displace_begin(struct code *c, const struct patch *p, bool called,
		    struct depths *d)
{
	static const uint8_t drop_return[] = { 0x48, 0x8d, 0x64, 0x24, 0x08 };

	if (!called || p->ninsn == 1)
		return;
	code_bytes(c, drop_return, sizeof(drop_return));
	depth_change(d, c, -8);
}

void displace_insn(struct code *c, const struct image *img,
		   const struct patch *p, unsigned i, bool called,
		   struct depths *d, size_t *taken)
{
	const struct insn *in = &p->insn[i];
	const uint8_t *b = image_at(img, in->at, in->len);

	if (is_call(in) && !(called && p->ninsn == 1))
		push_return(c, img, in->at + in->len, d);
	move(c, b, in, taken);
	if (!insn_ends_flow(in) && !is_call(in))
		moved(c, p, b, in, d);
}

static uint64_t behind(const struct patch *p)
{
	const struct insn *last = &p->insn[p->ninsn - 1];

	return last->at + last->len;
}

void displace_end(struct code *c, const struct patch *p)
{
	/* A handler may skip an ud2 or hlt: then the padding is next. */
	if (in_flow(&p->insn[p->ninsn - 1]))
		code_jmp(c, p->tactic == TACTIC_TRAP ? behind(p)
						     : p->at + p->len);
}
