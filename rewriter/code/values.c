/* SPDX-License-Identifier: MIT */
/* values.c - what registers are known to hold, forwards through one function.
 *
 * The lattice of a value is flat: unreached, one known thing, anything.  A
 * value that may be ctx or a stack address on some path only keeps a mark of
 * that, since most such registers are dead after the join.
 *
 * Clang writes a lookup in an array of one element as
 *
 *     *(u32 *)(r10 - 4) = 0;  r2 = r10;  r2 += -4;  r1 = &map;  call 1
 *     if (r0 == 0) goto out;  lock *(u64 *)(r0 + 0) += r1
 *
 * so constants are followed through a few stack words as well.  Then the call
 * is an address, the test is decided, and the backward pass throws away all
 * but the last instruction.  Constants in the stack may be trusted only while
 * no address of it is anywhere but in registers: when one escapes, everything
 * is done again without them.
 */
#include "rewriter/code/known.h"
#include "runtime-stub/hash.h"

#include <stdlib.h>
#include <string.h>

enum { WORDS = 8 }; /* known stack words at any moment; more are forgotten */
struct word {
	int32_t off; /* from r10; 0: free */
	uint32_t value;
};
enum { SLOTS = 4 };
struct slot { /* eight bytes of the stack that hold a V_WORD */
	int32_t off;
	struct val v;
};
struct state {
	struct val r[11];
	struct word word[WORDS];
	struct slot slot[SLOTS];
};

struct walk {
	struct known *f;
	const struct bpf_insn *insn; /* of the whole program */
	struct state *in;            /* per insn, as the facts */
	bool *pending;
	bool words; /* stack constants are trusted */
};

static const struct val any;

static struct val constant(int64_t n)
{
	return (struct val){ .kind = V_CONST, .n = n };
}

static bool same(const struct val *a, const struct val *b)
{
	return a->kind == b->kind && a->map == b->map && a->n == b->n &&
	       a->word == b->word;
}

static struct val join(struct val a, struct val b)
{
	struct val v = a;

	if (!same(&a, &b))
		v = any;
	v.may_ctx = v.kind != V_CTX && (val_ctx(&a) || val_ctx(&b));
	v.may_fp = v.kind != V_FP && (val_fp(&a) || val_fp(&b));
	v.may_elem = a.may_elem || b.may_elem;
	return v;
}

/* An address farther off could not be a displacement any more, once where the
 * stack or the map begins is added. */
enum { REACH = 1 << 30 };

static struct val shifted(struct val v, int64_t by)
{
	v.n = (int64_t)((uint64_t)v.n + (uint64_t)by);
	if (v.kind == V_CONST ||
	    (val_address(&v) && v.n > -REACH && v.n < REACH))
		return v;
	return (struct val){ .may_ctx = val_ctx(&v), .may_fp = val_fp(&v),
			     .may_elem = v.may_elem };
}

static const uint32_t *word_find(const struct state *s, int32_t off)
{
	for (int i = 0; i < WORDS; i++)
		if (s->word[i].off == off)
			return &s->word[i].value;
	return NULL;
}

static void word_set(struct state *s, int32_t off, uint32_t value)
{
	for (int i = 0; i < WORDS; i++)
		if (!s->word[i].off) {
			s->word[i] = (struct word){ off, value };
			return;
		}
}

static void words_forget(struct state *s, int64_t off, unsigned len)
{
	for (int i = 0; i < WORDS; i++)
		if (s->word[i].off < off + len && off < s->word[i].off + 4)
			s->word[i].off = 0;
	for (int i = 0; i < SLOTS; i++)
		if (s->slot[i].off < off + len && off < s->slot[i].off + 8)
			s->slot[i].off = 0;
}

static const struct val *slot_find(const struct state *s, int64_t off)
{
	for (int i = 0; i < SLOTS && off; i++)
		if (s->slot[i].off == off)
			return &s->slot[i].v;
	return NULL;
}

static void slot_set(struct state *s, int32_t off, const struct val *v)
{
	for (int i = 0; i < SLOTS; i++)
		if (!s->slot[i].off) {
			s->slot[i] = (struct slot){ off, *v };
			return;
		}
}

