/* SPDX-License-Identifier: MIT */
/* explain_print.c - what explain.c found out, for people and as JSON. */
#include <inttypes.h>

#include "rewriter/cli/explain.h"

enum { LABEL = 12, FLAGS = 1u << 16 };

/* DWARF's numbers of the integer registers. */
static const char *const dwarf_regs[] = {
	"rax", "rdx", "rcx", "rbx", "rsi", "rdi", "rbp", "rsp",
	"r8",  "r9",  "r10", "r11", "r12", "r13", "r14", "r15",
};

static const char *cfa_reg(const struct explained *x)
{
	return x->cfa_reg < 16 ? dwarf_regs[x->cfa_reg] : "?";
}

static uint32_t live_bits(const struct explained *x)
{
	return x->live.regs | (x->live.flags ? FLAGS : 0);
}

static uint64_t func_last(const struct explained *x)
{
	return x->f->size ? x->f->addr + x->f->size : func_limit(x->s, x->f);
}

static const char *const exit_names[] = {
	[EXIT_RET] = "ret", [EXIT_JMP] = "jump", [EXIT_JCC] = "branch",
	[EXIT_IND] = "indirect jump",
};

/* Boundaries of exception call sites are nothing that is jumped to. */
static const char *reach_note(const struct reach *r)
{
	return r->why == TARGET_CALLSITE ? " (nothing jumps there)" : "";
}

static void label(const char *name)
{
	say("  %-*s", LABEL, name);
}

/* --- text -------------------------------------------------------------- */

static void function_text(const struct explained *x)
{
	say("0x%" PRIx64 " %s+0x%" PRIx64 "\n", x->site, x->f->name,
	    x->site - x->f->addr);
	label("function");
	say("0x%" PRIx64 " to 0x%" PRIx64 "%s, known from %s%s%s\n", x->f->addr,
	    func_last(x), x->f->size ? "" : " at most (its size is not known)",
	    known_from(x->s->img, x->f),
	    x->f->fragment ? ", a fragment of another function" : "",
	    x->f->copied ? ", run from a copy" : "");
	label("frame");
	if (x->framed)
		say("CFA = %s%+" PRId64 "\n", cfa_reg(x), x->cfa_offset);
	else
		puts(image_fde(x->s->img, x->site)
			     ? "computed, or not understood"
			     : "not described");
	label("live");
	regs_print(stdout, live_bits(x));
	putchar('\n');
}

static void reach_text(const struct reach *r)
{
	say("      0x%-10" PRIx64 "   <- %s", r->at, target_why_name(r->why));
	if (r->from)
		say(": %s", r->from);
	puts(reach_note(r));
}

static void insn_text(const struct explained *x, const struct shown *i)
{
	const uint8_t *b = image_at(x->s->img, i->in.at, i->in.len);
	int width = 0;

	say("    %c 0x%-10" PRIx64 " ", i->in.at == x->site ? '>' : ' ',
	    i->in.at);
	for (unsigned k = 0; k < i->in.len; k++)
		width += printf("%02x ", b[k]);
	say("%*s%s\n", width < 30 ? 30 - width : 1, "", i->text);
}

/* Instructions, and below each what may reach a byte of it. */
static void code_text(const struct explained *x)
{
	size_t k = 0;

	label("code");
	puts("and what may reach it other than by falling in");
	for (size_t i = 0; i < x->nshown; i++) {
		uint64_t end = x->shown[i].in.at + x->shown[i].in.len;

		insn_text(x, &x->shown[i]);
		for (; k < x->nreach && x->reach[k].at < end; k++)
			reach_text(&x->reach[k]);
	}
}

static void attempts_text(const struct outcome *o)
{
	label("tactics");
	puts(o->plan.nattempt ? "in the order of trying"
			      : "none is tried");
	for (size_t i = 0; i < o->plan.nattempt; i++) {
		const struct attempt *t = &o->plan.attempt[i];

		say("      0x%-10" PRIx64 " %-12s %s\n", t->at,
		    tactic_name(t->tactic), t->why ? t->why->text : "taken");
	}
}

static void bytes_text(const struct explained *x, const struct patch *p)
{
	uint8_t b[PATCH_INSNS * 15];
	int open;

	explain_bytes(x, p, b, &open);
	label("bytes");
	for (int i = 0; i < p->len; i++) {
		if (open >= 0 && i >= open && i < open + 4)
			fputs("?? ", stdout);
		else
			say("%02x ", b[i]);
	}
	if (open >= 0)
		fputs("(?? depends on the trampoline's address)", stdout);
	putchar('\n');
	if (!p->hop)
		return;
	label("hop");
	say("5 bytes at 0x%" PRIx64 " (%s)\n", p->hop,
	    reach_name(x->a, x->s, p->hop));
}

