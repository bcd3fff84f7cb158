/* SPDX-License-Identifier: MIT */
/* insn.c - decode one x86-64 instruction.
 *
 * Two depths.  Most questions (how long, where does it go, what must change
 * when it moves) are answered by the encoding alone, so insn_decode() runs the
 * decoder in its minimal mode, without operands: some 40 ns, and for common
 * instructions quick.c stands in.  Only liveness needs to know what one reads
 * and writes; insn_effects() decodes the operands, hidden ones too, at five
 * times the price; so does insn_touches(), for code that must not fault.
 *
 * The operand-size prefix on near branches is ignored, as Intel does; AMD
 * would take a 16-bit displacement, which no compiler emits.
 */
#include <Zydis/Zydis.h>

#include "rewriter/site/quick.h"

static const ZydisDecoder minimal = {
	.machine_mode = ZYDIS_MACHINE_MODE_LONG_64,
	.stack_width = ZYDIS_STACK_WIDTH_64,
	.decoder_mode = {
		[ZYDIS_DECODER_MODE_MINIMAL] = ZYAN_TRUE,
		[ZYDIS_DECODER_MODE_MPX] = ZYAN_TRUE,
		[ZYDIS_DECODER_MODE_CET] = ZYAN_TRUE,
		[ZYDIS_DECODER_MODE_LZCNT] = ZYAN_TRUE,
		[ZYDIS_DECODER_MODE_TZCNT] = ZYAN_TRUE,
		[ZYDIS_DECODER_MODE_CLDEMOTE] = ZYAN_TRUE,
	},
};

static const ZydisDecoder full = {
	.machine_mode = ZYDIS_MACHINE_MODE_LONG_64,
	.stack_width = ZYDIS_STACK_WIDTH_64,
	.decoder_mode = {
		[ZYDIS_DECODER_MODE_MPX] = ZYAN_TRUE,
		[ZYDIS_DECODER_MODE_CET] = ZYAN_TRUE,
		[ZYDIS_DECODER_MODE_LZCNT] = ZYAN_TRUE,
		[ZYDIS_DECODER_MODE_TZCNT] = ZYAN_TRUE,
		[ZYDIS_DECODER_MODE_CLDEMOTE] = ZYAN_TRUE,
	},
};

static enum insn_flow flow_of(const ZydisDecodedInstruction *z)
{
	bool direct = z->raw.imm[0].is_relative;

	switch (z->mnemonic) {
	case ZYDIS_MNEMONIC_JMP:
		return direct ? FLOW_JMP : FLOW_JMP_IND;
	case ZYDIS_MNEMONIC_CALL:
		return direct ? FLOW_CALL : FLOW_CALL_IND;
	case ZYDIS_MNEMONIC_RET:
	case ZYDIS_MNEMONIC_IRET:
	case ZYDIS_MNEMONIC_IRETD:
	case ZYDIS_MNEMONIC_IRETQ:
		return FLOW_RET;
	case ZYDIS_MNEMONIC_SYSCALL:
	case ZYDIS_MNEMONIC_SYSENTER:
	case ZYDIS_MNEMONIC_INT:
		return FLOW_SYSCALL;
	case ZYDIS_MNEMONIC_UD0:
	case ZYDIS_MNEMONIC_UD1:
	case ZYDIS_MNEMONIC_UD2:
	case ZYDIS_MNEMONIC_HLT:
	case ZYDIS_MNEMONIC_SYSRET:
	case ZYDIS_MNEMONIC_SYSEXIT:
		return FLOW_STOP;
	case ZYDIS_MNEMONIC_INT1:
	case ZYDIS_MNEMONIC_INT3:
		return FLOW_TRAP;
	case ZYDIS_MNEMONIC_LOOP:
	case ZYDIS_MNEMONIC_LOOPE:
	case ZYDIS_MNEMONIC_LOOPNE:
	case ZYDIS_MNEMONIC_JECXZ:
	case ZYDIS_MNEMONIC_JRCXZ:
	case ZYDIS_MNEMONIC_XBEGIN:
		return FLOW_LOOP;
	default:
		return direct ? FLOW_JCC : FLOW_NEXT;
	}
}

/* f2 and f3 repeat only in the one-byte opcode map; elsewhere they are part
 * of the opcode.  f3 90 is pause. */
