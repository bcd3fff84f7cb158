/* SPDX-License-Identifier: MIT */
/* call.c - calls and exits.
 *
 *   of a helper      arguments (args.c), then what is special about it, then
 *                    r0; r1 to r5 are nothing
 *   that calls back  two ways: no call any more, so on behind it; one more, so
 *                    into the subprogram, whose exit leads to the call again,
 *                    with the same arguments.  walk.c sees to its end
 *   of a subprogram  into it, as if it stood here; its exit leads behind the
 * call
 *
 * Rules and words: kernel/bpf/verifier.c, check_helper_call(),
 * push_callback_call(), check_func_call(), prepare_func_exit().
 */
#include <assert.h>

#include "rewriter/verify/call.h"
#include "runtime-stub/layout.h"

enum {
	ERRNO_MAX = 4095,
	CPUS_MAX = 8192,         /* of any x86-64 kernel */
	SAMPLES_MAX = 128 << 10, /* BPF_MAX_USER_RINGBUF_SAMPLES */
	KEY_SIZE = 4,            /* of arrays */
	ROUNDS_MAX = 32,         /* that are counted */
	ELEMENT_STEPS = 4 /* instructions, to an element, or to see that there is
			     none */
};

/* --- results ----------------------------------------------------------- */

static void result_VOID(struct call *c, struct reg *r0)
{
	(void)c;
	reg_nothing(r0);
}

static void result_SCALAR(struct call *c, struct reg *r0)
{
	struct range n = range_any();

	if (c->id == BPF_FUNC_get_smp_processor_id)
		n = range_unsigned(0, CPUS_MAX - 1);
	reg_number(r0, n, c->v->i);
}

static void result_TASK(struct call *c, struct reg *r0)
{
	reg_pointer(r0, TASK, c->v->i);
}

static void result_ERRNO(struct call *c, struct reg *r0)
{
	reg_number(r0, range_any(), c->v->i);
}

/* How many bytes were written. */
static void result_LENGTH(struct call *c, struct reg *r0)
{
	reg_number(r0, range_signed(-ERRNO_MAX, (int64_t)c->size), c->v->i);
}

static void may_be_null(struct call *c, struct reg *r0)
{
	r0->null = true;
	r0->id = ++c->v->ids;
}

/* The key in r2, where it is known. */
static bool known_key(struct verify *v, uint64_t *key)
{
	const struct reg *r = reg(v, 2);
	int64_t off = (int64_t)r->n.bits.value;
	const struct slot *s;
	struct frame *f;
	struct reg n;

	if (r->kind != FRAME || !range_is_const(&r->n) || off % KEY_SIZE)
		return false;
	f = v->s->frame[r->frame];
	s = &f->slot[(-off - 1) / 8];
	if (s->byte[off & 7] == SPILL && s->reg.kind != NUMBER)
		return false;
	if (stack_read(v, f, off, KEY_SIZE, &n))
		return false;
	*key = n.n.bits.value;
	return range_is_const(&n.n);
}

/* An array has all its elements.  (What is in a map of maps may be shorter; a
 * value of one CPU is not to be had when all are in use.) */
static bool surely_there(struct call *c)
{
	const struct bpf_set *set = c->v->set;
	uint64_t key;

	return c->id == BPF_FUNC_map_lookup_elem &&
	       c->map->type == BPF_MAP_TYPE_ARRAY && c->map >= set->map &&
	       c->map < set->map + set->nmap && known_key(c->v, &key) &&
	       key < c->map->max_entries;
}

static void result_VALUE_OR_NULL(struct call *c, struct reg *r0)
{
	bool there = surely_there(c);

	reg_pointer(r0, c->map->inner ? MAP : VALUE, c->v->i);
	r0->map = c->map->inner ? c->map->inner : c->map;
	if (!there)
		may_be_null(c, r0);
}

static void result_RECORD_OR_NULL(struct call *c, struct reg *r0)
{
	reg_pointer(r0, MEM, c->v->i);
	r0->size = (uint32_t)c->constant;
	r0->null = true;
	r0->id = r0->ref = reference_get(c->v);
}

