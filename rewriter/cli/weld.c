/* SPDX-License-Identifier: MIT */
/* weld.c - bpfweld weld TARGET OBJ... -o OUT */
#include <inttypes.h>
#include <stdio.h>

#include "rewriter/cli/args.h"
#include "rewriter/cli/cli.h"
#include "rewriter/cli/verdicts.h"
#include "rewriter/fault.h"
#include "rewriter/guards.h"

static const char usage[] =
	"usage: bpfweld weld TARGET OBJ... -o OUT [options]\n"
	"       bpfweld weld --usdt-nop5 TARGET -o OUT\n"
	"  -o, --output OUT        the welded file (TARGET stays untouched)\n"
	"  -p, --probe PROG=SPEC   put program PROG at SPEC instead of its SEC():\n"
	"                          uprobe:FUNC[+OFF], uprobe:0xADDR, uprobe:GLOB,\n"
	"                          uretprobe:FUNC (its returns),\n"
	"                          usdt:PROVIDER:NAME (globs, too), none; globs\n"
	"                          have * ? [a-z] [!a-z];\n"
	"                          \",cookie=N\" may follow\n"
	"      --set VAR=VALUE     value of a global variable of the objects; of a\n"
	"                          map, MAP.max_entries=N or MAP.value_size=N\n"
	"      --engine=native|vm  compile the programs (default) or interpret\n"
	"      --cpus=N            PERCPU maps have values for N CPUs (default 32)\n"
	"      --fault=auto|signal|syscall  bad pointers: catch signals, or ask first\n"
	"      --no-pin            keep pinned maps to this weld, do not share them\n"
	"      --verify=kernel     show what the running kernel's verifier says of each\n"
	"                          program, too (-v: its whole log)\n"
	"      --strict            fail if any probe cannot be placed, or a program\n"
	"                          could not be proved and would run with guards\n"
	"      --allow-setuid      weld a setuid or setgid target, keep the bits\n"
	"      --allow-trap        last resort: an int3 where nothing else fits; it can\n"
	"                          kill the program (see bpfweld(1))\n"
	"      --usdt-nop5         no programs: make one-byte USDT sites nops of five\n"
	"                          bytes, at which the kernel's own probes are faster\n"
	"      --go-once           Go: count a call once, though its stack grows\n"
	"  -n, --dry-run           do everything but write\n"
	"      --dump=STAGE        print a stage: sites bpf links plan region code\n"
	"  -j, --json              the summary as JSON\n"
	"  -v, --verbose           one line for every probe that is not placed\n";

enum { REFUSALS_SHOWN = 5 };

static void refusals_print(const struct weld *w, bool all)
{
	size_t n = w->plan.nrefusal;

	for (size_t i = 0; i < n; i++) {
		const struct refusal *r = &w->plan.refusal[i];
		const struct link *l = &w->links.link[r->link];

		if (i == REFUSALS_SHOWN && !all && n > REFUSALS_SHOWN + 1) {
			say_to(stderr,
			       "bpfweld: %zu more probes are not placed "
			       "(-v shows them)\n",
			       n - i);
			return;
		}
		say_to(stderr,
		       "bpfweld: %s:0x%" PRIx64 ": %s at %s+0x%" PRIx64
		       " is not placed: %s\n",
		       w->img.path, l->addr, w->set.prog[l->prog].name,
		       l->func->name, l->offset, r->why);
	}
}

/* Not those that only lend room. */
static size_t sites_patched(const struct weld *w)
{
	size_t n = 0;

	for (size_t i = 0; i < w->plan.npatch; i++)
		n += w->plan.patch[i].npoint > 0;
	return n;
}

/* Probes of returns that there are none of. */
static size_t never_returning(const struct weld *w)
{
	size_t n = 0, first;

	for (uint32_t i = 0; i < w->links.nlink; i++)
		n += !w->plan.why[i] && !plan_places(&w->plan, i, &first);
	return n;
}

static void traps_warn(struct weld *w)
{
	const char *calls = trap_dangers(&w->arena, &w->img);
	size_t n = plan_traps(&w->plan);

	if (n)
		say_to(stderr,
		       "bpfweld: warning: %zu site%s of %s %s (int3): a hit "
		       "kills the program where SIGTRAP is blocked or it has "
		       "set a handler of its own%s%s\n",
		       n, n == 1 ? "" : "s", w->img.path,
		       n == 1 ? "is a trap" : "are traps",
		       calls ? "; it calls " : "", calls ? calls : "");
}

void notes_print(const struct weld *w)
{
	for (uint32_t i = 0; i < w->set.nnote; i++)
		say_to(stderr, "bpfweld: note: %s\n", w->set.note[i]);
}

