/* SPDX-License-Identifier: MIT */
/* memory.c - what a program reads and writes.
 *
 * A pointer is into something of a known size, at an offset of known bounds;
 * whoever's bounds are inside is proved.  Whoever's are all outside is refused.
 * In between, the number that made the offset variable can be guarded where it
 * was added.
 */
#include "rewriter/verify/verifier.h"

#include <string.h>

#include "runtime-stub/abi.h"
#include "runtime-stub/task.h"

enum {
	MEMSX = 0x80
}; /* newer than Debian 12's <linux/bpf.h> */

static const struct bpf_insn *insn(const struct verify *v)
{
	return &v->p->insn[v->i];
}

static unsigned width(uint8_t code)
{
	static const uint8_t bytes[] = { 4, 2, 1, 8 };

	return bytes[BPF_SIZE(code) >> 3];
}

/* --- what is allowed --------------------------------------------------- */

static int wrong_kind(struct verify *v, const struct reg *r, unsigned no)
{
	const char *hint = NULL;

	if (r->null)
		hint = "compare it with NULL first";
	else if (r->kind == NUMBER)
		hint = number_hint(
			v, r,
			"read what it may point to by bpf_probe_read_user()");
	return refuse_at(v, (int)no, hint, "R%u invalid mem access '%s'", no,
			 kind_name(r));
}

/* What is done there, where the message does not tell: by a helper. */
static const char *done(struct verify *v, uint64_t size, int access)
{
	static const char *const verbs[] = {
		[ACCESS_READ] = "reads",
		[ACCESS_WRITE] = "writes",
		[ACCESS_READ | ACCESS_WRITE] = "reads and writes",
	};

	return arena_printf(v->a, "%s %s %s%llu byte%s",
			    access & ACCESS_HELPER ? helper_at(v, v->i) : "it",
			    verbs[access & (ACCESS_READ | ACCESS_WRITE)],
			    access & ACCESS_AT_MOST ? "up to " : "",
			    (unsigned long long)size, size == 1 ? "" : "s");
}

static int map_allows(struct verify *v, const struct reg *r, int64_t off,
		      uint64_t size, int access)
{
	const struct bpf_map_def *m = r->map;
	const char *what = NULL;

	if ((access & ACCESS_WRITE) &&
	    (bpf_frozen(m) || m->flags & BPF_F_RDONLY_PROG))
		what = "write into";
	else if ((access & ACCESS_READ) && m->flags & BPF_F_WRONLY_PROG)
		what = "read from";
	if (!what)
		return 0;
	return refuse_at(v, -1,
			 access & ACCESS_HELPER ? done(v, size, access) : NULL,
			 "%s map forbidden, value_size=%u off=%lld size=%llu",
			 what, m->value_size, (long long)(r->n.smin + off),
			 (unsigned long long)size);
}

/* The offsets at which an access begins.  What was widened may be anything; FAR
 * is beyond all there is, and can be added to. */
static const int64_t FAR = INT64_C(1) << 40;

static int64_t lowest(const struct reg *r, int64_t off)
{
	return (r->n.smin > -FAR ? r->n.smin : -FAR) + off;
}

static int64_t highest(const struct reg *r, int64_t off)
{
	return (r->n.smax < FAR ? r->n.smax : FAR) + off;
}

/* What there is, for who goes beyond it. */
static const char *room_name(struct verify *v, const struct reg *r)
{
	if (r->kind == FRAME)
		return "the stack is from -512 to 0";
	if (r->kind == VALUE && r->map->name)
		return arena_printf(v->a, "'%s' has %u", r->map->name,
				    r->map->value_size);
	return arena_printf(v->a, "there are %u",
			    r->kind == VALUE ? r->map->value_size : r->size);
}