static void words_store(struct state *s, int64_t off, unsigned len,
			const struct val *v)
{
	words_forget(s, off, len);
	if (v->kind == V_WORD && len == 8 && off >= -4096 && off <= -8)
		slot_set(s, (int32_t)off, v);
	if (v->kind != V_CONST || off % 4 || off >= 0 || off < -4096)
		return;
	if (len >= 4)
		word_set(s, (int32_t)off, (uint32_t)v->n);
	if (len == 8)
		word_set(s, (int32_t)off + 4, (uint32_t)((uint64_t)v->n >> 32));
}

/* s becomes what holds in s and in t; false when that is s as it was. */
static bool state_join(struct state *s, const struct state *t)
{
	struct state old = *s;

	for (int r = 0; r < 11; r++)
		s->r[r] = join(s->r[r], t->r[r]);
	for (int i = 0; i < WORDS; i++) {
		const uint32_t *v = word_find(t, s->word[i].off);

		if (!v || *v != s->word[i].value)
			s->word[i].off = 0;
	}
	for (int i = 0; i < SLOTS; i++) {
		const struct val *v = slot_find(t, s->slot[i].off);

		if (!v || !same(v, &s->slot[i].v))
			s->slot[i].off = 0;
	}
	for (int r = 0; r < 11; r++)
		if (s->r[r].kind != old.r[r].kind ||
		    s->r[r].may_ctx != old.r[r].may_ctx ||
		    s->r[r].may_fp != old.r[r].may_fp ||
		    s->r[r].may_elem != old.r[r].may_elem)
			return true;
	for (int i = 0; i < WORDS; i++)
		if (s->word[i].off != old.word[i].off)
			return true;
	for (int i = 0; i < SLOTS; i++)
		if (s->slot[i].off != old.slot[i].off)
			return true;
	return false;
}

static int64_t extended(uint64_t v, unsigned bytes, bool sign)
{
	unsigned up = 64 - 8 * bytes;

	return sign ? (int64_t)(v << up) >> up : (int64_t)(v << up >> up);
}

static struct val alu(const struct bpf_insn *i, struct val dst, struct val src)
{
	bool wide = BPF_CLASS(i->code) == BPF_ALU64;

	switch (BPF_OP(i->code)) {
	case BPF_MOV:
		if (wide && !i->off)
			return src;
		if (src.kind != V_CONST)
			return any;
		src.n = extended((uint64_t)src.n, i->off ? i->off / 8 : 4,
				 i->off);
		return constant(wide ? src.n : (uint32_t)src.n);
	case BPF_ADD:
		if (wide && src.kind == V_CONST)
			return shifted(dst, src.n);
		if (wide && dst.kind == V_CONST)
			return shifted(src, dst.n);
		return any;
	case BPF_SUB:
		if (wide && src.kind == V_CONST)
			return shifted(dst, (int64_t) - (uint64_t)src.n);
		return any;
	}
	return any;
}

static void step_alu(struct walk *w, const struct bpf_insn *i, struct state *s,
		     struct insn_fact *fact)
{
	bool copies = i->code == (BPF_ALU64 | BPF_MOV | BPF_X) && !i->off;
	bool reads_dst = BPF_OP(i->code) != BPF_MOV;

	if (BPF_OP(i->code) == BPF_END || BPF_OP(i->code) == BPF_NEG)
		fact->src = any;
	fact->result = alu(i, fact->dst, fact->src);
	fact->result.may_elem = fact->src.may_elem ||
				(reads_dst && fact->dst.may_elem);
	if (fact->result.kind == V_ANY && !copies &&
	    (val_fp(&fact->src) || (reads_dst && val_fp(&fact->dst))))
		w->f->fp_escapes = w->f->fp_computed = true;
	s->r[i->dst_reg] = fact->result;
}