void notes_json(struct json *j, const struct weld *w)
{
	json_key(j, "notes");
	json_array(j);
	for (uint32_t i = 0; i < w->set.nnote; i++)
		json_string(j, w->set.note[i]);
	json_end(j);
}

static void pins_json(struct json *j, const struct weld *w)
{
	json_key(j, "pinned");
	json_array(j);
	for (uint32_t i = 0; i < w->region.npin; i++)
		json_string(j, w->set.map[w->region.pin[i].map].name);
	json_end(j);
}

static void pins_text(const struct weld *w)
{
	for (uint32_t i = 0; i < w->region.npin; i++)
		say("map %s is shared with other welds (pinned)\n",
		    w->set.map[w->region.pin[i].map].name);
}

static size_t guards(struct weld *w)
{
	struct weld_guard *v;

	return guards_list(&w->arena, w, &v);
}

static void summary_json(struct weld *w, const struct args *a)
{
	struct json j = json_to(stdout, false);

	json_object(&j);
	json_str_at(&j, "target", w->img.path);
	json_str_at(&j, "output", a->weld.dry_run ? NULL : a->weld.out);
	json_u64_at(&j, "placed", w->nprobe);
	json_u64_at(&j, "not_placed", w->plan.nrefusal);
	json_u64_at(&j, "never_return", never_returning(w));
	json_u64_at(&j, "traps", plan_traps(&w->plan));
	json_u64_at(&j, "guards", guards(w));
	json_u64_at(&j, "maps", w->set.nmap);
	json_u64_at(&j, "code_bytes", w->rx.n);
	json_u64_at(&j, "region_bytes", w->region.size);
	json_str_at(&j, "fault", w->faults ? fault_name(w->fault) : NULL);
	json_str_at(&j, "fault_why", w->faults ? w->fault_why : NULL);
	pins_json(&j, w);
	notes_json(&j, w);
	if (a->ask_kernel)
		verdicts_json(&j, w, a, NULL);
	json_end(&j);
	json_done(&j);
}

static void nop5_text(const struct weld *w, const struct args *a)
{
	say("%s: %u USDT site%s with a nop of five bytes",
	    a->weld.dry_run ? w->img.path : a->weld.out, w->nprobe,
	    w->nprobe == 1 ? "" : "s");
	if (w->plan.nrefusal)
		say(", %zu left as %s", w->plan.nrefusal,
		    w->plan.nrefusal == 1 ? "it was" : "they were");
	if (w->links.nskipped)
		say(", %zu in functions that may use their red zone",
		    w->links.nskipped);
	say("%s\n", a->weld.dry_run ? " (nothing written)" : "");
}

static void summary_text(struct weld *w, const struct args *a)
{
	size_t sites = sites_patched(w), never = never_returning(w);
	size_t nguard = guards(w);

	if (a->ask_kernel)
		verdicts_text(w, a, NULL);
	say("%s: %u probe%s at %zu site%s",
	    a->weld.dry_run ? w->img.path : a->weld.out, w->nprobe,
	    w->nprobe == 1 ? "" : "s", sites, sites == 1 ? "" : "s");
	if (never)
		say(", %zu of function%s never left", never,
		    never == 1 ? " that is" : "s that are");
	if (w->plan.nrefusal)
		say(", %zu not placed", w->plan.nrefusal);
	if (w->links.nskipped)
		say(", %zu program%s for other binaries", w->links.nskipped,
		    w->links.nskipped == 1 ? "" : "s");
	if (nguard)
		say(", %zu guard%s", nguard, nguard == 1 ? "" : "s");
	if (w->faults)
		say(", --fault=%s", fault_name(w->fault));
	say("%s\n", a->weld.dry_run ? " (nothing written)" : "");
	pins_text(w);
}

int cmd_weld(int argc, char **argv)
{
	struct args a;
	struct weld w = { 0 };
	struct err e;
	int ret = 0;

	if (args_parse(argc, argv, true, &a, &e))
		ret = cli_fail(&e, a.json);
	else if (a.help)
		cli_help(usage);
	else if (verdicts_impossible(&a, &ret))
		; /* that was said */
	else if (weld(&w, &a.weld, &e))
		ret = verdicts_fail(&w, &a, false, &e);
	else {
		if (!a.weld.dry_run)
			cli_done("%s is written", a.weld.out);
		refusals_print(&w, a.verbose);
		traps_warn(&w);
		notes_print(&w);
		if (a.json)
			summary_json(&w, &a);
		else if (a.weld.usdt_nop5)
			nop5_text(&w, &a);
		else
			summary_text(&w, &a);
	}
	weld_free(&w);
	args_free(&a);
	return ret;
}
