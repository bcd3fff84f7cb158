/* SPDX-License-Identifier: MIT */
/* check.c - bpfweld check TARGET OBJ...: the whole plan; writes nothing. */
#include <inttypes.h>
#include <stdio.h>

#include "rewriter/cli/args.h"
#include "rewriter/cli/cli.h"
#include "rewriter/cli/explain.h"
#include "rewriter/cli/verdicts.h"
#include "rewriter/guards.h"
#include "runtime-stub/guard.h"

static const char usage[] =
	"usage: bpfweld check TARGET OBJ... [-p PROG=SPEC]... [-j]\n"
	"Shows where each probe would go: address, function, program, how the\n"
	"site is patched, bytes replaced and registers saved; and the guards of\n"
	"programs that could not be proved.  Writes nothing.\n"
	"  --explain ADDR|FUNC[+OFF]  instead, all that decides about one site;\n"
	"                             OBJ may be left out\n"
	"  --verify=kernel            also what the running kernel's verifier says\n"
	"                             of each program (-v: its whole log)\n"
	"Takes the options of weld.  Exit 4 when no probe can be placed, or with\n"
	"--strict when any cannot or a program has a guard; all of them are shown\n"
	"all the same.\n";

static const char *const reg_names[] = {
	"rax", "rcx", "rdx", "rbx", "rsp", "rbp", "rsi", "rdi", "r8",
	"r9",  "r10", "r11", "r12", "r13", "r14", "r15", "flags",
};

void regs_print(FILE *to, uint32_t regs)
{
	const char *sep = "";

	for (unsigned i = 0; i < sizeof(reg_names) / sizeof(*reg_names); i++)
		if (regs >> i & 1) {
			say_to(to, "%s%s", sep, reg_names[i]);
			sep = " ";
		}
	if (!*sep)
		fputs("nothing", to);
}

/* What a point does, when that is not plain. */
static const char *point_note(const struct point *x)
{
	switch (x->kind) {
	case POINT_ENTERED:
		return ", return address exchanged";
	case POINT_LEFT:
		return ", return address exchanged at a jump";
	default:
		return "";
	}
}

static void place_text(const struct weld *w, const struct place *at)
{
	const struct patch *p = &w->plan.patch[at->patch];
	const struct point *x = &p->point[at->point];

	say("%s, %u bytes%s", tactic_name(p->tactic), p->len, point_note(x));
	if (p->tramp) {
		say(", %" PRIu64 " bytes of trampoline, saves ", p->tramp_size);
		regs_print(stdout, p->saved);
	}
	putchar('\n');
}

static void link_text(const struct weld *w, uint32_t i)
{
	const struct link *l = &w->links.link[i];
	size_t first, n = plan_places(&w->plan, i, &first);

	say("0x%-10" PRIx64 " %s+0x%" PRIx64 "%s  ", l->addr, l->func->name,
	    l->offset, l->when == WHEN_RETURNED ? " returns" : "");
	if (l->note)
		say("usdt:%s:%s  ", l->note->provider, l->note->name);
	say("%s: ", w->set.prog[l->prog].name);
	if (w->plan.why[i])
		say("not placed: %s\n", w->plan.why[i]);
	else if (!n)
		puts("never returns");
	else if (l->when == WHEN_REACHED)
		place_text(w, &w->plan.place[first]);
	else
		say("%zu place%s\n", n, n == 1 ? "" : "s");
	if (w->plan.instead[i] && !w->plan.why[i])
		say("  by the return address, because %s\n",
		    w->plan.instead[i]->text);
	if (w->plan.untold[i])
		say("  %zu jumps out of it are not watched\n",
		    w->plan.untold[i]);
	for (size_t k = first; l->when == WHEN_RETURNED && k < first + n; k++) {
		const struct place *at = &w->plan.place[k];
		const struct patch *p = &w->plan.patch[at->patch];

		say("  0x%-10" PRIx64 " ",
		    p->insn[p->point[at->point].before].at);
		place_text(w, at);
	}
}

void regs_json(struct json *j, const char *key, uint32_t regs)
{
	json_key(j, key);
	json_array(j);
	for (unsigned i = 0; i < sizeof(reg_names) / sizeof(*reg_names); i++)
		if (regs >> i & 1)
			json_string(j, reg_names[i]);
	json_end(j);
}