/* The trampoline, where there were objects to make it of. */
static void tramp_text(const struct explained *x, const struct patch *p)
{
	for (size_t i = 0; x->w && i < x->w->plan.npatch; i++) {
		const struct patch *q = &x->w->plan.patch[i];

		if (q->at != p->at || !q->tramp)
			continue;
		label("trampoline");
		say("%" PRIu64 " bytes at 0x%" PRIx64 ", %zu point%s, "
		    "saves ",
		    q->tramp_size, q->tramp, q->npoint,
		    q->npoint == 1 ? "" : "s");
		regs_print(stdout, q->saved);
		putchar('\n');
	}
}

/* Jumps into the window, and where they lead now. */
static void edges_text(const struct outcome *o, const struct patch *p)
{
	for (size_t i = 0; i < o->plan.nedge; i++) {
		const struct edge *x = &o->plan.edge[i];

		if (x->to - p->at >= p->len)
			continue;
		label("jump");
		say("0x%" PRIx64 " leads to the copy of 0x%" PRIx64, x->at,
		    x->to);
		if (x->hop)
			say(" by 5 bytes at 0x%" PRIx64, x->hop);
		putchar('\n');
	}
}

static void patch_text(const struct explained *x, const struct outcome *o)
{
	const struct patch *p = explain_patch(o);

	label("verdict");
	if (!p) {
		say("%s [%s]\n", o->plan.why[o->link], o->plan.code[o->link]);
		return;
	}
	say("placed: %s, %u bytes at 0x%" PRIx64 ", %u instruction%s "
	    "moved%s\n",
	    tactic_name(p->tactic), p->len, p->at, p->ninsn,
	    p->ninsn == 1 ? "" : "s", p->lends ? ", a hop in its bytes" : "");
	bytes_text(x, p);
	edges_text(o, p);
	tramp_text(x, p);
}

static void body_text(const struct explained *x)
{
	label("body");
	for (size_t i = 0; i < x->body.npart; i++)
		say("%s0x%" PRIx64 " to 0x%" PRIx64, i ? ", " : "",
		    x->body.part[i].lo, x->body.part[i].hi);
	putchar('\n');
	label("left at");
	if (!x->body.nexit)
		fputs("no place", stdout);
	for (size_t i = 0; i < x->body.nexit; i++)
		say("%s0x%" PRIx64 " (%s)", i ? ", " : "", x->body.exit[i].at,
		    exit_names[x->body.exit[i].kind]);
	putchar('\n');
}

static void returns_text(const struct explained *x)
{
	const struct plan *p = &x->returned.plan;
	uint32_t k = x->returned.link;
	size_t first, n = plan_places(p, k, &first);

	body_text(x);
	label("returns");
	if (p->why[k])
		say("%s [%s]\n", p->why[k], p->code[k]);
	else if (p->instead[k])
		say("told by the return address: %s [%s]\n",
		    p->instead[k]->text, p->instead[k]->code);
	else
		say("told by the places where it is left%s\n",
		    n ? "" : ": there are none");
	if (p->untold[k])
		say("      %zu jumps out of it are not watched\n",
		    p->untold[k]);
	for (size_t i = first; i < first + n; i++) {
		const struct patch *q = &p->patch[p->place[i].patch];
		const struct point *pt = &q->point[p->place[i].point];

		say("      0x%-10" PRIx64 " %s, %u bytes at 0x%" PRIx64 "\n",
		    q->insn[pt->before].at, tactic_name(q->tactic), q->len,
		    q->at);
	}
}

void explain_text(const struct explained *x)
{
	function_text(x);
	code_text(x);
	attempts_text(&x->reached);
	patch_text(x, &x->reached);
	if (x->entry)
		returns_text(x);
}

/* --- JSON -------------------------------------------------------------- */

static void function_json(struct json *j, const struct explained *x)
{
	json_hex_at(j, "address", x->site);
	json_str_at(j, "function", x->f->name);
	json_u64_at(j, "offset", x->site - x->f->addr);
	json_hex_at(j, "function_address", x->f->addr);
	json_u64_at(j, "function_bytes", x->f->size);
	json_str_at(j, "known_from", known_from(x->s->img, x->f));
	json_bool_at(j, "fragment", x->f->fragment);
	if (x->framed) {
		json_str_at(j, "cfa_register", cfa_reg(x));
		json_key(j, "cfa_offset");
		json_s64(j, x->cfa_offset);
	}
	regs_json(j, "live", live_bits(x));
}

static void code_json(struct json *j, const struct explained *x)
{
	json_key(j, "instructions");
	json_array(j);
	for (size_t i = 0; i < x->nshown; i++) {
		const struct insn *in = &x->shown[i].in;

		json_object(j);
		json_hex_at(j, "address", in->at);
		json_key(j, "bytes");
		json_bytes(j, (struct bytes){
				      image_at(x->s->img, in->at, in->len),
				      in->len });
		json_str_at(j, "text", x->shown[i].text);
		json_end(j);
	}
	json_end(j);
	json_key(j, "reached");
	json_array(j);
	for (size_t i = 0; i < x->nreach; i++) {
		json_object(j);
		json_hex_at(j, "address", x->reach[i].at);
		json_str_at(j, "why", target_why_name(x->reach[i].why));
		if (x->reach[i].from)
			json_str_at(j, "from", x->reach[i].from);
		json_end(j);
	}
	json_end(j);
}

