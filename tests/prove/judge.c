/* SPDX-License-Identifier: MIT */
/* judge.c - see judge.h. */
#include "judge.h"

#include <alloca.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "place.h"
#include "rewriter/bpf/flow.h"
#include "rewriter/code/helper.h"
#include "runtime-stub/abi.h"
#include "runtime-stub/callback.h"
#include "runtime-stub/guard.h"
#include "world.h"

enum {
	MEMSX = 0x80,
	DYNPTR_BYTES = 16,
	ITER_BYTES = 8,
};

static struct run shared; /* what helpers want */

static bool stops(const struct judge *j)
{
	return j->failed || j->too_long || j->wrong[0];
}

static void wrong(struct judge *j, const char *fmt, ...)
	__attribute__((format(printf, 2, 3)));
static void wrong(struct judge *j, const char *fmt, ...)
{
	va_list ap;

	if (j->wrong[0])
		return;
	va_start(ap, fmt);
	vsnprintf(j->wrong, sizeof(j->wrong), fmt, ap);
	va_end(ap);
}

/* --- memory ------------------------------------------------------------ */

enum {
	READ = 1,
	WRITE = 2
};

static bool on_stack(struct judge *j, uint64_t addr, uint64_t size, int how)
{
	for (uint32_t d = 0; d <= j->depth; d++) {
		struct judge_frame *f = &j->frame[d];
		uint64_t off = addr - (uint64_t)f->stack;

		if (addr < (uint64_t)f->stack || size > JUDGE_STACK ||
		    off > JUDGE_STACK - size)
			continue;
		j->by_chance |= how & READ && memchr(f->set + off, 0, size);
		if (how & WRITE)
			memset(f->set + off, 1, size);
		return true;
	}
	return false;
}

static bool in_record(const struct judge *j, uint64_t addr, uint64_t size)
{
	for (uint32_t k = 0; k < j->nrecord; k++) {
		const struct judge_record *r = &j->record[k];

		if (r->live && addr >= r->addr && size <= r->size &&
		    addr - r->addr <= r->size - size)
			return true;
	}
	return false;
}

static bool may(struct judge *j, uint64_t addr, uint64_t size, int how)
{
	uint64_t ctx = (uint64_t)j->place->ctx;

	if (on_stack(j, addr, size, how) || in_record(j, addr, size) ||
	    world_value(addr, size, how & WRITE))
		return true;
	if (how & WRITE)
		return false;
	return (addr >= ctx && size <= PT_REGS_SIZE &&
		addr - ctx <= PT_REGS_SIZE - size) ||
	       (j->nkey && addr >= j->key && size <= j->nkey &&
		addr - j->key <= j->nkey - size);
}

static bool check(struct judge *j, uint64_t addr, uint64_t size, int how)
{
	if (!size)
		return true;
	if (!may(j, addr, size, how))
		wrong(j, "%s %u bytes at %#llx, which are in no object",
		      how & WRITE ? "writes" : "reads", (unsigned)size,
		      (unsigned long long)addr);
	return !j->wrong[0];
}

static unsigned width(const struct bpf_insn *i)
{
	static const uint8_t bytes[] = { 4, 2, 1, 8 };

	return bytes[BPF_SIZE(i->code) >> 3];
}

static void load(struct judge *j, const struct bpf_insn *i, uint64_t *r)
{
	uint64_t addr = r[i->src_reg] + (uint64_t)i->off, v = 0;

	if (is_task_load(i)) { /* a task's field, or that of none */
		if (!task_is(addr) && addr - TASK_FIELDS >= sizeof(struct task))
			wrong(j, "loads from %#llx, which is no task",
			      (unsigned long long)addr);
		v = task_load(addr, width(i));
		if (BPF_MODE(i->code) == TASK_LOADSX)
			v = judge_sign(v, 8 * width(i));
		r[i->dst_reg] = v;
		return;
	}
	if (!check(j, addr, width(i), READ))
		return;
	memcpy(&v, (const void *)addr, width(i));
	if (BPF_MODE(i->code) == MEMSX)
		v = judge_sign(v, 8 * width(i));
	r[i->dst_reg] = v;
}