static void place_json(struct json *j, const struct weld *w,
		       const struct place *at)
{
	static const char *const kinds[] = {
		[POINT_REACHED] = "reached", [POINT_ENTERED] = "entered",
		[POINT_LEFT] = "left",       [POINT_RETURN] = "return",
	};
	const struct patch *p = &w->plan.patch[at->patch];
	const struct point *x = &p->point[at->point];

	json_str_at(j, "kind", kinds[x->kind]);
	json_hex_at(j, "instruction", p->insn[x->before].at);
	json_str_at(j, "tactic", tactic_name(p->tactic));
	json_hex_at(j, "patch", p->at);
	json_u64_at(j, "patch_bytes", p->len);
	json_key(j, "original");
	json_bytes(j, (struct bytes){ image_at(&w->img, p->at, p->len),
				      p->len });
	if (p->hop)
		json_hex_at(j, "hop", p->hop);
	if (!p->tramp)
		return;
	json_hex_at(j, "trampoline", p->tramp);
	json_u64_at(j, "trampoline_bytes", p->tramp_size);
	regs_json(j, "saves", p->saved);
}

/* One word for a program: may it count on this probe? */
static const char *verdict(const struct weld *w, uint32_t link, size_t places)
{
	if (w->plan.why[link])
		return "refused";
	if (w->plan.untold[link])
		return "partial";
	return places ? "placed" : "never-returns";
}

static void reason_json(struct json *j, const struct weld *w, uint32_t i)
{
	const struct reason *instead = w->plan.instead[i];

	if (w->plan.why[i]) {
		json_str_at(j, "code", w->plan.code[i]);
		json_str_at(j, "reason", w->plan.why[i]);
	} else if (instead) {
		json_str_at(j, "by_return_address_code", instead->code);
		json_str_at(j, "by_return_address_reason", instead->text);
	}
	if (w->plan.untold[i])
		json_u64_at(j, "jumps_not_watched", w->plan.untold[i]);
}

static void link_json(struct json *j, const struct weld *w, uint32_t i)
{
	const struct link *l = &w->links.link[i];
	size_t first, n = plan_places(&w->plan, i, &first);

	json_object(j);
	json_str_at(j, "program", w->set.prog[l->prog].name);
	json_hex_at(j, "address", l->addr);
	json_str_at(j, "function", l->func->name);
	json_u64_at(j, "offset", l->offset);
	if (l->note) {
		json_key(j, "usdt");
		json_printf(j, "%s:%s", l->note->provider, l->note->name);
	}
	json_bool_at(j, "returns", l->when == WHEN_RETURNED);
	json_bool_at(j, "placed", !w->plan.why[i]);
	json_str_at(j, "verdict", verdict(w, i, n));
	reason_json(j, w, i);
	json_key(j, "places");
	json_array(j);
	for (size_t k = first; k < first + n; k++) {
		json_object(j);
		place_json(j, w, &w->plan.place[k]);
		json_end(j);
	}
	json_end(j);
	json_end(j);
}

/* --- Where a program could not be proved. */

static void guards_text(struct weld *w, enum engine engine)
{
	struct weld_guard *v;
	size_t n = guards_list(&w->arena, w, &v);

	if (n)
		say("%zu guard%s, as it could not be proved that no run "
		    "needs %s:\n",
		    n, n == 1 ? "" : "s", n == 1 ? "it" : "them");
	for (size_t i = 0; i < n; i++) {
		say("  %s: %s\n", w->set.prog[v[i].prog].name, v[i].where);
		say("    %s; %.1f ns\n", guard_text(&w->arena, w, &v[i]),
		    guard_cost(&v[i], engine));
	}
}

static void guard_json(struct json *j, const struct weld *w,
		       const struct weld_guard *g, enum engine engine)
{
	json_object(j);
	json_str_at(j, "program", w->set.prog[g->prog].name);
	json_str_at(j, "source", g->where);
	json_str_at(j, "kind", guard_kind(g));
	if (g->insn.src_reg == GUARD_RANGE) {
		json_key(j, "register");
		json_printf(j, "r%u", g->insn.dst_reg);
		json_u64_at(j, "max", (uint32_t)g->insn.imm);
	}
	if (g->insn.src_reg == GUARD_LOOP || g->insn.src_reg == GUARD_TURN)
		json_u64_at(j, "max", guard_times(g));
	if (g->insn.src_reg == GUARD_TURN)
		json_u64_at(j, "instructions", w->set.prog[g->prog].longest);
	json_key(j, "ns");
	json_double(j, guard_cost(g, engine));
	json_end(j);
}