static void reason_json(struct json *j, const struct reason *why)
{
	json_str_at(j, "code", why->code);
	json_str_at(j, "reason", why->text);
}

static void attempts_json(struct json *j, const struct outcome *o)
{
	json_key(j, "tactics");
	json_array(j);
	for (size_t i = 0; i < o->plan.nattempt; i++) {
		const struct attempt *t = &o->plan.attempt[i];

		json_object(j);
		json_hex_at(j, "at", t->at);
		json_str_at(j, "tactic", tactic_name(t->tactic));
		json_bool_at(j, "taken", !t->why);
		if (t->why)
			reason_json(j, t->why);
		json_end(j);
	}
	json_end(j);
}

static void bytes_json(struct json *j, const struct explained *x,
		       const struct patch *p)
{
	uint8_t b[PATCH_INSNS * 15];
	int open;

	explain_bytes(x, p, b, &open);
	json_key(j, "bytes");
	json_array(j);
	for (int i = 0; i < p->len; i++) {
		if (open >= 0 && i >= open && i < open + 4)
			json_null(j);
		else
			json_printf(j, "0x%02x", b[i]);
	}
	json_end(j);
}

static void edges_json(struct json *j, const struct outcome *o,
		       const struct patch *p)
{
	json_key(j, "jumps");
	json_array(j);
	for (size_t i = 0; i < o->plan.nedge; i++) {
		const struct edge *x = &o->plan.edge[i];

		if (x->to - p->at >= p->len)
			continue;
		json_object(j);
		json_hex_at(j, "instruction", x->at);
		json_hex_at(j, "to", x->to);
		if (x->hop)
			json_hex_at(j, "hop", x->hop);
		json_end(j);
	}
	json_end(j);
}

static void patch_json(struct json *j, const struct explained *x,
		       const struct outcome *o)
{
	const struct patch *p = explain_patch(o);

	json_bool_at(j, "placed", p != NULL);
	if (!p) {
		json_str_at(j, "code", o->plan.code[o->link]);
		json_str_at(j, "reason", o->plan.why[o->link]);
		return;
	}
	json_str_at(j, "tactic", tactic_name(p->tactic));
	json_hex_at(j, "patch", p->at);
	json_u64_at(j, "moved", p->ninsn);
	bytes_json(j, x, p);
	if (p->hop)
		json_hex_at(j, "hop", p->hop);
	if (p->entered)
		edges_json(j, o, p);
	for (size_t i = 0; x->w && i < x->w->plan.npatch; i++) {
		const struct patch *q = &x->w->plan.patch[i];

		if (q->at != p->at || !q->tramp)
			continue;
		json_hex_at(j, "trampoline", q->tramp);
		json_u64_at(j, "trampoline_bytes", q->tramp_size);
		regs_json(j, "saves", q->saved);
	}
}

static void body_json(struct json *j, const struct body *b)
{
	json_key(j, "parts");
	json_array(j);
	for (size_t i = 0; i < b->npart; i++) {
		json_object(j);
		json_hex_at(j, "from", b->part[i].lo);
		json_hex_at(j, "to", b->part[i].hi);
		json_end(j);
	}
	json_end(j);
	json_key(j, "exits");
	json_array(j);
	for (size_t i = 0; i < b->nexit; i++) {
		json_object(j);
		json_hex_at(j, "address", b->exit[i].at);
		json_str_at(j, "kind", exit_names[b->exit[i].kind]);
		json_end(j);
	}
	json_end(j);
}

static void returns_json(struct json *j, const struct explained *x)
{
	const struct plan *p = &x->returned.plan;
	uint32_t k = x->returned.link;

	json_key(j, "returns");
	json_object(j);
	body_json(j, &x->body);
	json_bool_at(j, "placed", !p->why[k]);
	if (p->why[k]) {
		json_str_at(j, "code", p->code[k]);
		json_str_at(j, "reason", p->why[k]);
	} else {
		json_str_at(j, "told_by",
			    p->instead[k] ? "return address" : "exits");
		if (p->instead[k])
			reason_json(j, p->instead[k]);
	}
	json_u64_at(j, "jumps_not_watched", p->untold[k]);
	json_end(j);
}

void explain_json(const struct explained *x)
{
	struct json j = json_to(stdout, false);

	json_object(&j);
	json_str_at(&j, "target", x->s->img->path);
	function_json(&j, x);
	code_json(&j, x);
	attempts_json(&j, &x->reached);
	patch_json(&j, x, &x->reached);
	if (x->entry)
		returns_json(&j, x);
	json_end(&j);
	json_done(&j);
}