static bool has_prefix(const ZydisDecodedInstruction *z)
{
	for (int i = 0; i < z->raw.prefix_count; i++) {
		switch (z->raw.prefixes[i].value) {
		case 0xf0:
		case 0x26:
		case 0x2e:
		case 0x36:
		case 0x3e:
		case 0x64:
		case 0x65:
			return true;
		case 0xf2:
		case 0xf3:
			if (z->opcode_map == ZYDIS_OPCODE_MAP_DEFAULT &&
			    z->opcode != 0x90)
				return true;
		}
	}
	return false;
}

static bool rip_relative(const ZydisDecodedInstruction *z)
{
	return (z->attributes & ZYDIS_ATTRIB_HAS_MODRM) &&
	       z->raw.modrm.mod == 0 && z->raw.modrm.rm == 5 &&
	       z->raw.disp.size == 32;
}

/* With an address-size prefix the sum is cut to 32 bits. */
static uint64_t rip_target(const ZydisDecodedInstruction *z, uint64_t next)
{
	uint64_t t = next + (uint64_t)z->raw.disp.value;

	for (int i = 0; i < z->raw.prefix_count; i++)
		if (z->raw.prefixes[i].value == 0x67)
			return (uint32_t)t;
	return t;
}

bool insn_decode_slow(const uint8_t *p, size_t len, uint64_t at,
		      struct insn *out)
{
	ZydisDecodedInstruction z;
	uint64_t next;

	if (!ZYAN_SUCCESS(
		    ZydisDecoderDecodeInstruction(&minimal, NULL, p, len, &z)))
		return false;
	next = at + z.length;
	*out = (struct insn){
		.at = at,
		.len = z.length,
		.flow = (uint8_t)flow_of(&z),
		.cond = z.opcode & 15,
		.nop = z.mnemonic == ZYDIS_MNEMONIC_NOP,
		.endbr = z.mnemonic == ZYDIS_MNEMONIC_ENDBR64,
	};
	if (z.raw.prefix_count)
		out->prefixed = has_prefix(&z);
	if (z.raw.imm[0].is_relative) {
		out->rel_off = z.raw.imm[0].offset;
		out->rel_size = z.raw.imm[0].size / 8;
		out->target = next + z.raw.imm[0].value.u;
	} else if (rip_relative(&z)) {
		out->rip_off = z.raw.disp.offset;
		out->target = rip_target(&z, next);
	}
	return true;
}

bool insn_decode(const uint8_t *p, size_t len, uint64_t at, struct insn *out)
{
	return insn_quick(p, len, at, out) ||
	       insn_decode_slow(p, len, at, out);
}

/* A register's number, or -1 when it is not a general-purpose one. */
static int gpr(ZydisRegister r)
{
	ZydisRegister whole;

	if (r == ZYDIS_REGISTER_NONE)
		return -1;
	whole = ZydisRegisterGetLargestEnclosing(ZYDIS_MACHINE_MODE_LONG_64, r);
	if (ZydisRegisterGetClass(whole) != ZYDIS_REGCLASS_GPR64)
		return -1;
	return ZydisRegisterGetId(whole);
}

static unsigned reg_bit(ZydisRegister r)
{
	int n = gpr(r);

	return n < 0 ? 0 : REG_BIT(n);
}

static unsigned width_of(ZydisRegister r)
{
	return ZydisRegisterGetWidth(ZYDIS_MACHINE_MODE_LONG_64, r);
}

static void reg_effect(const ZydisDecodedOperand *o, struct effects *out)
{
	unsigned bit = reg_bit(o->reg.value);

	if (o->actions & ZYDIS_OPERAND_ACTION_MASK_READ)
		out->reads |= bit;
	if (!(o->actions & ZYDIS_OPERAND_ACTION_MASK_WRITE))
		return;
	out->writes |= bit;
	if (!(o->actions & ZYDIS_OPERAND_ACTION_WRITE) ||
	    width_of(o->reg.value) < 32)
		out->reads |= bit;
}

