/* SPDX-License-Identifier: MIT */
/* found.c - functions that neither a frame description nor a symbol names:
 * static ones of a stripped program that has no descriptions (musl, Free
 * Pascal).
 *
 * Between the functions that are known, a direct call from known code leads to
 * another one; what it calls, too.  So do the kernel and ld.so, without a call
 * that one could see, to where the file says that it begins (image.begin): they
 * are all there is when no function is known.  It must be code beyond doubt, as
 * probes will be put there, so it is followed along its flow:
 *
 *   - every path decodes, no two instructions overlap, and none runs into what
 *     is known already, or out of the gap, other than by a branch;
 *   - the function is what was reached, from its start up to the first byte
 *     that was not and is no padding;
 *   - where it has an indirect jump, and that byte is where a word of a table
 *     leads that the function has a lea of, the byte is reached, too.
 *
 * A lea, and a relocated pointer, may as well name data.  So what they lead to
 * must, besides, call or jump to a function that is known, or make a system
 * call whose number it has, and do neither to anywhere else; data would
 * hardly do that.  Where one only lacks the first, the same is asked of what it
 * calls: when that is found, so may it be.
 *
 * Only what is called is an entry (or where a program begins, of which exits.c
 * knows that it was not called).  A jump may lead to a cold part, a name be
 * that of a label: what they lead to is a fragment, which can be probed at its
 * instructions but has no return address on the stack that one could rely on.
 *
 * For all that, a word of data may happen to be the address of the middle of an
 * instruction.  So nothing that was found is used but at the sites that are
 * asked for: no hop goes there.
 */
#include <stdlib.h>

#include "rewriter/site/targets.h"

enum { LONGEST = 15 };
enum { NOTHING, START, INSIDE }; /* of a byte in a gap */

struct gap { /* between functions, in code */
	uint64_t lo, hi;
	uint8_t *is; /* per byte: what was reached there */
	uint8_t *led; /* per byte: has one in doubt led there? */
};
enum how { BY_CALL, BY_NAME, BY_JUMP };
struct lead { /* into a gap */
	uint64_t to;
	enum how how;
};
struct finder {
	struct sites *s;
	struct arena *a;
	struct gap *gap; /* sorted */
	size_t ngap;
	struct lead *lead; /* grows on the way */
	size_t nlead;
	uint64_t start; /* of the current candidate */
	uint64_t *path; /* to be followed in it */
	size_t npath;
	uint64_t *in; /* instructions of it: address, length */
	size_t nin;
	size_t right, wrong; /* its branches to functions and to elsewhere */
	uint64_t *table; /* its leas of what is no code */
	size_t ntable;
	bool jumps; /* it has an indirect jump */
	bool number; /* it moves one, of a system call, to a register */
	struct func *got;
	size_t ngot;
};

static bool decode(const struct span *sp, uint64_t at, uint64_t end,
		   struct insn *in)
{
	return at < end &&
	       insn_decode(sp->p + (at - sp->lo),
			   end - at < LONGEST ? end - at : LONGEST, at, in);
}

static void gap_add(struct finder *f, uint64_t lo, uint64_t hi)
{
	const struct targets *t = f->s->targets;
	uint64_t end;

	for (; lo < hi; lo = end) {
		end = next_addr(t->edge, t->nedge, sizeof(*t->edge), lo + 1);
		end = end < hi ? end : hi;
		if (code_is_padding(f->s, lo, end) ||
		    func_in_plt(f->s->img, lo) || func_in_data(f->s->img, lo))
			continue;
		f->gap = arena_push(f->a, f->gap, f->ngap, sizeof(*f->gap));
		f->gap[f->ngap++] = (struct gap){
			lo, end, arena_alloc(f->a, end - lo),
			arena_alloc(f->a, end - lo) };
	}
}

static void gaps_find(struct finder *f)
{
	const struct sites *s = f->s;

	for (size_t i = 0; i < s->targets->nspan; i++) {
		const struct span *sp = &s->targets->span[i];
		uint64_t done = sp->lo;

		for (size_t k = 0; k < s->nfunc; k++) {
			const struct func *g = &s->func[k];

			if (g->addr < sp->lo || g->addr >= sp->hi)
				continue;
			if (g->addr > done)
				gap_add(f, done, g->addr);
			if (func_end(s, g) > done)
				done = func_end(s, g);
		}
		if (done < sp->hi)
			gap_add(f, done, sp->hi);
	}
}

static struct gap *gap_of(const struct finder *f, uint64_t at)
{
	size_t lo = 0, hi = f->ngap;