static void guards_json(struct json *j, struct weld *w, enum engine engine)
{
	struct weld_guard *v;
	size_t n = guards_list(&w->arena, w, &v);

	json_key(j, "guards");
	json_array(j);
	for (size_t i = 0; i < n; i++)
		guard_json(j, w, &v[i], engine);
	json_end(j);
}

/* `e`: why nothing would be welded, or NULL. */
static void plan_json(struct weld *w, const struct args *a, const struct err *e)
{
	struct json j = json_to(stdout, false);

	json_object(&j);
	if (e)
		cli_error_json(&j, e);
	json_str_at(&j, "target", w->img.path);
	json_u64_at(&j, "placed", w->nprobe);
	json_u64_at(&j, "not_placed", w->plan.nrefusal);
	notes_json(&j, w);
	if (a->ask_kernel)
		verdicts_json(&j, w, a, e);
	json_key(&j, "probes");
	json_array(&j);
	for (uint32_t i = 0; i < w->links.nlink; i++)
		link_json(&j, w, i);
	json_end(&j);
	guards_json(&j, w, a->weld.engine);
	json_end(&j);
	json_done(&j);
}

/* How much of what was asked for is covered, and by which tactic. */
static void coverage_print(const struct weld *w)
{
	size_t by[TACTIC_COUNT] = { 0 }, all = w->plan.nrefusal + w->nprobe;

	for (size_t i = 0; i < w->plan.npatch; i++)
		by[w->plan.patch[i].tactic] += w->plan.patch[i].npoint;
	say("%u of %zu probes placed (%.2f%%)", w->nprobe, all,
	    all ? 100.0 * w->nprobe / (double)all : 0.0);
	for (uint8_t t = TACTIC_NOP_RUN; t < TACTIC_COUNT; t++)
		if (by[t])
			say(", %zu %s", by[t], tactic_name(t));
	putchar('\n');
}

/* That too little can be placed is an error as in weld, and yet what is known
 * of each probe is shown: it is what was asked for. */
static int check(struct weld *w, const struct args *a, struct err *e)
{
	bool bad = weld(w, &a->weld, e);

	if (bad && e->kind != ERR_NOT_PLACED)
		return verdicts_fail(w, a, true, e);
	if (a->json) {
		plan_json(w, a, bad ? e : NULL);
		return bad ? ERR_NOT_PLACED : 0;
	}
	notes_print(w);
	if (a->ask_kernel)
		verdicts_text(w, a, bad ? e : NULL);
	for (uint32_t i = 0; i < w->links.nlink; i++)
		link_text(w, i);
	guards_text(w, a->weld.engine);
	coverage_print(w);
	return bad ? cli_fail(e, false) : 0;
}

/* With objects, the site is looked at among their probes; that none of these
 * can be placed may be why somebody asks. */
static int explain(struct weld *w, const struct args *a, struct err *e)
{
	struct explained x;
	int bad;

	if (a->weld.nobject)
		bad = weld(w, &a->weld, e) && e->kind != ERR_NOT_PLACED;
	else
		bad = target_read(&w->arena, a->weld.target, false, &w->img, e) ||
		      trap_check(&a->weld, &w->img, e) ||
		      emit_plan(&w->arena, &w->img, &w->room, e) ||
		      sites_find(&w->arena, &w->img, &w->sites, e);
	w->sites.allow_trap = a->weld.allow_trap;
	w->sites.frame_table = w->room.frame_table;
	if (bad || explain_site(&w->arena, &w->sites,
				a->weld.nobject ? w : NULL, a->explain, &x, e))
		return cli_fail(e, a->json);
	if (a->json)
		explain_json(&x);
	else
		explain_text(&x);
	return 0;
}

int cmd_check(int argc, char **argv)
{
	struct args a;
	struct weld w = { 0 };
	struct err e;
	int ret = 0;

	if (args_parse(argc, argv, false, &a, &e)) {
		ret = cli_fail(&e, a.json);
	} else if (a.help) {
		cli_help(usage);
	} else if (verdicts_impossible(&a, &ret)) {
		; /* that was said */
	} else if (a.explain) {
		a.weld.dry_run = true;
		ret = explain(&w, &a, &e);
	} else {
		a.weld.dry_run = true;
		ret = check(&w, &a, &e);
	}
	weld_free(&w);
	args_free(&a);
	return ret;
}
