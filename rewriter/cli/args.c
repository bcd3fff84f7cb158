/* SPDX-License-Identifier: MIT */
/* args.c - `TARGET OBJ... [-o OUT] [-p PROG=SPEC] [--set VAR=VALUE] ...`. */
#include <getopt.h>
#include <stdlib.h>
#include <string.h>

#include "rewriter/cli/args.h"
#include "rewriter/cli/cli.h"

enum { OPT_SET = 256, OPT_STRICT, OPT_ENGINE, OPT_DUMP, OPT_SETUID, OPT_MASK,
       OPT_EXPLAIN, OPT_GO_ONCE, OPT_NOP5, OPT_CPUS, OPT_TRAP, OPT_FAULT,
       OPT_TEXT, OPT_TYPE, OPT_NO_PIN, OPT_VERIFY };

enum { CPUS_MAX = 4096 };

static const struct option options[] = {
	{ "output", required_argument, NULL, 'o' },
	{ "probe", required_argument, NULL, 'p' },
	{ "set", required_argument, NULL, OPT_SET },
	{ "dry-run", no_argument, NULL, 'n' },
	{ "cpus", required_argument, NULL, OPT_CPUS },
	{ "strict", no_argument, NULL, OPT_STRICT },
	{ "engine", required_argument, NULL, OPT_ENGINE },
	{ "fault", required_argument, NULL, OPT_FAULT },
	{ "dump", required_argument, NULL, OPT_DUMP },
	{ "allow-setuid", no_argument, NULL, OPT_SETUID },
	{ "allow-trap", no_argument, NULL, OPT_TRAP },
	{ "go-once", no_argument, NULL, OPT_GO_ONCE },
	{ "no-pin", no_argument, NULL, OPT_NO_PIN },
	{ "mask", required_argument, NULL, OPT_MASK },
	{ "text", no_argument, NULL, OPT_TEXT },
	{ "type", required_argument, NULL, OPT_TYPE },
	{ "explain", required_argument, NULL, OPT_EXPLAIN },
	{ "usdt-nop5", no_argument, NULL, OPT_NOP5 },
	{ "verify", required_argument, NULL, OPT_VERIFY },
	{ "json", no_argument, NULL, 'j' },
	{ "verbose", no_argument, NULL, 'v' },
	{ "help", no_argument, NULL, 'h' },
	{ NULL, 0, NULL, 0 },
};

static void list_add(struct args *a, const char *const **list, uint32_t *n,
		     const char *s)
{
	const char **v = arena_push(&a->arena, (void *)*list, *n, sizeof(*v));

	v[(*n)++] = s;
	*list = v;
}

static int engine_parse(const char *name, enum engine *out, struct err *e)
{
	if (strcmp(name, "native") == 0)
		*out = ENGINE_NATIVE;
	else if (strcmp(name, "vm") == 0)
		*out = ENGINE_VM;
	else
		return misuse(e, "--engine=%s: native or vm", name);
	return 0;
}

static int cpus_parse(const char *s, uint32_t *out, struct err *e)
{
	char *end;
	unsigned long n = strtoul(s, &end, 10);

	if (*s < '0' || *s > '9' || *end || n < 1 || n > CPUS_MAX)
		return misuse(e, "--cpus=%s: a number from 1 to %d", s,
			      CPUS_MAX);
	*out = (uint32_t)n;
	return 0;
}

static int fault_parse(const char *name, enum fault_mode *out, struct err *e)
{
	if (strcmp(name, "auto") == 0)
		*out = FAULT_AUTO;
	else if (strcmp(name, "signal") == 0)
		*out = FAULT_SIGNAL;
	else if (strcmp(name, "syscall") == 0)
		*out = FAULT_SYSCALL;
	else
		return misuse(e, "--fault=%s: auto, signal or syscall", name);
	return 0;
}