/* xor r,r and sub r,r give 0 whatever r was. */
static bool zero_idiom(const ZydisDecodedInstruction *z,
		       const ZydisDecodedOperand *o)
{
	return (z->mnemonic == ZYDIS_MNEMONIC_XOR ||
		z->mnemonic == ZYDIS_MNEMONIC_SUB) &&
	       o[0].type == ZYDIS_OPERAND_TYPE_REGISTER &&
	       o[1].type == ZYDIS_OPERAND_TYPE_REGISTER &&
	       o[0].reg.value == o[1].reg.value &&
	       width_of(o[0].reg.value) >= 32;
}

/* A repeat count of zero leaves what the instruction would have written. */
static bool repeats(const ZydisDecodedInstruction *z)
{
	return z->attributes & (ZYDIS_ATTRIB_HAS_REP | ZYDIS_ATTRIB_HAS_REPE |
				ZYDIS_ATTRIB_HAS_REPNE);
}

/* A shift by zero leaves the flags. */
static bool may_shift_by_zero(const ZydisDecodedInstruction *z,
			      const ZydisDecodedOperand *o)
{
	const ZydisDecodedOperand *count;

	switch (z->mnemonic) {
	case ZYDIS_MNEMONIC_SHL:
	case ZYDIS_MNEMONIC_SHR:
	case ZYDIS_MNEMONIC_SAR:
	case ZYDIS_MNEMONIC_SHLD:
	case ZYDIS_MNEMONIC_SHRD:
		count = &o[z->operand_count_visible - 1];
		return count->type != ZYDIS_OPERAND_TYPE_IMMEDIATE ||
		       (count->imm.value.u &
			(z->operand_width == 64 ? 63 : 31)) == 0;
	default:
		return false;
	}
}

/* Flags that the manuals call undefined are left as they were by one
 * processor or another: whoever reads them reads them from before. */
static bool may_leave_flags(const ZydisDecodedInstruction *z)
{
	switch (z->mnemonic) {
	case ZYDIS_MNEMONIC_MUL:
	case ZYDIS_MNEMONIC_IMUL:
	case ZYDIS_MNEMONIC_DIV:
	case ZYDIS_MNEMONIC_IDIV:
	case ZYDIS_MNEMONIC_BSF:
	case ZYDIS_MNEMONIC_BSR:
	case ZYDIS_MNEMONIC_TZCNT:
	case ZYDIS_MNEMONIC_LZCNT:
		return true;
	default:
		return false;
	}
}

static void flag_effect(const ZydisDecodedInstruction *z,
			const ZydisDecodedOperand *o, struct effects *out)
{
	const ZydisAccessedFlags *f = z->cpu_flags;
	enum {
		SIX = ZYDIS_CPUFLAG_CF | ZYDIS_CPUFLAG_PF | ZYDIS_CPUFLAG_AF |
		      ZYDIS_CPUFLAG_ZF | ZYDIS_CPUFLAG_SF | ZYDIS_CPUFLAG_OF,
	};

	if (!f)
		return;
	out->reads_flags = (f->tested & SIX) != 0;
	out->writes_flags =
		((f->modified | f->set_0 | f->set_1 | f->undefined) & SIX) ==
			SIX &&
		!repeats(z) && !may_shift_by_zero(z, o) && !may_leave_flags(z);
}

/* bsf and bsr leave their target alone when the source is zero; lzcnt and
 * tzcnt are bsr and bsf to a processor that does not know them.  rdssp is a
 * nop without shadow stacks: setjmp() clears the register first.  sldt, str
 * and smsw fill half a register when the kernel emulates them, and lar and
 * lsl none that has no such selector. */
static bool may_not_write(ZydisMnemonic m)
{
	switch (m) {
	case ZYDIS_MNEMONIC_BSF:
	case ZYDIS_MNEMONIC_BSR:
	case ZYDIS_MNEMONIC_TZCNT:
	case ZYDIS_MNEMONIC_LZCNT:
	case ZYDIS_MNEMONIC_RDSSPD:
	case ZYDIS_MNEMONIC_RDSSPQ:
	case ZYDIS_MNEMONIC_SLDT:
	case ZYDIS_MNEMONIC_STR:
	case ZYDIS_MNEMONIC_SMSW:
	case ZYDIS_MNEMONIC_LAR:
	case ZYDIS_MNEMONIC_LSL:
	case ZYDIS_MNEMONIC_XBEGIN:
		return true;
	default:
		return false;
	}
}

