/* SPDX-License-Identifier: MIT */
/* args.c - what helpers are given, a function for each class of helpers.def.
 *
 * Rules and words: kernel/bpf/verifier.c, check_func_arg().  Where only the
 * size of memory is too large, perhaps, a guard can see to it.
 */
#include <string.h>

#include "rewriter/verify/call.h"

enum {
	SIZE_MAX_KNOWN = 1 << 29
}; /* BPF_MAX_VAR_SIZ */

/* --- kinds ------------------------------------------------------------- */

static const char MEMORY[] = "fp, map_key, map_value, mem, ringbuf_mem";

static int is_set(struct call *c, unsigned no)
{
	if (reg(c->v, no)->kind != NOTHING)
		return 0;
	return refuse_at(c->v, -1, "set it before the call", "R%u !read_ok",
			 no);
}

static bool is_null(const struct reg *r)
{
	return r->kind == NUMBER && range_is_const(&r->n) && !r->n.bits.value;
}

static int expected(struct call *c, unsigned no, const char *what)
{
	const struct reg *r = reg(c->v, no);
	const char *hint = NULL;

	if (is_set(c, no))
		return -1;
	if (r->null)
		hint = "compare it with NULL first";
	else if (what == MEMORY && r->kind == NUMBER && !is_null(r))
		hint = number_hint(c->v, r,
				   "copy what it may point to by "
				   "bpf_probe_read_user()");
	return refuse_at(c->v, (int)no, hint, "R%u type=%s expected=%s", no,
			 kind_name(r), what);
}

static int is_memory(struct call *c, unsigned no)
{
	const struct reg *r = reg(c->v, no);

	if ((r->kind == FRAME || r->kind == VALUE || r->kind == MEM) &&
	    !r->null)
		return 0;
	return expected(c, no, MEMORY);
}

/* Of kinds that arithmetic is not for. */
static int is_unmoved(struct call *c, unsigned no)
{
	const struct reg *r = reg(c->v, no);

	if (range_is_const(&r->n) && !r->n.bits.value)
		return 0;
	return refuse_at(c->v, (int)no, NULL,
			 "dereference of modified %s ptr R%u off=%lld "
			 "disallowed",
			 kind_name(r), no, (long long)r->n.smin);
}

static int is_kind(struct call *c, unsigned no, enum kind kind,
		   const char *what)
{
	const struct reg *r = reg(c->v, no);

	if (r->kind != kind || r->null)
		return expected(c, no, what);
	return kind == FRAME ? 0 : is_unmoved(c, no);
}

/* --- numbers ----------------------------------------------------------- */

int arg_UNUSED(struct call *c, unsigned no)
{
	(void)c, (void)no;
	return 0;
}

int arg_VARARG(struct call *c, unsigned no)
{
	return arg_UNUSED(c, no);
}

/* An address is a number, too. */
int arg_SCALAR(struct call *c, unsigned no)
{
	return is_set(c, no);
}

/* What is known of the stack has to stay true.  (The kernel's helper writes to user
 * space alone.) */
int arg_ADDRESS(struct call *c, unsigned no)
{
	if (reg(c->v, no)->kind == FRAME)
		return expected(c, no, "scalar");
	return is_set(c, no);
}

int arg_NUMBER(struct call *c, unsigned no)
{
	if (is_set(c, no))
		return -1;
	if (reg(c->v, no)->kind == NUMBER)
		return 0;
	return refuse_at(c->v, (int)no, NULL, "R%u is not a scalar", no);
}

int arg_CONST(struct call *c, unsigned no)
{
	const struct reg *r = reg(c->v, no);

	if (r->kind != NUMBER)
		return expected(c, no, "scalar");
	if (!range_is_const(&r->n))
		return refuse_at(c->v, (int)no,
				 "how large it is must be known here",
				 "R%u is not a known constant", no);
	c->constant = r->n.bits.value;
	return 0;
}

/* --- ctx, functions ---------------------------------------------------- */

int arg_CTX(struct call *c, unsigned no)
{
	return is_kind(c, no, CTX, "ctx");
}