/* A load from frozen data is a constant. */
static struct val loaded(const struct known *f, const struct bpf_insn *i,
			 const struct val *base)
{
	const struct bpf_map_def *m;
	unsigned bytes = insn_bytes(i);
	int64_t at = base->n + i->off;
	uint64_t v = 0;

	if (base->kind != V_VALUE || !f->set)
		return any;
	m = &f->set->map[base->map];
	if (!bpf_frozen(m) || at < 0 || (uint64_t)at + bytes > m->initial.n)
		return any;
	memcpy(&v, m->initial.p + at, bytes);
	return constant(extended(v, bytes, BPF_MODE(i->code) == INSN_MEMSX));
}

/* A load from ctx is a word that can be had again at any time; so is what was
 * put on the stack when it comes back from there. */
static struct val loaded_word(const struct walk *w, const struct bpf_insn *i,
			      const struct state *s, const struct val *base)
{
	unsigned bytes = insn_bytes(i);
	bool sign = BPF_MODE(i->code) == INSN_MEMSX;
	int64_t at = base->n + i->off;
	const struct val *v;

	if (base->kind == V_FP && w->words && bytes == 8) {
		v = slot_find(s, at);
		return v ? *v : any;
	}
	if (base->kind != V_CTX || at < 0 || at + bytes > PT_REGS_SIZE ||
	    at % 8 + bytes > 8)
		return any;
	return (struct val){ .kind = V_WORD, .n = at,
			     .word = (uint8_t)(bytes |
					       (sign ? WORD_SIGNED : 0)) };
}

static void step_store(struct walk *w, const struct bpf_insn *i,
		       struct state *s, const struct val *base,
		       const struct val *v)
{
	if (base->kind == V_FP)
		words_store(s, base->n + i->off, insn_bytes(i), v);
	else if (base->may_fp)
		w->f->fp_escapes = true;
	if (val_fp(v))
		w->f->fp_escapes = true;
	w->f->elems_kept |= v->may_elem;
}

static void step_atomic(struct walk *w, const struct bpf_insn *i,
			struct state *s, struct insn_fact *fact)
{
	if (i->imm == INSN_LOAD_ACQ) {
		s->r[i->dst_reg] = any;
		return;
	}
	step_store(w, i, s, &fact->dst,
		   i->imm == INSN_STORE_REL ? &fact->src : &any);
	if (val_fp(&fact->src))
		w->f->fp_escapes = true;
	if (i->imm == BPF_CMPXCHG)
		s->r[0] = any;
	else if (i->imm != INSN_STORE_REL && i->imm & BPF_FETCH)
		s->r[i->src_reg] = any;
}

static void step_lookup(struct walk *w, struct state *s, struct insn_fact *fact)
{
	const struct val *map = &s->r[1], *key = &s->r[2];
	const struct bpf_map_def *m;
	const uint32_t *k = NULL;

	if (!fact->map_known)
		return;
	m = &w->f->set->map[map->map];
	fact->key = *key;
	if ((m->type == BPF_MAP_TYPE_HASH ||
	     m->type == BPF_MAP_TYPE_PERCPU_HASH) &&
	    (m->key_size == 4 || m->key_size == 8 || m->key_size == 16))
		fact->call = CALL_LOOKUP_HASH;
	if (m->type == BPF_MAP_TYPE_PERCPU_ARRAY)
		fact->call = CALL_LOOKUP_CPU;
	if (m->type != BPF_MAP_TYPE_ARRAY)
		return;
	fact->call = CALL_LOOKUP;
	if (key->kind == V_FP && key->n < 0 && w->words)
		k = word_find(s, (int32_t)key->n);
	if (!k)
		return;
	fact->call = CALL_LOOKUP_KNOWN;
	fact->result = constant(0);
	if (*k < m->max_entries)
		fact->result = (struct val){
			.kind = V_VALUE,
			.map = map->map,
			.n = *k * (int64_t)align_up(m->value_size, 8),
		};
	if (fact->result.n != (int32_t)fact->result.n) {
		fact->call = CALL_LOOKUP;
		fact->result = any;
	}
}