static uint64_t changed(int32_t op, uint64_t was, uint64_t by, uint64_t r0)
{
	switch (op & ~BPF_FETCH) {
	case BPF_ADD:
		return was + by;
	case BPF_OR:
		return was | by;
	case BPF_AND:
		return was & by;
	case BPF_XOR:
		return was ^ by;
	}
	return op == BPF_XCHG || was == r0 ? by : was;
}

static void store(struct judge *j, const struct bpf_insn *i, uint64_t *r)
{
	bool atomic = BPF_CLASS(i->code) == BPF_STX &&
		      BPF_MODE(i->code) == BPF_ATOMIC;
	uint64_t addr = r[i->dst_reg] + (uint64_t)i->off, was = 0, v;

	v = BPF_CLASS(i->code) == BPF_ST ? (uint64_t)(int64_t)i->imm
					 : r[i->src_reg];
	if (!check(j, addr, width(i), atomic ? READ | WRITE : WRITE))
		return;
	if (atomic) {
		memcpy(&was, (const void *)addr, width(i));
		v = changed(i->imm, was, v,
			    width(i) == 4 ? (uint32_t)r[0] : r[0]);
		if (i->imm == BPF_CMPXCHG)
			r[0] = was;
		else if (i->imm & BPF_FETCH)
			r[i->src_reg] = was;
	}
	memcpy((void *)addr, &v, width(i));
}

/* --- calls ------------------------------------------------------------- */

static uint64_t run(struct judge *j, uint32_t i, const uint64_t *args,
		    uint32_t call, uint16_t regs);

/* `regs`: what of r1 to r5 is given. */
static uint64_t enter(struct judge *j, uint32_t to, const uint64_t *args,
		      uint32_t call, uint16_t regs)
{
	uint64_t r0;

	if (j->depth + 1 == JUDGE_FRAMES) {
		wrong(j, "has more than %d frames", JUDGE_FRAMES);
		return 0;
	}
	j->depth++;
	r0 = run(j, to, args, call, regs);
	j->depth--;
	return stops(j) ? 1 : r0;
}

static const struct region_map *map_given(struct judge *j, uint64_t r)
{
	int m = world_map_at(r);

	if (m < 0) {
		wrong(j, "gives a helper something else than a map");
		return NULL;
	}
	return (const struct region_map *)r;
}

/* Argument k is what its helper takes. */
static void check_given(struct judge *j, const struct helper *h, unsigned k,
			const uint64_t *r)
{
	const struct region_map *m =
		h->arg[0] == ARG_MAP ? map_given(j, r[1]) : NULL;
	uint64_t v = r[k + 1];

	switch (h->arg[k]) {
	case ARG_MAP:
	case ARG_RING:
		map_given(j, v);
		return;
	case ARG_KEY:
		check(j, v, m ? m->key_size : 0, READ);
		return;
	case ARG_VALUE:
		check(j, v, m ? m->value_size : 0, READ);
		return;
	case ARG_VALUE_OUT:
		check(j, v, m ? m->value_size : 0, WRITE);
		return;
	case ARG_IN_OR_NULL:
	case ARG_MEM_IN:
		check(j, v, (uint32_t)r[k + 2], READ);
		return;
	case ARG_OUT_OR_NULL:
	case ARG_MEM_OUT:
		check(j, v, (uint32_t)r[k + 2], WRITE);
		return;
	case ARG_MEM_KEPT:
		check(j, v, (uint32_t)r[k + 2], READ | WRITE);
		return;
	case ARG_LONG_OUT:
		check(j, v, 8, WRITE);
		return;
	case ARG_DYNPTR:
	case ARG_DYNPTR_END:
		check(j, v, DYNPTR_BYTES, READ | WRITE);
		return;
	case ARG_DYNPTR_OUT:
		check(j, v, DYNPTR_BYTES, WRITE);
		return;
	case ARG_ITER:
	case ARG_ITER_END:
		check(j, v, ITER_BYTES, READ | WRITE);
		return;
	case ARG_ITER_OUT:
		check(j, v, ITER_BYTES, WRITE);
		return;
	case ARG_CTX:
		if (v != (uint64_t)j->place->ctx)
			wrong(j, "gives %s something else than ctx", h->name);
	}
}