int arg_CTX_UNUSED(struct call *c, unsigned no)
{
	return arg_CTX(c, no);
}

int arg_CALLBACK(struct call *c, unsigned no)
{
	c->callee = reg(c->v, no)->size;
	return is_kind(c, no, FUNC, "func");
}

int arg_FRAME_OR_NULL(struct call *c, unsigned no)
{
	return is_null(reg(c->v, no)) ? 0 : is_kind(c, no, FRAME, "fp");
}

/* --- maps -------------------------------------------------------------- */

/* Which helpers a type of map is for; types without a row: any. */
static const struct {
	uint32_t type, helper[4];
} of_type[] = {
	// clang-format off
	{ BPF_MAP_TYPE_PROG_ARRAY,       { BPF_FUNC_tail_call } },
	{ BPF_MAP_TYPE_PERF_EVENT_ARRAY, { BPF_FUNC_perf_event_output } },
	{ BPF_MAP_TYPE_RINGBUF,          { BPF_FUNC_ringbuf_output,
					   BPF_FUNC_ringbuf_reserve,
					   BPF_FUNC_ringbuf_query,
					   BPF_FUNC_ringbuf_reserve_dynptr } },
	{ BPF_MAP_TYPE_USER_RINGBUF,     { BPF_FUNC_user_ringbuf_drain } },
	{ BPF_MAP_TYPE_STACK_TRACE,      { BPF_FUNC_get_stackid } },
	{ BPF_MAP_TYPE_ARRAY_OF_MAPS,    { BPF_FUNC_map_lookup_elem } },
	{ BPF_MAP_TYPE_HASH_OF_MAPS,     { BPF_FUNC_map_lookup_elem } },
	{ BPF_MAP_TYPE_QUEUE,            { BPF_FUNC_map_peek_elem,
					   BPF_FUNC_map_pop_elem,
					   BPF_FUNC_map_push_elem } },
	{ BPF_MAP_TYPE_STACK,            { BPF_FUNC_map_peek_elem,
					   BPF_FUNC_map_pop_elem,
					   BPF_FUNC_map_push_elem } },
	{ BPF_MAP_TYPE_BLOOM_FILTER,     { BPF_FUNC_map_peek_elem,
					   BPF_FUNC_map_push_elem } },
	// clang-format on
};

/* Which types of map a helper is for; helpers without a row: any. */
static const struct {
	uint32_t helper, type[6];
} of_helper[] = {
	// clang-format off
	{ BPF_FUNC_tail_call,              { BPF_MAP_TYPE_PROG_ARRAY } },
	{ BPF_FUNC_perf_event_output,      { BPF_MAP_TYPE_PERF_EVENT_ARRAY } },
	{ BPF_FUNC_ringbuf_output,         { BPF_MAP_TYPE_RINGBUF } },
	{ BPF_FUNC_ringbuf_reserve,        { BPF_MAP_TYPE_RINGBUF } },
	{ BPF_FUNC_ringbuf_query,          { BPF_MAP_TYPE_RINGBUF } },
	{ BPF_FUNC_ringbuf_reserve_dynptr, { BPF_MAP_TYPE_RINGBUF } },
	{ BPF_FUNC_user_ringbuf_drain,     { BPF_MAP_TYPE_USER_RINGBUF } },
	{ BPF_FUNC_get_stackid,            { BPF_MAP_TYPE_STACK_TRACE } },
	{ BPF_FUNC_map_pop_elem,           { BPF_MAP_TYPE_QUEUE,
					     BPF_MAP_TYPE_STACK } },
	{ BPF_FUNC_map_peek_elem,          { BPF_MAP_TYPE_QUEUE,
					     BPF_MAP_TYPE_STACK,
					     BPF_MAP_TYPE_BLOOM_FILTER } },
	{ BPF_FUNC_map_push_elem,          { BPF_MAP_TYPE_QUEUE,
					     BPF_MAP_TYPE_STACK,
					     BPF_MAP_TYPE_BLOOM_FILTER } },
	{ BPF_FUNC_map_lookup_percpu_elem, { BPF_MAP_TYPE_PERCPU_ARRAY,
					     BPF_MAP_TYPE_PERCPU_HASH,
					     BPF_MAP_TYPE_LRU_PERCPU_HASH } },
	{ BPF_FUNC_for_each_map_elem,      { BPF_MAP_TYPE_ARRAY,
					     BPF_MAP_TYPE_PERCPU_ARRAY,
					     BPF_MAP_TYPE_HASH,
					     BPF_MAP_TYPE_PERCPU_HASH,
					     BPF_MAP_TYPE_LRU_HASH,
					     BPF_MAP_TYPE_LRU_PERCPU_HASH } },
	// clang-format on
};