static void result_MEM_OR_NULL(struct call *c, struct reg *r0)
{
	const struct handle *h = &c->handle;

	reg_pointer(r0, MEM, c->v->i);
	r0->size = (uint32_t)c->constant;
	r0->ref = h->ref ? h->ref : h->id;
	r0->rdonly = h->rdonly || c->id == OURS_DYNPTR_SLICE;
	may_be_null(c, r0);
}

/* The iterator's number, while it is there; iter_drained() has the other way.
 */
static void result_NUMBER_OR_NULL(struct call *c, struct reg *r0)
{
	if (c->handle.slot->drained) {
		reg_number(r0, range_const(0), c->v->i);
		return;
	}
	reg_pointer(r0, MEM, c->v->i);
	r0->size = sizeof(uint32_t);
	r0->ref = c->handle.ref;
	r0->rdonly = true;
}

/* --- prototypes -------------------------------------------------------- */

#define arg_NONE arg_UNUSED
static const struct proto protos[] = {
#define HELPER(id, name, ret, a1, a2, a3, a4, a5)                              \
	[id] = { "bpf_" #name,                                                 \
		 result_##ret,                                                 \
		 { arg_##a1, arg_##a2, arg_##a3, arg_##a4, arg_##a5 } },
#include "runtime-stub/helpers.def"
};

/* Of any other helper, check.c has refused the call. */
static const struct proto *proto_of(uint32_t id)
{
	assert(id < sizeof(protos) / sizeof(*protos) && protos[id].name);
	return &protos[id];
}

const char *proto_name(uint32_t id)
{
	return proto_of(id)->name;
}

/* --- what is special --------------------------------------------------- */

static int leave(struct verify *v, uint32_t *next);

static void forget_args(struct verify *v)
{
	for (unsigned r = 0; r <= 5; r++)
		reg_nothing(reg(v, r));
}

/* The state as it is behind the call. */
static struct state *behind(struct call *c, const struct reg *r0)
{
	struct verify *v = c->v;
	struct state *was = v->s, *s = state_copy(v->s);

	v->s = s;
	forget_args(v);
	*reg(v, 0) = *r0;
	top(s)->left = 0;
	v->s = was;
	return s;
}

/* Behind the call there may be nobody to give things back. */
static int tail_call(struct call *c, const struct reg *r0, uint32_t *next)
{
	struct verify *v = c->v;

	if (v->s->nframe == 1 &&
	    references_left(v, ": tail_call would lead to reference leak"))
		return -1;
	if (walk_later(v, behind(c, r0), *next))
		return -1;
	/* It was taken: the function ends there, with any result. */
	reg_number(reg(v, 0), range_any(), v->i);
	return leave(v, next);
}

/* It may be at its end, too. */
static int iter_drained(struct call *c, uint32_t next)
{
	struct slot *slot = c->handle.slot;
	struct state *s;
	struct reg null;

	reg_number(&null, range_const(0), c->v->i);
	slot->drained = true;
	s = behind(c, &null);
	slot->drained = false;
	return walk_later(c->v, s, next);
}

/* --- callbacks --------------------------------------------------------- */

/* NULL: refused. */
static struct frame *push(struct verify *v, uint32_t sub)
{
	if (v->s->nframe < FRAMES)
		return frame_push(v->s, sub, v->i);
	refuse_at(v, -1, "inline some",
		  "the call stack of %u frames is too deep !",
		  v->s->nframe + 1);
	return NULL;
}

/* An element's key, in memory of the helper's. */
static void key_in(struct verify *v, struct frame *f,
		   const struct bpf_map_def *m)
{
	struct reg *r = &f->r[2];

	reg_pointer(r, MEM, v->i);
	r->size = m->key_size;
	r->rdonly = true;
	r->ref = f->lent;
}

static void value_in(struct verify *v, struct reg *r,
		     const struct bpf_map_def *m)
{
	reg_pointer(r, VALUE, v->i);
	r->map = m;
}

/* bpf_loop(): below what r1 says. */
static struct range loop_index(const struct reg *times)
{
	uint32_t n = times->n.umax32;

	return range_unsigned(0, n < LOOPS_MAX ? n - 1 : LOOPS_MAX - 1);
}

static void callback_args(struct call *c, const struct frame *from,
			  struct frame *f)
{
	struct verify *v = c->v;

	switch (c->id) {
	case BPF_FUNC_loop:
		reg_number(&f->r[1], loop_index(&from->r[1]), v->i);
		f->r[2] = from->r[3];
		break;
	case BPF_FUNC_for_each_map_elem:
		f->r[1] = from->r[1];
		key_in(v, f, c->map);
		value_in(v, &f->r[3], c->map);
		f->r[4] = from->r[3];
		break;
	case BPF_FUNC_user_ringbuf_drain:
		reg_pointer(&f->r[1], DYNPTR, v->i);
		f->r[1].id = f->lent;
		f->r[2] = from->r[3];
		break;
	}
}

static int call_back(struct call *c, const struct reg *r0, uint32_t *next)
{
	struct verify *v = c->v;
	const struct frame *from = top(v->s);
	struct frame *f;

	if (walk_later(v, behind(c, r0), *next))
		return -1;
	f = push(v, c->callee);
	if (!f)
		return -1;
	f->callback = true;
	f->lent = ++v->ids;
	turn_begins(v, c->callee);
	callback_args(c, from, f);
	*next = c->callee;
	return 0;
}

/* What is in a map of maps may have more than its pattern. */
static uint32_t elements(const struct verify *v, const struct bpf_map_def *m)
{
	const struct bpf_set *set = v->set;
	uint32_t most = m->max_entries;

	if (m >= set->map && m < set->map + set->nmap)
		return most;
	for (uint32_t k = 0; k < set->nmap; k++)
		if (most < set->map[k].max_entries)
			most = set->map[k].max_entries;
	return most;
}

/* A ring that is being drained is busy to who drains it in the callback. */
static bool is_busy(const struct verify *v, const struct bpf_map_def *ring)
{
	const struct bpf_set *set = v->set;

	for (uint32_t k = 1; k < v->s->nframe; k++) {
		const struct frame *f = v->s->frame[k];

		if (f->callback && v->s->frame[k - 1]->r[1].map == ring &&
		    v->p->insn[f->call].imm == BPF_FUNC_user_ringbuf_drain)
			return ring >= set->map && ring < set->map + set->nmap;
	}
	return false;
}

/* (Arguments may not have been looked at yet.) */
uint32_t call_turns(struct verify *v)
{
	const struct reg *r = reg(v, 1);

	switch (v->p->insn[v->i].imm) {
	case BPF_FUNC_loop:
		return r->kind == NUMBER && r->n.umax32 < LOOPS_MAX
			       ? r->n.umax32
			       : LOOPS_MAX;
	case BPF_FUNC_for_each_map_elem:
		return r->kind == MAP ? elements(v, r->map) + HASH_SPARE
				      : LOOPS_MAX;
	}
	return is_busy(v, r->map) ? 0 : SAMPLES_MAX;
}

uint32_t call_rounds(struct verify *v)
{
	uint32_t n = call_turns(v);

	if (v->p->insn[v->i].imm != BPF_FUNC_loop)
		return MANY;
	return !n || (v->by_turns && n <= ROUNDS_MAX) ? n : MANY;
}

uint64_t call_scan(struct verify *v)
{
	if (v->p->insn[v->i].imm != BPF_FUNC_for_each_map_elem)
		return 0;
	return (uint64_t)ELEMENT_STEPS * call_turns(v);
}

/* --- helpers ----------------------------------------------------------- */

/* bpf_snprintf(): the format is constant, and its data an array of u64. */
static int check_format(struct call *c)
{
	const struct reg *fmt = reg(c->v, 3);
	uint64_t size = reg(c->v, 5)->n.bits.value; /* as the kernel has it */
	const uint8_t *text = fmt->map->initial.p + fmt->n.bits.value;

	if (size % 8)
		return refuse_at(c->v, 5, "data is an array of u64",
				 "data_len=%llu is no multiple of 8",
				 (unsigned long long)size);
	if (format_fits((const char *)text, size / 8))
		return 0;
	return refuse_at(c->v, 3, "are there arguments enough for it?",
			 "Invalid format string");
}

static bool may_call_back(const struct call *c)
{
	return c->p->arg[1] == arg_CALLBACK && top(c->v->s)->left;
}

/* Where the call has more than one way to go on; *next: behind it. */
static int ways(struct call *c, const struct reg *r0, uint32_t *next)
{
	struct verify *v = c->v;

	if (c->id == BPF_FUNC_tail_call)
		return tail_call(c, r0, next);
	if (may_call_back(c))
		return call_back(c, r0, next);
	if (c->id == OURS_ITER_NEXT && !c->handle.slot->drained) {
		turn_begins(v, v->i);
		if (iter_drained(c, *next))
			return -1;
		iter_moved(v, 1);
	}
	forget_args(v);
	*reg(v, 0) = *r0;
	return 0;
}

static int call_helper(struct verify *v, uint32_t id, uint32_t *next)
{
	struct call c = { .v = v, .id = id, .p = proto_of(id) };
	struct reg r0;

	for (unsigned i = 0; i < 5; i++)
		if (c.p->arg[i](&c, i + 1))
			return -1;
	if (id == BPF_FUNC_snprintf && check_format(&c))
		return -1;
	call_takes(v, helper_steps(&c));
	c.p->result(&c, &r0);
	if (id == BPF_FUNC_ringbuf_reserve && !r0.ref)
		return -1;
	return ways(&c, &r0, next);
}

/* --- subprograms and exits --------------------------------------------- */

static int call_sub(struct verify *v, uint32_t sub, uint32_t *next)
{
	struct frame *caller = top(v->s), *f = push(v, sub);

	if (!f)
		return -1;
	for (unsigned r = 1; r <= 5; r++)
		f->r[r] = caller->r[r];
	for (unsigned r = 0; r <= 5; r++)
		reg_nothing(&caller->r[r]);
	*next = sub;
	return 0;
}

int step_call(struct verify *v, uint32_t *next)
{
	const struct bpf_insn *i = &v->p->insn[v->i];

	*next = v->i + 1;
	if (i->src_reg == BPF_PSEUDO_CALL)
		return call_sub(v, v->i + 1 + (uint32_t)i->imm, next);
	return call_helper(v, (uint32_t)i->imm, next);
}

/* Is r0 0 or 1? */
static int check_result(struct verify *v, const char *when)
{
	const struct reg *r = reg(v, 0);
	struct range few = range_unsigned(0, 1);

	if (r->kind != NUMBER)
		return refuse_at(v, 0, NULL,
				 "%s the register R0 is not a "
				 "scalar value (%s)",
				 when, kind_name(r));
	if (range_within(&r->n, &few))
		return 0;
	return refuse_at(v, 0, "return 0 or 1",
			 "%s the register R0 has smin=%lld smax=%lld should "
			 "have been in [0, 1]",
			 when, (long long)r->n.smin, (long long)r->n.smax);
}

/* Addresses of a frame end with it. */
static void frame_lost(struct reg *r, void *arg)
{
	const struct state *s = arg;

	if (r->kind == FRAME && r->frame == s->nframe)
		reg_spoilt(r, NO_INSN);
}

/* The running function is left; what it holds is the caller's.  Back to the
 * call of a callback, or behind the call of a subprogram. */
static int leave(struct verify *v, uint32_t *next)
{
	struct state *s = v->s;
	const struct frame *f = top(s);
	struct reg r0 = f->r[0];
	bool callback = f->callback;
	uint32_t sub = f->sub;

	if (s->nframe == 1) {
		*next = NO_INSN;
		return 0;
	}
	*next = callback ? f->call : f->call + 1;
	if (callback && references_kept(v))
		return -1;
	if (callback)
		pointers_lost(v, f->lent);
	frame_pop(s);
	state_each(s, frame_lost, s);
	top(s)->again = callback;
	if (callback)
		s->site = sub; /* where the turn began */
	else
		*reg(v, 0) = r0;
	return 0;
}

static int exit_program(struct verify *v)
{
	if (references_left(v, "") || reg_is_set(v, 0))
		return -1;
	return v->p->session ? check_result(v, "At program exit") : 0;
}

int step_exit(struct verify *v, uint32_t *next)
{
	const struct reg *r0 = reg(v, 0);

	if (v->s->nframe == 1 && exit_program(v))
		return -1;
	if (top(v->s)->callback && check_result(v, "At callback return"))
		return -1;
	if (r0->kind == FRAME && v->s->nframe > 1)
		return refuse_at(v, 0, NULL,
				 "cannot return stack pointer to the caller");
	return leave(v, next);
}
