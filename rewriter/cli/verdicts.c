/* SPDX-License-Identifier: MIT */
/* verdicts.c - what became of each program; with --verify=kernel, two verdicts.
 *
 * A program of the object may be several here: one for each spec of a USDT
 * probe's arguments, two for a session.  To the kernel they are one; it is
 * refused if any of ours is.
 */
#include "rewriter/cli/verdicts.h"
#include "rewriter/verify/verify.h"
#include "rewriter/cli/cli.h"
#include "rewriter/kernel/kernel.h"
#include "rewriter/region.h"
#include "runtime-stub/ring.h"

struct pair {
	const char *name, *section;
	uint32_t object;
	struct judged ours;
	struct kernel_verdict kernel;
};
struct pairs {
	struct pair *v;
	size_t n;
};

bool verdicts_impossible(const struct args *a, int *code)
{
	const char *why;

	if (!a->ask_kernel || kernel_loads(&why))
		return false;
	*code = cli_skip("--verify=kernel", why, a->json);
	return true;
}

static void pair_add(struct arena *a, struct pairs *p, struct pair x)
{
	p->v = arena_push(a, p->v, p->n, sizeof(*p->v));
	p->v[p->n++] = x;
}

/* The set's program that the object's program is: itself, or what it was made
 * from. */
static uint32_t origin(const struct bpf_set *set, uint32_t p)
{
	p = set->prog[p].of;
	return p - (set->prog[p].session == SESSION_RETURN);
}

/* What all programs made from one of the object's have come to. */
static struct judged joined(const struct weld *w, uint32_t prog)
{
	struct judged all = { 0 };

	for (uint32_t p = 0; p < w->set.nprog; p++) {
		const struct judged *j = &w->judged[p];

		if (origin(&w->set, p) != prog || !j->asked)
			continue;
		all.asked = true;
		all.guards += j->guards;
		if (j->refused && !all.refused) {
			all.refused = true;
			all.why = j->why;
		}
	}
	return all;
}

static void pair_bound(struct weld *w, uint32_t prog, struct pairs *out)
{
	const struct bpf_prog *x = &w->set.prog[prog];
	struct judged j = joined(w, prog);

	if (j.asked)
		pair_add(&w->arena, out,
			 (struct pair){
				 x->name, x->section, x->object, j, { 0 } });
}

static bool says(const struct err *e, const struct err *why)
{
	return strstr(e->what, why->what);
}

/* Nothing is welded because of programs that could not be loaded, or of one
 * that was asked for and is SEC("?..."): `e` says what it says, and maybe more.
 * Those that were to stand at `before`. */
static void pairs_unusable(struct weld *w, const struct err *e, uint32_t before,
			   struct pairs *out)
{
	for (uint32_t i = 0; e && i < w->set.nunusable; i++) {
		const struct bpf_unusable *u = &w->set.unusable[i];

		if (u->before != before || (!u->wanted && !says(e, &u->why)))
			continue;
		pair_add(&w->arena, out,
			 (struct pair){ u->name,
					u->section,
					u->object,
					{ .refused = true, .why = u->why },
					{ 0 } });
	}
}

static bool is_larger(uint64_t *all, uint64_t n, uint64_t each)
{
	if (n && each > (REGION_MAX - *all) / n)
		return true;
	*all += n * each;
	return false;
}

/* The kernel makes all maps of the object before it looks at a program.  For maps
 * of many elements that takes minutes in which nothing can stop it, or all memory.
 * NULL: they would have room in a region. */
static const char *map_too_large(const struct bpf_set *set, uint32_t object)
{
	uint64_t all = 0;

	for (uint32_t i = 0; i < set->nmap; i++) {
		const struct bpf_map_def *m = &set->map[i];
		uint64_t each = 8 + align_up(m->value_size, 8);

		if (m->object != object || m->absent)
			continue;
		if (map_is_percpu(m->type))
			each *= set->cpus ? set->cpus : REGION_CPUS;
		if (ring_is(m->type) || m->type == BPF_MAP_TYPE_USER_RINGBUF)
			each = 1;
		if (is_larger(&all, m->max_entries, each + m->key_size))
			return m->name;
	}
	return NULL;
}

static void ask(struct weld *w, const struct args *a, struct pair *x)
{
	const char *large = map_too_large(&w->set, x->object);
	const struct bpf_object_file *f = &w->set.object[x->object];
	struct bpf_prog named = { .section = x->section };
	struct kernel_question q = {
		.name = f->name,
		.bytes = f->bytes,
		.prog = x->name,
		.attach_type = kernel_attach_type(x->section),
		.sleeps = prog_sleeps(&named),
		.trace = a->verbose,
		.set = &w->set,
		.object = x->object,
	};

	if (!large) {
		kernel_judge(&w->arena, &q, &x->kernel);
		return;
	}
	x->kernel = (struct kernel_verdict){
		.kind = KERNEL_UNASKED,
		.why = arena_printf(&w->arena,
				    "with map '%s' its maps are larger than "
				    "1 GiB",
				    large),
		.log = "",
	};
}

static struct pairs pairs_ours(struct weld *w, const struct err *e)
{
	struct pairs p = { 0 };