/* 0 is no helper and no type of map: it fills rows up. */
static bool among(const uint32_t *v, size_t n, uint32_t x)
{
	for (size_t i = 0; i < n; i++)
		if (v[i] == x)
			return true;
	return false;
}

static bool goes_with(uint32_t type, uint32_t helper)
{
	for (size_t i = 0; i < sizeof(of_type) / sizeof(*of_type); i++)
		if (of_type[i].type == type &&
		    !among(of_type[i].helper, 4, helper))
			return false;
	for (size_t i = 0; i < sizeof(of_helper) / sizeof(*of_helper); i++)
		if (of_helper[i].helper == helper &&
		    !among(of_helper[i].type, 6, type))
			return false;
	return true;
}

static bool changes_map(uint32_t helper)
{
	return helper == BPF_FUNC_map_update_elem ||
	       helper == BPF_FUNC_map_delete_elem ||
	       helper == BPF_FUNC_map_push_elem ||
	       helper == BPF_FUNC_map_pop_elem;
}

int arg_MAP(struct call *c, unsigned no)
{
	const struct bpf_map_def *m = reg(c->v, no)->map;

	if (is_kind(c, no, MAP, "map_ptr"))
		return -1;
	c->map = m;
	if (goes_with(m->type, c->id)) {
		if (m->flags & BPF_F_RDONLY_PROG && changes_map(c->id))
			return refuse_at(c->v, (int)no, NULL,
					 "write into map forbidden");
		return 0;
	}
	if (c->id == BPF_FUNC_for_each_map_elem)
		return refuse_at(c->v, (int)no, NULL,
				 "callback function not allowed for map");
	return refuse_at(c->v, (int)no, NULL,
			 "cannot pass map_type %u into func %s#%u", m->type,
			 c->p->name, c->id);
}

int arg_RING(struct call *c, unsigned no)
{
	return arg_MAP(c, no);
}

/* --- memory of a known size -------------------------------------------- */

/* (A copy: the stack may change under the register.) */
static int memory(struct call *c, unsigned no, uint64_t size, int access)
{
	struct reg r = *reg(c->v, no);

	return is_memory(c, no) || memory_check(c->v, &r, no, 0, size,
						access | ACCESS_HELPER)
		       ? -1
		       : 0;
}

int arg_KEY(struct call *c, unsigned no)
{
	return memory(c, no, c->map->key_size, ACCESS_READ);
}

int arg_VALUE(struct call *c, unsigned no)
{
	return memory(c, no, c->map->value_size, ACCESS_READ);
}

/* (A bloom filter is asked by what it may hold.) */
int arg_VALUE_OUT(struct call *c, unsigned no)
{
	if (c->map->type == BPF_MAP_TYPE_BLOOM_FILTER)
		return arg_VALUE(c, no);
	return memory(c, no, c->map->value_size, ACCESS_WRITE);
}

int arg_LONG_OUT(struct call *c, unsigned no)
{
	const struct reg *r = reg(c->v, no);

	if (is_memory(c, no))
		return -1;
	if ((r->n.bits.value | r->n.bits.mask) & 7)
		return refuse_at(c->v, (int)no, NULL,
				 "misaligned %s access off %lld size 8",
				 r->kind == FRAME ? "stack" : "value",
				 (long long)r->n.smin);
	return memory(c, no, 8, ACCESS_WRITE);
}