	while (lo < hi) {
		size_t mid = lo + (hi - lo) / 2;

		if (f->gap[mid].hi <= at)
			lo = mid + 1;
		else
			hi = mid;
	}
	return lo < f->ngap && at >= f->gap[lo].lo ? &f->gap[lo] : NULL;
}

static void lead_add(struct finder *f, uint64_t to, enum how how)
{
	if (!gap_of(f, to) || func_in_plt(f->s->img, to))
		return;
	f->lead = arena_push(f->a, f->lead, f->nlead, sizeof(*f->lead));
	f->lead[f->nlead++] = (struct lead){ to, how };
}

static bool is_lea(const uint8_t *p)
{
	return (p[0] & 0xf8) == 0x48 && p[1] == 0x8d && (p[2] & 0xc7) == 0x05;
}

/* Where the displacement stands of what may be a rel32 branch or a lea; 0: it
 * is neither. */
static unsigned displacement_at(const uint8_t *p)
{
	if ((p[0] & 0xfe) == 0xe8)
		return 1;
	if (p[0] == 0x0f && (p[1] & 0xf0) == 0x80)
		return 2;
	return is_lea(p) ? 3 : 0;
}

static enum how how_by(const struct insn *in)
{
	return in->flow == FLOW_CALL ? BY_CALL
	       : in->rel_off         ? BY_JUMP
				     : BY_NAME;
}

/* All bytes are looked at as if an instruction began there; few lead into a
 * gap, and only there code is decoded. */
static void leads_in(struct finder *f, const struct span *sp)
{
	uint64_t before, after;
	struct insn in;

	for (uint64_t at = sp->lo; at + 7 <= sp->hi; at++) {
		const uint8_t *p = sp->p + (at - sp->lo);
		unsigned i = displacement_at(p);
		int32_t rel;

		if (!i)
			continue;
		memcpy(&rel, p + i, sizeof(rel));
		if (gap_of(f, at + i + 4 + (uint64_t)rel) &&
		    code_boundary(f->s, at, &before, &after) == 1 &&
		    decode(sp, at, sp->hi, &in))
			lead_add(f, in.target, how_by(&in));
	}
}

/* Aligned, or behind padding or what may be the end of a function: ret, hlt, ud2,
 * jmp, or a call that does not return?  In ET_EXEC every word of data may be a
 * pointer, and three letters of a text are one to 0x41726f. */
static bool may_begin(const struct finder *f, uint64_t at)
{
	const struct span *sp = span_of(f->s->targets, at);
	const uint8_t *p = sp ? sp->p + (at - sp->lo) : NULL;

	if (!p || at % 16 == 0 || at - sp->lo < 5)
		return true;
	return p[-1] == 0x00 || p[-1] == 0x90 || p[-1] == 0xcc ||
	       p[-1] == 0xc3 || p[-1] == 0xf4 || p[-1] == 0x0b ||
	       p[-2] == 0xeb || p[-2] == 0xff || (p[-5] & 0xfe) == 0xe8;
}

static void leads_find(struct finder *f)
{
	const struct image *img = f->s->img;

	for (size_t i = 0; i < f->s->targets->nspan; i++)
		leads_in(f, &f->s->targets->span[i]);
	for (size_t i = 0; i < img->nbegin; i++)
		lead_add(f, img->begin[i], BY_CALL);
	for (size_t i = 0; i < img->ncodeptr; i++)
		if (img->type != ET_EXEC || may_begin(f, img->codeptr[i]))
			lead_add(f, img->codeptr[i], BY_NAME);
}

static bool branches(const struct insn *in)
{
	return in->flow == FLOW_CALL || in->flow == FLOW_JMP ||
	       in->flow == FLOW_JCC || in->flow == FLOW_LOOP;
}

static void path_add(struct finder *f, uint64_t at)
{
	f->path = arena_push(f->a, f->path, f->npath, sizeof(*f->path));
	f->path[f->npath++] = at;
}

/* One instruction of a candidate.  False: it overlaps another. */
static bool take(struct finder *f, struct gap *g, const struct insn *in)
{
	uint8_t *is = g->is + (in->at - g->lo);

	for (unsigned i = 0; i < in->len; i++)
		if (is[i])
			return false;
	memset(is, INSIDE, in->len);
	is[0] = START;
	f->in = arena_push(f->a, f->in, f->nin, 2 * sizeof(*f->in));
	f->in[2 * f->nin] = in->at;
	f->in[2 * f->nin++ + 1] = in->len;
	return true;
}

