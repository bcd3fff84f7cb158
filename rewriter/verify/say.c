/* SPDX-License-Identifier: MIT */
/* say.c - why a program is refused, in the kernel's words where it has some,
 * and with what it leaves to find out: the source line, where the value came
 * from, what to add.
 */
#include "rewriter/verify/verifier.h"

#include <stdarg.h>
#include <string.h>

#include "elf/text.h"
#include "rewriter/bpf/object.h"

enum {
	ITER_NUM_DESTROY = 254
}; /* helpers.def */

static const char *const names[] = {
	[NOTHING] = "?",	  [NUMBER] = "scalar", [CTX] = "ctx",
	[FRAME] = "fp",		  [MAP] = "map_ptr",   [VALUE] = "map_value",
	[MEM] = "mem",		  [FUNC] = "func",     [DYNPTR] = "dynptr_ptr",
	[TASK] = "ptr_task_struct",
};
static const char *const names_null[] = {
	[MAP] = "map_ptr_or_null",
	[VALUE] = "map_value_or_null",
	[MEM] = "mem_or_null",
};

const char *kind_name(const struct reg *r)
{
	if (r->null)
		return names_null[r->kind];
	if (r->kind == MEM && r->ref)
		return "ringbuf_mem";
	return names[r->kind];
}

/* --- refusals ---------------------------------------------------------- */

const char *helper_at(const struct verify *v, uint32_t insn)
{
	const struct bpf_insn *i = &v->p->insn[insn];

	return is_call(i) && !i->src_reg ? proto_name((uint32_t)i->imm) : NULL;
}

/* Why what points nowhere any more does not. */
static const char *how_spoilt(const struct verify *v, const struct reg *r)
{
	const struct bpf_insn *i;

	if (r->from == NO_INSN)
		return "it was of a function that has returned";
	i = &v->p->insn[r->from];
	if (is_exit(i))
		return "it was lent to the callback only";
	if (is_call(i) && !i->src_reg &&
	    (i->imm == BPF_FUNC_ringbuf_submit ||
	     i->imm == BPF_FUNC_ringbuf_discard ||
	     i->imm == BPF_FUNC_ringbuf_submit_dynptr ||
	     i->imm == BPF_FUNC_ringbuf_discard_dynptr ||
	     i->imm == ITER_NUM_DESTROY))
		return "it is not the program's any more after that";
	return "it was overwritten there";
}

const char *number_hint(const struct verify *v, const struct reg *r,
			const char *otherwise)
{
	return r->spoilt ? how_spoilt(v, r) : otherwise;
}

/* "R0 came from bpf_map_lookup_elem at x.bpf.c:12" */
static const char *origin(struct verify *v, unsigned no, const struct reg *r)
{
	const char *helper, *where;

	if (r->from == NO_INSN || r->from == v->i)
		return "";
	helper = helper_at(v, r->from);
	where = place_at(v->a, v->p, r->from);
	if (r->spoilt && helper)
		return arena_printf(v->a, ": what R%u was went by %s at %s", no,
				    helper, where);
	if (r->spoilt)
		return arena_printf(v->a, ": what R%u was went at %s", no,
				    where);
	if (helper)
		return arena_printf(v->a, ": R%u came from %s at %s", no,
				    helper, where);
	return arena_printf(v->a, ": R%u was set at %s", no, where);
}

int refuse_at(struct verify *v, int r, const char *hint, const char *fmt, ...)
{
	char what[200];
	va_list ap;

	va_start(ap, fmt);
	vsnprintf(what, sizeof(what), fmt, ap);
	va_end(ap);
	fail(v->e, v->file, NOWHERE, "%s: %s%s%s%s",
	     program_at(v->a, v->p, v->i), what,
	     r < 0 ? "" : origin(v, (unsigned)r, reg(v, (unsigned)r)),
	     hint ? ": " : "", hint ? hint : "");
	v->want.kind = WANT_NOTHING;
	if (v->log)
		say_to(v->log, "%u: refused: %s\n", v->i, what);
	return -1;
}

int want_range(struct verify *v, uint32_t insn, uint8_t r, uint64_t max)
{
	v->want = (struct want){
		.kind = WANT_RANGE,
		.insn = insn,
		.reg = r,
		.max = max > UINT32_MAX ? UINT32_MAX : (uint32_t)max,
	};
	return -1;
}

int want_loop(struct verify *v, uint32_t insn)
{
	v->want = (struct want){ .kind = WANT_LOOP, .insn = insn };
	return -1;
}

/* --- the log ----------------------------------------------------------- */

static void log_range(FILE *to, const struct range *n)
{
	if (range_is_const(n)) {
		say_to(to, "%lld", (long long)n->bits.value);
		return;
	}
	if (!~n->bits.mask)
		return;
	if (n->umin || n->umax != UINT64_MAX)
		say_to(to, "[%llu..%llu]", (unsigned long long)n->umin,
		       (unsigned long long)n->umax);
	if (n->smin < 0 && (n->smin != INT64_MIN || n->smax != INT64_MAX))
		say_to(to, "s[%lld..%lld]", (long long)n->smin,
		       (long long)n->smax);
	say_to(to, "&0x%llx",
	       (unsigned long long)(n->bits.value | n->bits.mask));
}

static void log_reg(FILE *to, const struct reg *r)
{
	if (r->kind != NUMBER)
		say_to(to, "%s", kind_name(r));
	if (r->map)
		say_to(to, "(%s)", r->map->name ? r->map->name : "inner");
	if (r->kind == MEM)
		say_to(to, "(%u)", r->size);
	if (r->kind == NUMBER || !range_is_const(&r->n) || r->n.bits.value)
		log_range(to, &r->n);
	if (r->kind == NUMBER && !~r->n.bits.mask)
		say_to(to, "number");
}

static void log_stack(FILE *to, const struct frame *f)
{
	static const char byte[] = "?m0rdi";

	for (uint32_t k = 0; k < f->nslot; k++) {
		const struct slot *s = &f->slot[k];

		if (!memcmp(s->byte, (const uint8_t[8]){ 0 }, 8))
			continue;
		say_to(to, " fp-%u=", 8 * (k + 1));
		if (s->byte[0] == SPILL && s->byte[7] == SPILL)
			log_reg(to, &s->reg);
		else
			for (unsigned i = 8; i--;)
				fputc(byte[s->byte[i]], to);
	}
}

/* The source line where it changes, then `INSN: (CODE) REGISTERS STACK`. */
void log_insn(struct verify *v)
{
	const struct frame *f;
	const char *where;

	if (!v->log)
		return;
	where = bpf_where(v->a, v->p, v->i);
	if (!v->where || strcmp(where, v->where))
		say_to(v->log, "; %s\n", where);
	v->where = where;
	f = top(v->s);
	say_to(v->log, "%u: (%02x)", v->i, v->p->insn[v->i].code);
	if (v->s->nframe > 1)
		say_to(v->log, " frame%u", v->s->nframe - 1);
	for (unsigned r = 0; r < 10; r++)
		if (f->r[r].kind != NOTHING) {
			say_to(v->log, " R%u=", r);
			log_reg(v->log, &f->r[r]);
		}
	log_stack(v->log, f);
	fputc('\n', v->log);
}