int arg_STRING(struct call *c, unsigned no)
{
	const struct reg *r = reg(c->v, no);
	const struct bytes *b;
	uint64_t off = r->n.bits.value;

	if (r->kind != VALUE || r->null)
		return expected(c, no, "map_value");
	if (!bpf_frozen(r->map))
		return refuse_at(c->v, (int)no, "make it const",
				 "R%u does not point to a readonly map", no);
	if (!range_is_const(&r->n))
		return refuse_at(c->v, (int)no, NULL,
				 "R%u is not a constant address", no);
	b = &r->map->initial;
	if (memory(c, no, 1, ACCESS_READ))
		return -1;
	if (off < b->n && memchr(b->p + off, 0, b->n - off))
		return 0;
	return refuse_at(c->v, (int)no, NULL, "string is not zero-terminated");
}

/* --- memory whose size follows ----------------------------------------- */

int arg_MEM_IN(struct call *c, unsigned no)
{
	c->access = ACCESS_READ;
	return is_memory(c, no);
}

int arg_MEM_OUT(struct call *c, unsigned no)
{
	c->access = ACCESS_WRITE;
	return is_memory(c, no);
}

int arg_IN_OR_NULL(struct call *c, unsigned no)
{
	c->access = ACCESS_READ;
	return is_null(reg(c->v, no)) ? 0 : is_memory(c, no);
}

int arg_OUT_OR_NULL(struct call *c, unsigned no)
{
	c->access = ACCESS_WRITE;
	return is_null(reg(c->v, no)) ? 0 : is_memory(c, no);
}

int arg_MEM_KEPT(struct call *c, unsigned no)
{
	const struct reg *r = reg(c->v, no);

	if (arg_MEM_OUT(c, no))
		return -1;
	if (r->kind == VALUE)
		return 0;
	return refuse_at(c->v, (int)no, "use a global variable or a map",
			 "Unsupported reg type %s for bpf_dynptr_from_mem data",
			 kind_name(r));
}

/* Nothing is put there, but the kernel would. */
int arg_BUFFER(struct call *c, unsigned no)
{
	const struct reg *n = reg(c->v, no + 1);

	if (is_null(reg(c->v, no)))
		return 0;
	if (n->kind != NUMBER)
		return expected(c, no + 1, "scalar");
	return memory(c, no, n->n.umax, ACCESS_READ | ACCESS_WRITE);
}

/* A stored pointer, or what is not the program's, ends a buffer. */
static bool ends_buffer(const struct slot *s, unsigned byte, int access)
{
	uint8_t b = s->byte[byte];

	if (b == DYNPTR_BYTE || b == ITER_BYTE)
		return true;
	return access & ACCESS_WRITE && b == SPILL && s->reg.kind != NUMBER;
}

static int64_t stack_room(const struct frame *f, int64_t from, int access)
{
	int64_t off = from;

	for (; off < 0; off++) {
		uint32_t k = (uint32_t)((-off - 1) / 8);

		if (k < f->nslot &&
		    ends_buffer(&f->slot[k], (unsigned)(off & 7), access))
			break;
	}
	return off - from;
}

/* How many bytes there are for sure; 0 or less: none. */
static int64_t room_of(const struct call *c, const struct reg *r)
{
	const struct state *s = c->v->s;

	if (r->null || r->n.smin < (r->kind == FRAME ? -STACK : 0))
		return 0;
	switch (r->kind) {
	case VALUE:
		return (int64_t)r->map->value_size - r->n.smax;
	case MEM:
		return (int64_t)r->size - r->n.smax;
	case FRAME:
		return range_is_const(&r->n) ? stack_room(s->frame[r->frame],
							  r->n.smin, c->access)
					     : -r->n.smax;
	}
	return 0;
}

/* Would a guard in front of the call help? */
static bool can_guard(const struct call *c, const struct range *n, bool zero,
		      int64_t room)
{
	return room > 0 && n->umax > (uint64_t)room &&
	       n->umin <= (uint64_t)room && (zero || n->umin) &&
	       !reference_held(c->v);
}