/* What Zydis calls pause is xchg %r8, %rax to the processor. */
static bool misread(const ZydisDecodedInstruction *z)
{
	return z->mnemonic == ZYDIS_MNEMONIC_PAUSE && z->raw.rex.B;
}

bool insn_effects(const uint8_t *p, size_t len, struct effects *out)
{
	ZydisDecodedInstruction z;
	ZydisDecodedOperand o[ZYDIS_MAX_OPERAND_COUNT];

	*out = (struct effects){ 0 };
	if (!ZYAN_SUCCESS(ZydisDecoderDecodeFull(&full, p, len, &z, o)) ||
	    misread(&z))
		return false;
	for (int i = 0; i < z.operand_count; i++) {
		if (o[i].type == ZYDIS_OPERAND_TYPE_REGISTER) {
			reg_effect(&o[i], out);
		} else if (o[i].type == ZYDIS_OPERAND_TYPE_MEMORY &&
			   z.mnemonic != ZYDIS_MNEMONIC_NOP) {
			out->reads |= reg_bit(o[i].mem.base);
			out->reads |= reg_bit(o[i].mem.index);
		}
	}
	if (repeats(&z) || may_not_write(z.mnemonic))
		out->reads |= out->writes;
	if (zero_idiom(&z, o))
		out->reads &= ~reg_bit(o[0].reg.value);
	if (z.mnemonic == ZYDIS_MNEMONIC_NOP)
		out->reads = out->writes = 0;
	flag_effect(&z, o, out);
	return true;
}

/* Pushes, pops, calls and returns use the stack, which is there. */
static void memory_touch(const ZydisDecodedInstruction *z,
			 const ZydisDecodedOperand *o, struct touches *out)
{
	bool hidden = o->visibility == ZYDIS_OPERAND_VISIBILITY_HIDDEN ||
		      !(z->attributes & ZYDIS_ATTRIB_HAS_MODRM);

	if (o->mem.type == ZYDIS_MEMOP_TYPE_AGEN)
		return;
	if (hidden) {
		out->implicit |= gpr(o->mem.base) != RSP;
		return;
	}
	out->memory = true;
	out->tls = o->mem.segment == ZYDIS_REGISTER_FS ||
		   o->mem.segment == ZYDIS_REGISTER_GS;
	out->rip = o->mem.base == ZYDIS_REGISTER_RIP;
	out->base = (int8_t)gpr(o->mem.base);
	out->index = o->mem.index == ZYDIS_REGISTER_NONE ? -1 : 0;
	if (out->index == 0) /* a vector of indices counts as one */
		out->index = gpr(o->mem.index) < 0 ? 0
						   : (int8_t)gpr(o->mem.index);
	out->disp = (int32_t)o->mem.disp.value;
}

bool insn_touches(const uint8_t *p, size_t len, struct touches *out)
{
	ZydisDecodedInstruction z;
	ZydisDecodedOperand o[ZYDIS_MAX_OPERAND_COUNT];

	*out = (struct touches){ .base = -1, .index = -1 };
	if (!ZYAN_SUCCESS(ZydisDecoderDecodeFull(&full, p, len, &z, o)))
		return false;
	out->divides = z.mnemonic == ZYDIS_MNEMONIC_DIV ||
		       z.mnemonic == ZYDIS_MNEMONIC_IDIV;
	for (int i = 0; i < z.operand_count; i++)
		if (o[i].type == ZYDIS_OPERAND_TYPE_MEMORY &&
		    z.mnemonic != ZYDIS_MNEMONIC_NOP &&
		    z.meta.category != ZYDIS_CATEGORY_PREFETCH)
			memory_touch(&z, &o[i], out);
	return true;
}

void insn_print(const uint8_t *p, size_t len, uint64_t at, char *buf,
		size_t size)
{
	ZydisDecodedInstruction z;
	ZydisDecodedOperand o[ZYDIS_MAX_OPERAND_COUNT];
	ZydisFormatter f;

	if (!size)
		return;
	buf[0] = 0;
	if (ZYAN_SUCCESS(ZydisDecoderDecodeFull(&full, p, len, &z, o)) &&
	    ZYAN_SUCCESS(ZydisFormatterInit(&f, ZYDIS_FORMATTER_STYLE_ATT)))
		ZydisFormatterFormatInstruction(&f, &z, o,
						z.operand_count_visible, buf,
						size, at, NULL);
}