static bool ends(const struct insn *in)
{
	return in->flow == FLOW_JMP || in->flow == FLOW_JMP_IND ||
	       in->flow == FLOW_RET || in->flow == FLOW_STOP;
}

/* Where a branch of a candidate leads: along its flow, or to another one. */
static void branch_note(struct finder *f, const struct gap *g,
			const struct insn *in)
{
	const struct gap *to = gap_of(f, in->target);

	if (to == g && in->flow != FLOW_CALL && in->target >= f->start) {
		path_add(f, in->target);
	} else if (to) {
		lead_add(f, in->target, how_by(in));
		f->right += to->is[in->target - to->lo] == START;
	} else if (func_at(f->s, in->target) ||
		   func_in_plt(f->s->img, in->target)) {
		f->right++;
	} else {
		f->wrong++;
	}
}

/* mov $nr, %reg */
static bool is_number(const uint8_t *p, const struct insn *in)
{
	return in->len >= 5 && (p[in->len - 5] & 0xf8) == 0xb8 &&
	       p[in->len - 3] < 2 && !p[in->len - 2] && !p[in->len - 1];
}

/* What else an instruction tells about a candidate. */
static void insn_note(struct finder *f, const uint8_t *p, const struct insn *in)
{
	f->number |= is_number(p, in);
	f->right += f->number && in->flow == FLOW_SYSCALL;
	f->jumps |= in->flow == FLOW_JMP_IND ||
		    (in->flow == FLOW_JMP &&
		     thunk_register(f->s->img, in->target) >= 0);
	if (in->rip_off != 3 || !is_lea(p))
		return;
	lead_add(f, in->target, BY_NAME);
	if (image_is_code(f->s->img, in->target))
		return;
	f->table = arena_push(f->a, f->table, f->ntable, sizeof(*f->table));
	f->table[f->ntable++] = in->target;
}

/* From one address on, to where the flow ends or is known.  A call that is the
 * last of a gap does not return, nor does such a system call. */
static bool follow(struct finder *f, struct gap *g, uint64_t at)
{
	const struct span *sp = span_of(f->s->targets, at);
	bool called = false;
	struct insn in;

	while (at < g->hi && g->is[at - g->lo] != START) {
		if (!decode(sp, at, g->hi, &in) || !take(f, g, &in))
			return false;
		if (branches(&in))
			branch_note(f, g, &in);
		insn_note(f, sp->p + (at - sp->lo), &in);
		if (ends(&in))
			return true;
		if (!in.nop)
			called = in.flow == FLOW_CALL ||
				 in.flow == FLOW_SYSCALL;
		at += in.len;
	}
	return at < g->hi || called;
}

static void give_back(struct finder *f, struct gap *g, size_t nin,
		      size_t nlead)
{
	for (; f->nin > nin; f->nin--)
		memset(g->is + (f->in[2 * f->nin - 2] - g->lo), NOTHING,
		       f->in[2 * f->nin - 1]);
	f->nlead = nlead;
}

/* All paths from `at` on.  What was taken is given back when one is no code. */
static bool follow_from(struct finder *f, struct gap *g, uint64_t at)
{
	size_t nin = f->nin, nlead = f->nlead;

	f->npath = 0;
	path_add(f, at);
	while (f->npath)
		if (!follow(f, g, f->path[--f->npath])) {
			give_back(f, g, nin, nlead);
			return false;
		}
	return true;
}

/* The first byte from `at` on that was not reached and is no padding. */
static uint64_t unreached(const struct finder *f, const struct gap *g,
			  uint64_t at, uint64_t limit)
{
	const struct span *sp = span_of(f->s->targets, at);
	struct insn in;

	for (; decode(sp, at, limit, &in); at += in.len)
		if (g->is[at - g->lo] != START &&
		    !(in.nop && g->is[at - g->lo] == NOTHING))
			break;
	return at;
}

/* Do the words of a table, relative to it, lead there? */
static bool in_table(const struct finder *f, const struct gap *g, uint64_t to)
{
	const struct image *img = f->s->img;

	for (size_t i = 0; i < f->ntable; i++) {
		uint64_t at = f->table[i], room = image_room(img, at), word;
		const uint8_t *p = image_at(img, at, room);
		int32_t rel;

		for (uint64_t k = 0; p && room - k >= 4; k += 4) {
			memcpy(&rel, p + k, sizeof(rel));
			word = at + (uint64_t)rel;
			if (word == to)
				return true;
			if (word < g->lo || word >= g->hi)
				break;
		}
	}
	return false;
}