static int unbounded(struct call *c, unsigned no, const struct range *n,
		     bool zero)
{
	if (n->smin < 0)
		return refuse_at(c->v, (int)no, NULL,
				 "R%u min value is negative, either use "
				 "unsigned or 'var &= const'",
				 no);
	if (!n->umin && !zero)
		return refuse_at(c->v, (int)no,
				 "the size must not be 0: check it first",
				 "R%u invalid zero-sized read: u64=[%llu,%llu]",
				 no, (unsigned long long)n->umin,
				 (unsigned long long)n->umax);
	if (n->umax >= SIZE_MAX_KNOWN)
		return refuse_at(c->v, (int)no, NULL,
				 "R%u unbounded memory access, use 'var &= "
				 "const' or 'if (var < const)'",
				 no);
	return 0;
}

static int size(struct call *c, unsigned no, bool zero)
{
	const struct reg *r = reg(c->v, no), *to = reg(c->v, no - 1);
	struct range n = r->n;
	int64_t room = room_of(c, to);

	if (r->kind != NUMBER)
		return expected(c, no, "scalar");
	c->size = n.umax;
	c->bytes += n.umax;
	if (!range_is_const(&n))
		c->access |= ACCESS_AT_MOST;
	if (!unbounded(c, no, &n, zero) &&
	    ((!c->size && is_null(to)) ||
	     !memory(c, no - 1, c->size, c->access)))
		return 0;
	if (can_guard(c, &n, zero, room))
		return want_range(c->v, c->v->i, (uint8_t)no, (uint64_t)room);
	return -1;
}

int arg_SIZE(struct call *c, unsigned no)
{
	return size(c, no, false);
}

int arg_SIZE0(struct call *c, unsigned no)
{
	return size(c, no, true);
}

/* --- what has to be given back ----------------------------------------- */

static bool is_record(const struct call *c, const struct reg *r)
{
	uint32_t insn = reference_insn(c->v->s, r->ref);

	return insn != NO_INSN &&
	       c->v->p->insn[insn].imm == BPF_FUNC_ringbuf_reserve;
}

int arg_RECORD(struct call *c, unsigned no)
{
	const struct reg *r = reg(c->v, no);

	if (r->kind != MEM || r->null)
		return expected(c, no, "ringbuf_mem");
	if (!is_record(c, r))
		return refuse_at(c->v, (int)no,
				 "only what bpf_ringbuf_reserve() gave is "
				 "submitted or discarded, once",
				 "R%u must be referenced when passed to "
				 "release function",
				 no);
	if (!range_is_const(&r->n) || r->n.bits.value)
		return refuse_at(c->v, (int)no,
				 "pass what bpf_ringbuf_reserve() returned",
				 "R%u must have zero offset when passed to "
				 "release func or trusted arg to kfunc",
				 no);
	reference_put(c->v, r->ref);
	return 0;
}

int arg_DYNPTR(struct call *c, unsigned no)
{
	return is_set(c, no) || dynptr_find(c->v, no, &c->handle) ? -1 : 0;
}

int arg_DYNPTR_OUT(struct call *c, unsigned no)
{
	enum dynptr_way way = c->id == BPF_FUNC_dynptr_from_mem ? DYNPTR_LOCAL
			      : c->id == OURS_DYNPTR_CLONE      ? DYNPTR_CLONE
								: DYNPTR_RING;

	return is_set(c, no) || dynptr_make(c->v, no, way, &c->handle) ? -1 : 0;
}

int arg_DYNPTR_END(struct call *c, unsigned no)
{
	return is_set(c, no) || dynptr_end(c->v, no) ? -1 : 0;
}

int arg_ITER(struct call *c, unsigned no)
{
	return is_set(c, no) || iter_find(c->v, no, &c->handle) ? -1 : 0;
}

int arg_ITER_OUT(struct call *c, unsigned no)
{
	return is_set(c, no) || iter_make(c->v, no) ? -1 : 0;
}

int arg_ITER_END(struct call *c, unsigned no)
{
	return is_set(c, no) || iter_end(c->v, no) ? -1 : 0;
}