/* What to do about it: check what varies, or see that it cannot do. */
static const char *beyond(struct verify *v, const struct reg *r, int64_t off,
			  uint64_t size, int access)
{
	bool upto = access & ACCESS_AT_MOST;

	if (range_is_const(&r->n))
		return arena_printf(v->a, "%s at %lld, %s%s",
				    done(v, size, access),
				    (long long)lowest(r, off), room_name(v, r),
				    upto ? ": check the size first" : "");
	if (!(access & ACCESS_HELPER))
		return "check the index first";
	return arena_printf(v->a, "%s there: check the %s first",
			    done(v, size, access), upto ? "size" : "index");
}

/* The kernel does not know what helpers do. */
static const char *stack_way(int access)
{
	if (access & ACCESS_HELPER)
		return "indirect access to";
	return access & ACCESS_READ ? "read from" : "write to";
}

static int outside(struct verify *v, const struct reg *r, unsigned no,
		   int64_t off, uint64_t size, int access)
{
	const char *hint = beyond(v, r, off, size, access);
	long long at = lowest(r, off);

	switch (r->kind) {
	case FRAME:
		return refuse_at(v, (int)no, hint,
				 "invalid %s%s stack R%u off=%lld size=%llu",
				 range_is_const(&r->n) ? "" : "variable-offset ",
				 stack_way(access), no, at,
				 (unsigned long long)size);
	case VALUE:
		return refuse_at(v, (int)no, hint,
				 "invalid access to map value, value_size=%u "
				 "off=%lld size=%llu",
				 r->map->value_size, at,
				 (unsigned long long)size);
	}
	return refuse_at(v, (int)no, hint,
			 "invalid access to memory, mem_size=%u off=%lld "
			 "size=%llu",
			 r->size, at, (unsigned long long)size);
}

/* The number that was added to the pointer is to blame. */
static int guard(struct verify *v, const struct reg *r, int64_t room)
{
	const struct bpf_insn *add = &v->p->insn[r->added];

	return want_range(v, r->added, r->by_src ? add->src_reg : add->dst_reg,
			  (uint64_t)room);
}

static int bounds(struct verify *v, const struct reg *r, unsigned no,
		  int64_t off, uint64_t size, int access)
{
	int64_t low = r->kind == FRAME ? -STACK : 0, high = 0;
	int64_t min = lowest(r, off), max = highest(r, off);
	int64_t room;

	if (r->kind == VALUE)
		high = r->map->value_size;
	else if (r->kind == MEM)
		high = r->size;
	if (size > INT32_MAX)
		return outside(v, r, no, off, size, access);
	if (r->kind == FRAME && !size) /* r10 is no place */
		high--;
	if (min >= low && max <= high - (int64_t)size)
		return 0;
	room = high - (int64_t)size - off - r->rest;
	if (max < low || min > high - (int64_t)size || room < 0 ||
	    r->added == NO_INSN || range_is_const(&r->n))
		return outside(v, r, no, off, size, access);
	outside(v, r, no, off, size, access);
	return guard(v, r, room);
}

static int check_ctx(struct verify *v, const struct reg *r, unsigned no,
		     int64_t off, uint64_t size, int access)
{
	int64_t at = lowest(r, off);

	if (range_is_const(&r->n) && r->n.smin)
		return refuse_at(v, (int)no, "use constant offsets from it",
				 "dereference of modified ctx ptr R%u off=%lld "
				 "disallowed",
				 no, (long long)at);
	if (!range_is_const(&r->n))
		return refuse_at(v, -1, NULL,
				 "variable ctx access off=%lld size=%llu",
				 (long long)at, (unsigned long long)size);
	if (access & ACCESS_WRITE)
		return refuse_at(v, -1, NULL,
				 "write to ctx off=%lld size=%llu: ctx is read "
				 "only",
				 (long long)at, (unsigned long long)size);
	if (at >= 0 && at + (int64_t)size <= PT_REGS_SIZE &&
	    at % (int64_t)size == 0)
		return 0;
	if (at == HIT_SESSION && session_loads(v->p, v->i))
		return 0;
	return refuse_at(v, -1, NULL,
			 "invalid bpf_context access off=%lld size=%llu",
			 (long long)at, (unsigned long long)size);
}