/* May an update write where the old value is (hash_put())?  In the kernel there
 * is a new element for the new value, and a program that looked the old one up
 * goes on to see that: as long as it does not, nobody can tell.  So not where a
 * value's address is in a register that is read later, which find_put() in
 * facts.c looks at, or may be in memory, or in the hands of callers. */
static void step_put(struct walk *w, const struct state *s,
		     struct insn_fact *fact)
{
	const struct bpf_map_def *m = &w->f->set->map[fact->map];

	for (int r = 0; r < 10; r++)
		fact->elem_regs |= (uint16_t)(s->r[r].may_elem << r);
	fact->put = m->type == BPF_MAP_TYPE_HASH &&
		    hash_beside(m->type, m->value_size);
}

/* With flags that an array's update always or never obeys. */
static void step_update(struct walk *w, const struct state *s,
			struct insn_fact *fact)
{
	const struct val *flags = &s->r[4];
	const struct bpf_map_def *m;

	if (!fact->map_known)
		return;
	step_put(w, s, fact);
	m = &w->f->set->map[fact->map];
	if (m->type != BPF_MAP_TYPE_ARRAY || m->value_size > UPDATE_INLINE ||
	    m->flags & BPF_F_RDONLY_PROG || flags->kind != V_CONST ||
	    (flags->n != BPF_ANY && flags->n != BPF_EXIST))
		return;
	fact->key = s->r[2];
	fact->value = s->r[3];
	fact->call = CALL_UPDATE;
}

static bool looks_in_array(const struct walk *w, const struct insn_fact *fact)
{
	uint32_t type = fact->map_known ? w->f->set->map[fact->map].type : 0;

	return type == BPF_MAP_TYPE_ARRAY || type == BPF_MAP_TYPE_PERCPU_ARRAY;
}

static void step_helper(struct walk *w, const struct bpf_insn *i,
			struct state *s, struct insn_fact *fact)
{
	const struct helper *h = helper_find((uint32_t)i->imm);
	bool writes = false;

	fact->map_known = h && h->arg[0] == ARG_MAP && w->f->set &&
			  s->r[1].kind == V_MAP;
	if (fact->map_known)
		fact->map = s->r[1].map;
	if (i->imm == HELPER_LOOKUP)
		step_lookup(w, s, fact);
	else if (i->imm == HELPER_UPDATE)
		step_update(w, s, fact);
	else if (i->imm == HELPER_FUNC_IP || i->imm == HELPER_COOKIE)
		fact->call = CALL_CTX_FIELD;
	for (int r = 1; r <= 5 && (!h || h->arg[r - 1] != ARG_NONE); r++)
		writes |= val_fp(&s->r[r]) &&
			  (!h || !arg_only_read(h->arg[r - 1]));
	/* What is kept is an address in memory that is not followed; so is what a
	 * callback is given, which may go below it as well, and put one there. */
	for (int r = 1; r <= 5 && h; r++) {
		bool keeps = h->arg[r - 1] == ARG_MEM_KEPT;
		bool lends = h->arg[r - 1] == ARG_FRAME_OR_NULL;

		w->f->fp_escapes |= (keeps || lends) && val_fp(&s->r[r]);
		w->f->elems_kept |= (keeps && s->r[r].may_elem) ||
				    (lends && val_fp(&s->r[r]));
	}
	fact->result.may_elem =
		!h || (i->imm == HELPER_LOOKUP && !looks_in_array(w, fact));
	if (writes) {
		memset(s->word, 0, sizeof(s->word));
		memset(s->slot, 0, sizeof(s->slot));
	}
}

static void step_call(struct walk *w, const struct bpf_insn *i, struct state *s,
		      struct insn_fact *fact)
{
	fact->result = any;
	fact->call = CALL_REAL;
	if (i->src_reg) {
		for (int r = 1; r <= 5; r++) {
			w->f->fp_escapes |= val_fp(&s->r[r]);
			/* Where it may put one. */
			w->f->elems_kept |= val_fp(&s->r[r]);
		}
		fact->result.may_elem = true;
	} else
		step_helper(w, i, s, fact);
	s->r[0] = fact->result;
	for (int r = 1; r <= 5; r++)
		s->r[r] = any;
}