static void add_record(struct judge *j, uint64_t addr, uint64_t size)
{
	if (!addr)
		return;
	if (j->nrecord == sizeof(j->record) / sizeof(*j->record)) {
		j->too_long = true;
		return;
	}
	j->record[j->nrecord++] = (struct judge_record){ addr, size, true };
}

static void end_record(struct judge *j, uint64_t addr)
{
	for (uint32_t k = 0; k < j->nrecord; k++)
		if (j->record[k].live && j->record[k].addr == addr) {
			j->record[k].live = false;
			return;
		}
	wrong(j, "submits what is no record");
}

/* The record in a dynptr, when it is one of a ring's. */
static uint64_t data_of(uint64_t dynptr)
{
	uint64_t data;

	memcpy(&data, (const void *)dynptr, sizeof(data));
	return data;
}

static void records_before(struct judge *j, int32_t id, const uint64_t *r)
{
	switch (id) {
	case BPF_FUNC_ringbuf_submit:
	case BPF_FUNC_ringbuf_discard:
		end_record(j, r[1]);
		break;
	case BPF_FUNC_ringbuf_submit_dynptr:
	case BPF_FUNC_ringbuf_discard_dynptr:
		if (!j->wrong[0] && data_of(r[1]))
			end_record(j, data_of(r[1]));
	}
}

static void records_after(struct judge *j, int32_t id, const uint64_t *r,
			  uint64_t r0)
{
	if (id == BPF_FUNC_ringbuf_reserve)
		add_record(j, r0, r[2]);
	if (id == BPF_FUNC_ringbuf_reserve_dynptr)
		add_record(j, data_of(r[4]), (uint32_t)r[2]);
}

struct back {
	struct judge *j;
	uint32_t to, call, times;
	bool each;
};

static uint64_t call_back(const void *self, uint64_t r1, uint64_t r2,
			  uint64_t r3, uint64_t r4)
{
	const struct back *b = self;
	const uint64_t args[6] = { 0, r1, r2, r3, r4, 0 };
	struct judge *j = b->j;
	uint64_t was = j->key, nwas = j->nkey, r0;

	j->frame[j->depth].left = b->times - (b->each ? 0 : (uint32_t)r1);
	if (b->each) {
		j->key = r2;
		j->nkey = ((const struct region_map *)r1)->key_size;
	}
	r0 = stops(j) ? 1
		      : enter(j, b->to, args, b->call, b->each ? 0x3e : 0x6);
	j->frame[j->depth].left = 0;
	j->key = was;
	j->nkey = nwas;
	return r0;
}

static uint64_t helper(struct judge *j, uint32_t i, const uint64_t *regs)
{
	int32_t id = j->p->insn[i].imm;
	uint64_t r[6], r0;
	const struct helper *h = helper_find((uint32_t)id);
	struct back b = { j, 0, i, 0, id == BPF_FUNC_for_each_map_elem };

	memcpy(r, regs, sizeof(r));
	for (unsigned k = 0; h && k < 5 && !j->wrong[0]; k++)
		check_given(j, h, k, r);
	records_before(j, id, r);
	if (!h || j->wrong[0])
		return 0;
	b.to = (uint32_t)((r[2] - j->place->code) / 8);
	switch (id) {
	case BPF_FUNC_loop:
		b.times = (uint32_t)r[1];
		return loop_run(r[1], r[4], r[3], call_back, &b);
	case BPF_FUNC_for_each_map_elem:
		return map_each((const void *)r[1], r[4], r[3], call_back, &b,
				&shared);
	}
	r0 = world_call((uint32_t)id, r, &shared);
	records_after(j, id, r, r0);
	return r0;
}