static int option_take(struct args *a, int c, struct err *e)
{
	struct weld_options *w = &a->weld;

	switch (c) {
	case 'o':
		return cli_output(optarg, &w->out, e);
	case 'p':
		if (*optarg == '-')
			return misuse(e, "-p wants PROG=SPEC, not '%s'",
				      optarg);
		list_add(a, &w->probe, &w->nprobe, optarg);
		return 0;
	case OPT_SET:
		list_add(a, &w->set, &w->nset, optarg);
		return 0;
	case 'n':
		w->dry_run = true;
		return 0;
	case OPT_STRICT:
		w->strict = true;
		return 0;
	case OPT_ENGINE:
		return engine_parse(optarg, &w->engine, e);
	case OPT_CPUS:
		return cpus_parse(optarg, &w->cpus, e);
	case OPT_FAULT:
		return fault_parse(optarg, &w->fault, e);
	case OPT_DUMP:
		w->dump = optarg;
		return 0;
	case OPT_SETUID:
		w->allow_setuid = true;
		return 0;
	case OPT_GO_ONCE:
		w->go_once = true;
		return 0;
	case OPT_NO_PIN:
		w->no_pin = true;
		return 0;
	case OPT_TRAP:
		w->allow_trap = true;
		return 0;
	case OPT_MASK:
		list_add(a, &a->mask, &a->nmask, optarg);
		return 0;
	case OPT_TYPE:
		a->type = optarg;
		return 0;
	case OPT_TEXT:
		a->text = true;
		return 0;
	case OPT_EXPLAIN:
		a->explain = optarg;
		return 0;
	case OPT_NOP5:
		w->usdt_nop5 = true;
		return 0;
	case OPT_VERIFY:
		a->ask_kernel = true;
		return strcmp(optarg, "kernel")
			       ? misuse(e,
				"--verify wants 'kernel' for its value, not "
				"'%s': --verify=kernel",
				optarg)
			       : 0;
	case 'j':
		a->json = true;
		return 0;
	case 'v':
		a->verbose = true;
		w->log = stderr;
		return 0;
	case 'h':
		a->help = true;
		return 0;
	default: /* cli_option() has said what is wrong */
		return -1;
	}
}

/* What follows "--" is diff's command: cut it off before getopt permutes. */
static int command_split(int argc, char **argv, struct args *out)
{
	for (int i = 1; i < argc; i++)
		if (strcmp(argv[i], "--") == 0) {
			out->command = argv + i + 1;
			return i;
		}
	return argc;
}

int args_parse(int argc, char **argv, bool want_out, struct args *out,
	       struct err *e)
{
	int c;

	memset(out, 0, sizeof(*out));
	argc = command_split(argc, argv, out);
	optind = 0;
	while ((c = cli_option(argc, argv, ":o:p:njvh", options, e)) != -1)
		if (option_take(out, c, e))
			return -1;
	if (out->help)
		return 0;
	if (optind >= argc)
		return misuse(e, "%s: no target named", argv[0]);
	out->weld.target = argv[optind++];
	while (optind < argc)
		list_add(out, &out->weld.object, &out->weld.nobject,
			 argv[optind++]);
	if (out->explain && strcmp(argv[0], "check"))
		return misuse(e, "%s: --explain is check's", argv[0]);
	if (out->ask_kernel && (out->explain || !strcmp(argv[0], "diff")))
		return misuse(e, "%s: --verify=kernel is for weld, and for "
				 "check without --explain",
			      argv[0]);
	if (out->weld.dump && out->json)
		return misuse(e, "%s: --dump is no JSON", argv[0]);
	if (out->ask_kernel && out->weld.usdt_nop5)
		return misuse(e, "%s: --usdt-nop5 has no programs to verify",
			      argv[0]);
	if (out->weld.usdt_nop5 &&
	    (out->weld.nobject || out->weld.nprobe || out->weld.nset))
		return misuse(e, "%s: --usdt-nop5 takes no object", argv[0]);
	if (out->weld.usdt_nop5 && out->weld.allow_trap)
		return misuse(e, "%s: --usdt-nop5 has no use for --allow-trap",
			      argv[0]);
	if (!out->weld.nobject && !out->explain && !out->weld.usdt_nop5)
		return misuse(e, "%s: no BPF object named", argv[0]);
	if (want_out && !out->weld.out && !out->weld.dry_run)
		return misuse(e, "%s: -o OUT is missing", argv[0]);
	return 0;
}

void args_free(struct args *a)
{
	arena_free(&a->arena);
}