	for (uint32_t i = 0; i < w->set.nprog; i++) {
		pairs_unusable(w, e, i, &p);
		if (w->judged)
			pair_bound(w, i, &p);
	}
	pairs_unusable(w, e, w->set.nprog, &p);
	return p;
}

static struct pairs pairs_make(struct weld *w, const struct args *a,
			       const struct err *e)
{
	struct pairs p = pairs_ours(w, e);

	for (size_t i = 0; a->ask_kernel && i < p.n; i++)
		ask(w, a, &p.v[i]);
	return p;
}

/* --- As text. */

static void ours_text(const struct judged *j)
{
	if (j->refused)
		say("refused: %s", j->why.what);
	else if (j->guards)
		say("accepted with %u guard%s", j->guards,
		    j->guards == 1 ? "" : "s");
	else
		fputs("accepted", stdout);
}

static void log_text(const char *log)
{
	while (*log) {
		int n = (int)strcspn(log, "\n");

		say("    %.*s\n", n, log);
		log += n + (log[n] == '\n');
	}
}

static const char *const kernel_words[] = {
	[KERNEL_ACCEPTS] = "accepted",
	[KERNEL_REFUSES] = "refused",
	[KERNEL_UNASKED] = "not asked",
};

void verdicts_text(struct weld *w, const struct args *a, const struct err *e)
{
	struct pairs p = pairs_make(w, a, e);

	for (size_t i = 0; i < p.n; i++) {
		const struct kernel_verdict *k = &p.v[i].kernel;

		say("%s: bpfweld: ", p.v[i].name);
		ours_text(&p.v[i].ours);
		say("; kernel: %s%s%s\n", kernel_words[k->kind],
		    k->why ? ": " : "", k->why ? k->why : "");
		if (a->verbose)
			log_text(k->log);
	}
}

/* --- As JSON. */

static void pair_json(struct json *j, const struct weld *w,
		      const struct args *a, const struct pair *x)
{
	const struct kernel_verdict *k = &x->kernel;

	json_object(j);
	json_str_at(j, "program", x->name);
	json_str_at(j, "object", w->set.object[x->object].path);
	json_str_at(j, "bpfweld", x->ours.refused ? "refused" : "accepted");
	if (x->ours.refused)
		json_str_at(j, "bpfweld_reason", x->ours.why.what);
	else
		json_u64_at(j, "guards", x->ours.guards);
	if (a->ask_kernel)
		json_str_at(j, "kernel", kernel_words[k->kind]);
	if (k->why)
		json_str_at(j, "kernel_reason", k->why);
	if (k->insns)
		json_u64_at(j, "kernel_insns", k->insns);
	if (a->ask_kernel && a->verbose)
		json_str_at(j, "kernel_log", k->log);
	json_end(j);
}

void verdicts_json(struct json *j, struct weld *w, const struct args *a,
		   const struct err *e)
{
	struct pairs p = pairs_make(w, a, e);

	json_key(j, "programs");
	json_array(j);
	for (size_t i = 0; i < p.n; i++)
		pair_json(j, w, a, &p.v[i]);
	json_end(j);
}

/* --- What is refused, and what is not. */

/* All but the one that the error is of. */
static void refused_text(const struct pairs *p, const struct err *e)
{
	for (size_t i = 0; i < p->n; i++)
		if (p->v[i].ours.refused && !says(e, &p->v[i].ours.why))
			err_print(stderr, &p->v[i].ours.why);
}

static void accepted_text(const struct pairs *p)
{
	for (size_t i = 0; i < p->n; i++) {
		if (p->v[i].ours.refused)
			continue;
		say("%s: ", p->v[i].name);
		ours_text(&p->v[i].ours);
		putchar('\n');
	}
}

static void refused_json(struct json *j, const struct weld *w,
			 const struct pairs *p)
{
	json_key(j, "refused");
	json_array(j);
	for (size_t i = 0; i < p->n; i++) {
		if (!p->v[i].ours.refused)
			continue;
		json_object(j);
		json_str_at(j, "program", p->v[i].name);
		json_str_at(j, "object", w->set.object[p->v[i].object].path);
		json_str_at(j, "reason", p->v[i].ours.why.what);
		json_end(j);
	}
	json_end(j);
}

/* Is the error of programs? */
static bool any_refused(const struct pairs *p)
{
	for (size_t i = 0; i < p->n; i++)
		if (p->v[i].ours.refused)
			return true;
	return false;
}

int verdicts_fail(struct weld *w, const struct args *a, bool all,
		  const struct err *e)
{
	struct json j = json_to(stdout, false);
	struct pairs p = pairs_ours(w, e);

	all = all && any_refused(&p);
	if (!a->json) {
		if (a->ask_kernel)
			verdicts_text(w, a, e);
		else if (all)
			accepted_text(&p);
		cli_fail(e, false);
		refused_text(&p, e);
		return (int)e->kind;
	}
	json_object(&j);
	cli_error_json(&j, e);
	if (any_refused(&p))
		refused_json(&j, w, &p);
	if (a->ask_kernel || all)
		verdicts_json(&j, w, a, e);
	json_end(&j);
	json_done(&j);
	return (int)e->kind;
}