static bool holds(uint8_t op, bool wide, int64_t a, int64_t b)
{
	uint64_t x = wide ? (uint64_t)a : (uint32_t)a;
	uint64_t y = wide ? (uint64_t)b : (uint32_t)b;

	if (!wide) {
		a = (int32_t)a;
		b = (int32_t)b;
	}
	// clang-format off
	switch (op) {
	case BPF_JEQ: return x == y;
	case BPF_JNE: return x != y;
	case BPF_JGT: return x > y;
	case BPF_JGE: return x >= y;
	case BPF_JLT: return x < y;
	case BPF_JLE: return x <= y;
	case BPF_JSET: return x & y;
	case BPF_JSGT: return a > b;
	case BPF_JSGE: return a >= b;
	case BPF_JSLT: return a < b;
	}
	// clang-format on
	return a <= b; /* BPF_JSLE */
}

static enum taken decide(const struct bpf_insn *i, const struct val *dst,
			 const struct val *src)
{
	uint8_t op = BPF_OP(i->code);
	bool wide = BPF_CLASS(i->code) == BPF_JMP;
	bool yes;

	if (insn_is_ja(i))
		return TAKEN_ALWAYS;
	if (dst->kind == V_CONST && src->kind == V_CONST)
		yes = holds(op, wide, dst->n, src->n);
	else if (wide && (op == BPF_JEQ || op == BPF_JNE) &&
		 (val_address(dst) || dst->kind == V_MAP) &&
		 (dst->kind != V_VALUE || dst->n >= 0) &&
		 src->kind == V_CONST && !src->n)
		yes = op == BPF_JNE; /* an address is not NULL (branch.c) */
	else
		return TAKEN_MAYBE;
	return yes ? TAKEN_ALWAYS : TAKEN_NEVER;
}

/* TAKEN_NEVER: the run goes on. */
static enum taken passes(const struct bpf_insn *i, const struct val *v)
{
	if (v->kind != V_CONST)
		return TAKEN_MAYBE;
	return (uint64_t)v->n > (uint32_t)i->imm ? TAKEN_ALWAYS : TAKEN_NEVER;
}

static struct val lddw(const struct known *f, const struct bpf_insn *i)
{
	if (i->src_reg && (!f->set || (uint32_t)i->imm >= f->set->nmap))
		return any;
	switch (i->src_reg) {
	case 0:
		return constant((int64_t)insn_imm64(i));
	case BPF_PSEUDO_MAP_FD:
		return (struct val){ .kind = V_MAP, .map = (uint32_t)i->imm };
	case BPF_PSEUDO_MAP_VALUE:
		return (struct val){ .kind = V_VALUE,
				     .map = (uint32_t)i->imm,
				     .n = i[1].imm };
	}
	return any;
}

/* One instruction: what it sees goes into its fact, what it does into s. */
static void step(struct walk *w, uint32_t at, struct state *s)
{
	const struct bpf_insn *i = &w->insn[at];
	struct insn_fact *fact = &w->f->fact[at - w->f->from];
	bool x = BPF_SRC(i->code) == BPF_X || BPF_CLASS(i->code) == BPF_LDX ||
		 BPF_CLASS(i->code) == BPF_STX;

	fact->dst = s->r[i->dst_reg];
	fact->src = x && i->src_reg < 11 ? s->r[i->src_reg] : constant(i->imm);
	fact->result = any;
	fact->ctx_regs = fact->elem_regs = 0;
	for (int r = 0; r < 10; r++)
		fact->ctx_regs |= (uint16_t)(val_ctx(&s->r[r]) << r);
	switch (BPF_CLASS(i->code)) {
	case BPF_ALU:
	case BPF_ALU64:
		step_alu(w, i, s, fact);
		break;
	case BPF_LD:
		s->r[i->dst_reg] = fact->result = lddw(w->f, i);
		break;
	case BPF_LDX:
		if (insn_is_task_load(i)) {
			s->r[i->dst_reg] = any;
			break;
		}
		fact->result = loaded(w->f, i, &fact->src);
		if (fact->result.kind == V_ANY)
			fact->result = loaded_word(w, i, s, &fact->src);
		s->r[i->dst_reg] = fact->result;
		break;
	case BPF_ST:
		fact->src = constant(i->imm);
		step_store(w, i, s, &fact->dst, &fact->src);
		break;
	case BPF_STX:
		if (insn_is_atomic(i))
			step_atomic(w, i, s, fact);
		else
			step_store(w, i, s, &fact->dst, &fact->src);
		break;
	default:
		if (insn_is_jump(i))
			fact->taken =
				(uint8_t)decide(i, &fact->dst, &fact->src);
		else if (is_guard_of(i, GUARD_RANGE))
			fact->taken = (uint8_t)passes(i, &fact->dst);
		else if (BPF_OP(i->code) == BPF_CALL && !is_guard(i))
			step_call(w, i, s, fact);
	}
}