static int check_aligned(struct verify *v, const struct reg *r, int64_t off,
			 uint64_t size)
{
	uint64_t low = (r->n.bits.value + (uint64_t)off) | r->n.bits.mask;

	if (!(low & (size - 1)))
		return 0;
	return refuse_at(v, -1, NULL, "misaligned %s access off %lld size %llu",
			 r->kind == FRAME ? "stack" : "value",
			 (long long)(r->n.smin + off),
			 (unsigned long long)size);
}

/* What of the stack is looked at again, and matters, was found in another way
 * (live.c), which has to know of this access: else paths are taken to be alike
 * that are not. */
static bool is_followed(const struct verify *v, const struct reg *r,
			int64_t off, uint64_t size, int access)
{
	const struct frame *f = v->s->frame[r->frame];
	int64_t from = r->n.smin + off, to = r->n.smax + off + (int64_t)size;

	if (f != top(v->s))
		return live_lets_out(v->live, v->p, f->sub);
	if (access & ACCESS_READ)
		return live_follows(v->live, v->p, v->i, from, to, false);
	return access & ACCESS_HELPER ||
	       live_follows(v->live, v->p, v->i, from, to, true);
}

int memory_check(struct verify *v, const struct reg *r, unsigned no,
		 int64_t off, uint64_t size, int access)
{
	struct frame *f;

	if (r->null)
		return wrong_kind(v, r, no);
	if (r->kind == TASK && access & ACCESS_WRITE)
		return refuse_at(v, (int)no, NULL,
				 "only read is supported: R%u is %s", no,
				 kind_name(r));
	if (r->kind == CTX && !(access & ACCESS_HELPER))
		return check_ctx(v, r, no, off, size, access);
	if (r->kind != FRAME && r->kind != VALUE && r->kind != MEM)
		return wrong_kind(v, r, no);
	if (bounds(v, r, no, off, size, access))
		return -1;
	if (r->kind == VALUE)
		return map_allows(v, r, off, size, access);
	if (r->kind == MEM && r->rdonly && access & ACCESS_WRITE)
		return refuse_at(v, (int)no, NULL,
				 "R%u cannot write into read-only memory", no);
	if (r->kind != FRAME)
		return 0;
	if (size && !is_followed(v, r, off, size, access))
		return refuse_at(v, (int)no, "take r10 for it",
				 "R%u leads to the stack in a way that cannot "
				 "be followed",
				 no);
	f = v->s->frame[r->frame];
	depth_uses(v, f, lowest(r, off));
	if (!(access & ACCESS_HELPER))
		return check_aligned(v, r, off, size);
	return stack_given(v, f, r->n.smin + off, r->n.smax + off, size,
			   access & ACCESS_WRITE);
}

/* --- loads ------------------------------------------------------------- */

/* Frozen data is what it is. */
static bool frozen_value(const struct reg *r, int64_t off, unsigned size,
			 uint64_t *out)
{
	const struct bpf_map_def *m = r->map;
	int64_t at = (int64_t)r->n.bits.value + off;

	if (r->kind != VALUE || !range_is_const(&r->n) || !bpf_frozen(m) ||
	    at < 0 || (uint64_t)at + size > m->initial.n)
		return false;
	*out = 0;
	memcpy(out, m->initial.p + at, size);
	return true;
}

static void sign_extend(struct reg *r, unsigned size, uint32_t from)
{
	if (r->kind != NUMBER || size == 8)
		return;
	reg_number(r,
		   range_alu(BPF_MOV, true, (int16_t)(8 * size), &r->n, &r->n),
		   from);
}