static void calls(struct judge *j, struct judge_frame *f, uint32_t i,
		  uint16_t regs)
{
	const struct bpf_insn *insn = &j->p->insn[i];
	uint64_t *r = f->r;

	r[0] = insn->src_reg == BPF_PSEUDO_CALL
		       ? enter(j, i + 1 + (uint32_t)insn->imm, r, i, regs)
		       : helper(j, i, r);
	if (!insn->src_reg)
		j->has_result = true;
	f->regs = (f->regs & ~1) | j->has_result;
	for (unsigned k = 1; k <= 5; k++)
		r[k] = 0xdead000000000000 + k;
}

/* --- registers that were set ------------------------------------------- */

static uint16_t bit(unsigned r)
{
	return (uint16_t)(1u << r);
}

static uint16_t call_reads(const struct bpf_insn *i)
{
	const struct helper *h = helper_find((uint32_t)i->imm);
	uint16_t m = 0;

	for (unsigned k = 0; k < 5 && !i->src_reg && h; k++)
		if (h->arg[k] != ARG_NONE && h->arg[k] != ARG_VARARG &&
		    !arg_unused(h->arg[k]))
			m |= bit(k + 1);
	return m;
}

static uint16_t reads(const struct bpf_insn *i)
{
	uint16_t src = BPF_SRC(i->code) == BPF_X ? bit(i->src_reg) : 0;
	uint16_t dst = bit(i->dst_reg);

	switch (BPF_CLASS(i->code)) {
	case BPF_ALU:
	case BPF_ALU64:
		if (BPF_OP(i->code) == BPF_END)
			return dst;
		return BPF_OP(i->code) == BPF_MOV ? src : dst | src;
	case BPF_LD:
		return 0;
	case BPF_LDX:
		return bit(i->src_reg);
	case BPF_ST:
		return dst;
	case BPF_STX:
		return dst | bit(i->src_reg) |
		       (BPF_MODE(i->code) == BPF_ATOMIC && i->imm == BPF_CMPXCHG
				? 1
				: 0);
	}
	if (is_call(i))
		return call_reads(i);
	if (is_guard(i))
		return i->src_reg == GUARD_RANGE ? dst : 0;
	return is_goto(i) || is_exit(i) ? 0 : dst | src;
}

/* A subprogram need not have a result; whoever else calls wants one. */
static void see_result(struct judge *j, const struct judge_frame *f)
{
	j->has_result = f->regs & 1;
	if (!j->has_result &&
	    (f->call == UINT32_MAX || !j->p->insn[f->call].src_reg))
		wrong(j, "has no result");
}

/* Before it is run. */
static void see_regs(struct judge *j, struct judge_frame *f,
		     const struct bpf_insn *i)
{
	uint16_t unset = reads(i) & ~f->regs;

	if (unset)
		wrong(j, "reads r%d, which was not set", __builtin_ctz(unset));
	if (is_call(i))
		f->regs = (f->regs & ~0x3f) | 1;
	else if (BPF_CLASS(i->code) <= BPF_LDX ||
		 BPF_CLASS(i->code) == BPF_ALU ||
		 BPF_CLASS(i->code) == BPF_ALU64)
		f->regs |= bit(i->dst_reg);
}

/* --- all of it --------------------------------------------------------- */

static uint64_t wide(const struct judge *j, const struct bpf_insn *i)
{
	switch (i->src_reg) {
	case BPF_PSEUDO_MAP_FD:
		return world_map(i->imm);
	case BPF_PSEUDO_MAP_VALUE:
		return world_data(i->imm) + (uint32_t)i[1].imm;
	case BPF_PSEUDO_FUNC:
		return j->place->code + 8 * (uint64_t)(uint32_t)i->imm;
	}
	return (uint32_t)i->imm | (uint64_t)(uint32_t)i[1].imm << 32;
}