static bool flow_into(struct walk *w, uint32_t to, const struct state *s)
{
	uint32_t k = to - w->f->from;
	struct insn_fact *fact = &w->f->fact[k];

	if (fact->reached && !state_join(&w->in[k], s))
		return false;
	if (!fact->reached)
		w->in[k] = *s;
	fact->reached = true;
	w->pending[k] = true;
	return true;
}

static bool visit(struct walk *w, uint32_t at)
{
	const struct bpf_insn *i = &w->insn[at];
	struct insn_fact *fact = &w->f->fact[at - w->f->from];
	struct state s = w->in[at - w->f->from];
	bool more = false;

	w->pending[at - w->f->from] = false;
	step(w, at, &s);
	if (BPF_CLASS(i->code) == BPF_JMP && BPF_OP(i->code) == BPF_EXIT)
		return false;
	if (insn_is_jump(i) && fact->taken != TAKEN_NEVER)
		more |= flow_into(w, insn_target(w->insn, at), &s) &&
			insn_target(w->insn, at) <= at;
	if (!insn_is_jump(i) || fact->taken != TAKEN_ALWAYS)
		flow_into(w, at + 1 + insn_is_lddw(i), &s);
	return more;
}

static void walk_all(struct walk *w)
{
	uint32_t n = w->f->to - w->f->from;
	struct state first = { .r[10] = { .kind = V_FP } };
	bool again = true;

	if (w->f->ctx)
		first.r[1].kind = V_CTX;
	memset(w->f->fact, 0, n * sizeof(*w->f->fact));
	memset(w->pending, 0, n);
	flow_into(w, w->f->from, &first);
	while (again) {
		again = false;
		for (uint32_t k = 0; k < n; k++)
			if (w->pending[k])
				again |= visit(w, w->f->from + k);
	}
}

/* Does a subprogram, of whichever program, go on in another one?  Who has called it
 * waits, perhaps with an element. */
static bool tails_from_below(const struct bpf_set *set)
{
	for (uint32_t k = 0; set && k < set->nprog; k++) {
		const struct bpf_prog *p = &set->prog[k];

		for (uint32_t i = p->nsub > 1 ? p->sub[1] : p->ninsn;
		     i < p->ninsn; i += 1 + insn_is_lddw(&p->insn[i]))
			if (p->insn[i].code == (BPF_JMP | BPF_CALL) &&
			    !p->insn[i].src_reg &&
			    p->insn[i].imm == HELPER_TAIL)
				return true;
	}
	return false;
}

void known_values(struct arena *a, struct known *f)
{
	uint32_t n = f->to - f->from;
	struct arena own = { 0 };
	struct walk w = {
		.f = f,
		.insn = f->p->insn,
		.in = arena_alloc(&own, n * sizeof(*w.in)),
		.pending = arena_alloc(&own, n),
		.words = true,
	};

	f->fact = arena_alloc(a, n * sizeof(*f->fact));
	f->fp_escapes = f->fp_computed = false;
	f->elems_kept = f->from || tails_from_below(f->set);
	walk_all(&w);
	if (f->fp_escapes) {
		w.words = false;
		walk_all(&w);
	}
	arena_free(&own);
}