static int load_stack(struct verify *v, const struct reg *base, int64_t off,
		      unsigned size, struct reg *out)
{
	struct frame *f = v->s->frame[base->frame];
	int64_t min = base->n.smin + off, max = base->n.smax + off;

	if (min == max)
		return stack_read(v, f, min, size, out);
	reg_number(out, range_load(size, false), v->i);
	return stack_given(v, f, min, max, size, false);
}

/* What a session keeps is eight bytes of its own (session.c). */
static void load_ctx(struct verify *v, const struct reg *base, int64_t off,
		     unsigned size, struct reg *out)
{
	if (base->n.smin + off == HIT_SESSION) {
		reg_pointer(out, MEM, v->i);
		out->size = 8;
		return;
	}
	reg_number(out, range_load(size, false), v->i);
}

static int load(struct verify *v, const struct reg *base, int64_t off,
		unsigned size, struct reg *out)
{
	uint64_t known;

	if (base->kind == FRAME)
		return load_stack(v, base, off, size, out);
	if (base->kind == CTX)
		load_ctx(v, base, off, size, out);
	else
		reg_number(out, range_load(size, false), v->i);
	if (frozen_value(base, off, size, &known))
		out->n = range_const(known);
	return 0;
}

/* Of what is at `at` in struct task, how many bytes there are. */
static uint64_t task_room(uint64_t at)
{
#define FIELD(name, ...)                                                       \
	if (at - offsetof(struct task, name) <                                 \
	    sizeof(((struct task *)0)->name))                                  \
		return offsetof(struct task, name) +                           \
		       sizeof(((struct task *)0)->name) - at;
#include "runtime-stub/task.def"
	return 0;
}

static int load_task(struct verify *v, const struct reg *base, int64_t off,
		     unsigned size, struct reg *out)
{
	uint64_t at = (uint64_t)(base->n.smin + off - TASK_FIELDS);
	int no = insn(v)->src_reg;

	if (!range_is_const(&base->n))
		return refuse_at(v, no, "use constant offsets from it",
				 "R%d is %s invalid variable offset", no,
				 kind_name(base));
	if (task_room(at) < size)
		return refuse_at(
			v, no,
			"fields are where CO-RE finds them: give their struct "
			"the attribute preserve_access_index",
			"access beyond the fields of task_struct that are "
			"there: off=%lld size=%u",
			(long long)(base->n.smin + off), size);
	call_takes(v, TASK_STEPS);
	if (size == 8 && (at == offsetof(struct task, real_parent) ||
			  at == offsetof(struct task, group_leader)))
		reg_pointer(out, TASK, v->i);
	else
		reg_number(out, range_load(size, false), v->i);
	return 0;
}

/* Which of the two it is, is part of the instruction (reg_type_mismatch()). */
static int one_way(struct verify *v, enum base base)
{
	v->base[v->i] |= (uint8_t)base;
	if (v->base[v->i] != (BASE_TASK | BASE_OTHER))
		return 0;
	return refuse_at(v, insn(v)->src_reg,
			 "load from the task in a branch of its own",
			 "same insn cannot be used with different pointers");
}

int step_load(struct verify *v)
{
	const struct bpf_insn *i = insn(v);
	const struct reg *base = reg(v, i->src_reg);
	unsigned size = width(i->code);
	struct reg out;

	if (reg_is_set(v, i->src_reg))
		return -1;
	if (base->kind == TASK) {
		if (load_task(v, base, i->off, size, &out) ||
		    one_way(v, BASE_TASK))
			return -1;
	} else if (memory_check(v, base, i->src_reg, i->off, size,
				ACCESS_READ) ||
		   load(v, base, i->off, size, &out) || one_way(v, BASE_OTHER))
		return -1;
	if (BPF_MODE(i->code) == MEMSX)
		sign_extend(&out, size, v->i);
	*reg(v, i->dst_reg) = out;
	return 0;
}

/* --- stores ------------------------------------------------------------ */