static void guard(struct judge *j, const struct bpf_insn *i, const uint64_t *r)
{
	if (i->src_reg == GUARD_RANGE && r[i->dst_reg] > (uint32_t)i->imm)
		j->failed = true;
	if (is_guard_of(i, GUARD_LOOP) || is_guard_of(i, GUARD_TURN)) {
		j->used_up += (uint32_t)i->imm;
		j->failed |= j->used_up > GUARD_LEFT;
	}
}

/* Where the next frame's stack is, and what is in it. */
static void begin(struct judge *j, struct judge_frame *f, uint32_t call)
{
	f->call = call;
	f->left = 0;
	f->stack = j->place->frame[j->depth];
	memset(f->stack, j->place->fill, JUDGE_STACK);
	memset(f->set, 0, sizeof(f->set));
	for (unsigned k = 0; k < 10; k++)
		f->r[k] = 0xdead000000000010 + k + j->place->fill;
	f->r[10] = (uint64_t)f->stack + JUDGE_STACK;
}

/* Where a helper has a key on our own stack, no place moves it far. */
static bool compares_key(const struct judge *j, const struct bpf_insn *k,
			 const uint64_t *r)
{
	return r[k->dst_reg] - j->key < j->nkey ||
	       (BPF_SRC(k->code) == BPF_X && r[k->src_reg] - j->key < j->nkey);
}

static uint64_t run(struct judge *j, uint32_t i, const uint64_t *args,
		    uint32_t call, uint16_t regs)
{
	struct judge_frame *f = &j->frame[j->depth];
	uint16_t given = 0;

	begin(j, f, call);
	memcpy(f->r + 1, args + 1, 5 * sizeof(*args));
	f->regs = (regs & 0x3e) | bit(10);
	for (;; i++) {
		const struct bpf_insn *k = &j->p->insn[i];

		if (!stops(j) && !is_guard_of(k, GUARD_RUN) &&
		    ++j->steps > JUDGE_STEPS)
			j->too_long = true;
		if (!stops(j)) {
			j->at = i;
			if (j->see && j->see(j, i, j->arg))
				wrong(j, "stopped");
			given = f->regs;
			see_regs(j, f, k);
		}
		if (stops(j))
			return 1;
		switch (BPF_CLASS(k->code)) {
		case BPF_ALU:
		case BPF_ALU64:
			judge_alu(k, f->r);
			break;
		case BPF_LD:
			f->r[k->dst_reg] = wide(j, k);
			i++;
			break;
		case BPF_LDX:
			load(j, k, f->r);
			break;
		case BPF_ST:
		case BPF_STX:
			store(j, k, f->r);
			break;
		default:
			if (is_exit(k)) {
				see_result(j, f);
				return f->r[0];
			}
			if (is_call(k))
				calls(j, f, i, given);
			else if (k->code == GUARD)
				guard(j, k, f->r);
			else {
				j->by_chance |= compares_key(j, k, f->r);
				if (judge_taken(k, f->r))
					i = jump_target(k, i) - 1;
			}
		}
	}
}

void judge_run(struct judge *j)
{
	const uint64_t args[6] = { 0, (uint64_t)j->place->ctx };

	/* What helpers have on our stack is elsewhere, too. */
	*(volatile uint8_t *)alloca(j->place->below + 1) = 0;
	memset(&shared, 0, sizeof(shared));
	j->used_up = 0;
	j->depth = j->steps = j->nrecord = 0;
	j->nkey = 0;
	j->failed = j->too_long = j->by_chance = false;
	j->wrong[0] = 0;
	j->result = run(j, 0, args, UINT32_MAX, bit(1));
	run_end(&shared);
	if (j->failed)
		j->result = 0;
	if (stops(j))
		return;
	for (uint32_t k = 0; k < j->nrecord; k++)
		if (j->record[k].live)
			wrong(j, "ends with a record that it has not given "
				 "away");
}