/* The leads [from, end), which were given back, are of a candidate that is
 * still in doubt, so they are but names; each of them once. */
static void leads_doubt(struct finder *f, size_t from, size_t end)
{
	for (size_t i = from; i < end; i++) {
		uint64_t to = f->lead[i].to;
		const struct gap *g = gap_of(f, to);
		uint8_t *led = &g->led[to - g->lo];

		if (!*led)
			f->lead[f->nlead++] = (struct lead){ to, BY_NAME };
		*led = true;
	}
}

static bool follow_all(struct finder *f, struct gap *g, uint64_t at,
		       enum how how)
{
	size_t nlead = f->nlead;
	uint64_t next;

	f->nin = f->ntable = f->right = f->wrong = 0;
	f->jumps = f->number = false;
	f->start = at;
	if (!follow_from(f, g, at))
		return false;
	if (how == BY_NAME && (!f->right || f->wrong)) {
		size_t end = f->nlead;

		give_back(f, g, 0, nlead);
		if (!f->wrong)
			leads_doubt(f, nlead, end);
		return false;
	}
	for (next = at; f->jumps;) {
		next = unreached(f, g, next, g->hi);
		if (!in_table(f, g, next) || !follow_from(f, g, next))
			break;
	}
	return true;
}

static int by_start(const void *x, const void *y)
{
	const struct lead *p = x, *q = y;

	if (p->to != q->to)
		return p->to < q->to ? -1 : 1;
	return (int)p->how - (int)q->how;
}

/* The function at `at`, up to `limit`, the next one's start. */
static void got_add(struct finder *f, const struct gap *g, uint64_t at,
		    uint64_t limit, enum how how)
{
	uint64_t end = unreached(f, g, at, limit);

	while (end > at && g->is[end - 1 - g->lo] == NOTHING)
		end--; /* padding */
	if (end == at)
		return;
	f->got = arena_push(f->a, f->got, f->ngot, sizeof(*f->got));
	f->got[f->ngot++] = (struct func){ .addr = at, .size = end - at,
					   .name = func_hex_name(f->a, at),
					   .found = true,
					   .fragment = how != BY_CALL };
}

static void got_all(struct finder *f)
{
	size_t n = 0;

	for (size_t i = 0; i < f->nlead; i++) { /* those that were followed */
		const struct gap *g = gap_of(f, f->lead[i].to);

		if (g->is[f->lead[i].to - g->lo] == START)
			f->lead[n++] = f->lead[i];
	}
	if (n)
		qsort(f->lead, n, sizeof(*f->lead), by_start);
	for (size_t i = 0, j; i < n; i = j) {
		const struct gap *g = gap_of(f, f->lead[i].to);
		uint64_t limit = g->hi;

		for (j = i + 1; j < n && f->lead[j].to == f->lead[i].to;)
			j++;
		if (j < n && f->lead[j].to < limit)
			limit = f->lead[j].to;
		got_add(f, g, f->lead[i].to, limit, f->lead[i].how);
	}
}

static int by_addr(const void *x, const void *y)
{
	const struct func *p = x, *q = y;

	return (p->addr > q->addr) - (p->addr < q->addr);
}

static void merge(struct finder *f)
{
	struct sites *s = f->s;
	struct func *v = arena_alloc(f->a,
				     (s->nfunc + f->ngot + 1) * sizeof(*v));

	memcpy(v, s->func, s->nfunc * sizeof(*v));
	memcpy(v + s->nfunc, f->got, f->ngot * sizeof(*v));
	s->func = v;
	s->nfunc += f->ngot;
	qsort(v, s->nfunc, sizeof(*v), by_addr);
}

/* Those that name code, or the others; leads are added on the way.  True when
 * anything was found. */
static bool leads_follow(struct finder *f, bool names)
{
	bool more = false;

	for (size_t i = 0; i < f->nlead; i++) {
		struct lead x = f->lead[i];
		struct gap *g = gap_of(f, x.to);

		if ((x.how == BY_NAME) == names &&
		    g->is[x.to - g->lo] == NOTHING)
			more |= follow_all(f, g, x.to, x.how);
	}
	return more;
}

bool funcs_find_more(struct arena *a, struct sites *s)
{
	struct finder f = { .s = s, .a = a };

	gaps_find(&f);
	if (!f.ngap)
		return false;
	leads_find(&f);
	do
		leads_follow(&f, false);
	while (leads_follow(&f, true));
	got_all(&f);
	if (f.ngot)
		merge(&f);
	s->targets->cur = (struct walked){ 0 }; /* it points to functions */
	return f.ngot;
}