static int store(struct verify *v, const struct reg *base, int64_t off,
		 unsigned size, const struct reg *value)
{
	struct frame *f;
	int64_t min = base->n.smin + off, max = base->n.smax + off;

	if (base->kind != FRAME)
		return 0;
	f = v->s->frame[base->frame];
	if (min == max)
		return stack_write(v, f, min, size, value);
	return stack_given(v, f, min, max, size, true);
}

int step_store(struct verify *v)
{
	const struct bpf_insn *i = insn(v);
	bool by_reg = BPF_CLASS(i->code) == BPF_STX;
	unsigned size = width(i->code);
	struct reg imm, value, base;

	if (reg_is_set(v, i->dst_reg) || (by_reg && reg_is_set(v, i->src_reg)))
		return -1;
	reg_number(&imm, range_const((uint64_t)(int64_t)i->imm), v->i);
	if (by_reg && reg(v, i->src_reg)->kind == NUMBER &&
	    !reg(v, i->src_reg)->id && !range_is_const(&reg(v, i->src_reg)->n))
		reg(v, i->src_reg)->id = ++v->ids;
	value = by_reg ? *reg(v, i->src_reg) : imm;
	base = *reg(v, i->dst_reg);
	if (memory_check(v, &base, i->dst_reg, i->off, size, ACCESS_WRITE))
		return -1;
	return store(v, &base, i->off, size, &value);
}

/* --- atomics ----------------------------------------------------------- */

enum {
	LOAD_ACQUIRE = 0x100,
	STORE_RELEASE = 0x110
};

static int atomic_base(struct verify *v, const struct reg *r, unsigned no,
		       unsigned size)
{
	if (r->kind == CTX)
		return refuse_at(v, (int)no, NULL,
				 "BPF_ATOMIC stores into R%u ctx is not "
				 "allowed",
				 no);
	if (memory_check(v, r, no, insn(v)->off, size,
			 ACCESS_READ | ACCESS_WRITE))
		return -1;
	return check_aligned(v, r, insn(v)->off, size);
}

/* These are plain loads and stores (vm.c). */
static int step_ordered(struct verify *v)
{
	const struct bpf_insn *i = insn(v);
	bool is_load = i->imm == LOAD_ACQUIRE;
	unsigned no = is_load ? i->src_reg : i->dst_reg;
	unsigned size = width(i->code);
	struct reg base = *reg(v, no), out;

	if ((!is_load && reg_is_set(v, i->dst_reg)) ||
	    reg_is_set(v, i->src_reg) ||
	    memory_check(v, &base, no, i->off, size,
			 is_load ? ACCESS_READ : ACCESS_WRITE) ||
	    check_aligned(v, &base, i->off, size))
		return -1;
	if (!is_load) {
		struct reg value = *reg(v, i->src_reg);

		return store(v, &base, i->off, size, &value);
	}
	if (load(v, &base, i->off, size, &out))
		return -1;
	*reg(v, i->dst_reg) = out;
	return 0;
}

int step_atomic(struct verify *v)
{
	const struct bpf_insn *i = insn(v);
	unsigned size = width(i->code);
	struct reg base = *reg(v, i->dst_reg), misc, was;

	if (i->imm == LOAD_ACQUIRE || i->imm == STORE_RELEASE)
		return step_ordered(v);
	if (reg_is_set(v, i->src_reg) || reg_is_set(v, i->dst_reg) ||
	    (i->imm == BPF_CMPXCHG && reg_is_set(v, 0)) ||
	    atomic_base(v, &base, i->dst_reg, size))
		return -1;
	if (load(v, &base, i->off, size, &was))
		return -1;
	reg_number(&misc, range_load(size, false), v->i);
	if (store(v, &base, i->off, size, &misc))
		return -1;
	if (was.kind != NUMBER)
		was = misc;
	if (i->imm == BPF_CMPXCHG)
		*reg(v, 0) = was;
	else if (i->imm & BPF_FETCH)
		*reg(v, i->src_reg) = was;
	return 0;
}
