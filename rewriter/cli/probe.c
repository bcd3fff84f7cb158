/* SPDX-License-Identifier: MIT */
/* probe.c - bpfweld probe list|enable|disable: the gates of a welded program's
 * probes, while it runs or afterwards.
 */
#include <inttypes.h>
#include <stdlib.h>

#include "rewriter/cli/maps.h"
#include "rewriter/names.h"

static const char usage_head[] =
	"usage: bpfweld probe list    WELDED [PROBE]... [-j]\n"
	"       bpfweld probe enable  WELDED [PROBE]... [-j]\n"
	"       bpfweld probe disable WELDED [PROBE]... [-j]\n\n";
static const char usage_tail[] =
	"\nPROBE is a probe's number, its program, or where it is, such as\n"
	"uprobe:main; with * ? [a-z] [!a-z].  Without PROBE it is all of them.\n"
	"A change holds for all processes of the program, now and when it runs again.\n";

struct probes {
	struct cli cli;
	struct maps maps;
	bool *chosen;
};

/* --- Which ones. */

static bool answers(struct probes *p, uint32_t i, const char *want)
{
	const struct manifest_probe *k = &p->maps.m.probe[i];
	char *end;
	unsigned long number = strtoul(want, &end, 10);

	if (*want >= '0' && *want <= '9' && !*end)
		return number == i;
	return name_matches(k->prog, want) ||
	       name_matches(manifest_spec(&p->maps.arena, k), want);
}

static int no_such_probe(struct probes *p, const char *want, struct err *e)
{
	struct arena *a = &p->maps.arena;
	size_t n = p->maps.m.nprobe;
	const char **names = arena_alloc(a, (2 * n + 1) * sizeof(*names));

	for (size_t i = 0; i < n; i++) {
		names[2 * i] = p->maps.m.probe[i].prog;
		names[2 * i + 1] = manifest_spec(a, &p->maps.m.probe[i]);
	}
	return fail(e, NULL, NOWHERE, "no probe is called '%s'%s", want,
		    names_closest(a, want, names, 2 * n));
}

static int choose(struct probes *p, struct err *e)
{
	uint32_t n = (uint32_t)p->maps.m.nprobe;

	p->chosen = arena_alloc(&p->maps.arena, n + 1);
	for (int w = 1; w < p->cli.narg; w++) {
		bool any = false;

		for (uint32_t i = 0; i < n; i++)
			if (answers(p, i, p->cli.arg[w]))
				any = p->chosen[i] = true;
		if (!any)
			return no_such_probe(p, p->cli.arg[w], e);
	}
	for (uint32_t i = 0; p->cli.narg == 1 && i < n; i++)
		p->chosen[i] = true;
	return 0;
}

/* --- Lists. */

static void list_json(struct probes *p)
{
	struct json j = json_to(stdout, false);

	json_array(&j);
	for (uint32_t i = 0; i < p->maps.m.nprobe; i++) {
		const struct manifest_probe *k = &p->maps.m.probe[i];
		struct reader_probe live = reader_probe(&p->maps.region, i);

		if (!p->chosen[i])
			continue;
		json_object(&j);
		json_u64_at(&j, "number", i);
		json_str_at(&j, "program", k->prog);
		json_str_at(&j, "spec", manifest_spec(&p->maps.arena, k));
		json_hex_at(&j, "address", k->addr);
		json_bool_at(&j, "enabled", live.enabled);
		json_u64_at(&j, "hits", live.hits);
		json_u64_at(&j, "misses", live.misses);
		json_u64_at(&j, "failed", live.failed);
		json_end(&j);
	}
	json_end(&j);
	json_done(&j);
}

static void list_text(struct probes *p)
{
	say("%4s  %-8s %12s %8s  %-20s %s\n", "#", "", "hits", "misses",
	    "program", "where");
	for (uint32_t i = 0; i < p->maps.m.nprobe; i++) {
		const struct manifest_probe *k = &p->maps.m.probe[i];
		struct reader_probe live = reader_probe(&p->maps.region, i);

		if (!p->chosen[i])
			continue;
		say("%4u  %-8s %12" PRIu64 " %8" PRIu64 "  %-20s %s", i,
		    live.enabled ? "enabled" : "disabled", live.hits,
		    live.misses, k->prog, manifest_spec(&p->maps.arena, k));
		maps_failed_text(live.failed);
	}
}

/* --- The sub-commands: 0 or -1. */

static int probe_list(struct probes *p, struct err *e)
{
	if (maps_open(&p->maps, p->cli.arg[0], REGION_TO_READ, e) ||
	    choose(p, e))
		return -1;
	if (p->cli.json)
		list_json(p);
	else
		list_text(p);
	return 0;
}

static int set(struct probes *p, bool enable, struct err *e)
{
	if (maps_open(&p->maps, p->cli.arg[0], REGION_TO_WRITE, e) ||
	    choose(p, e))
		return -1;
	for (uint32_t i = 0; i < p->maps.m.nprobe; i++)
		if (p->chosen[i])
			reader_enable(&p->maps.region, i, enable);
	cli_done("the probes are set");
	if (p->cli.json)
		puts("null");
	return 0;
}

static int probe_enable(struct probes *p, struct err *e)
{
	return set(p, true, e);
}

static int probe_disable(struct probes *p, struct err *e)
{
	return set(p, false, e);
}

static void help_print(FILE *to);

static int run(int argc, char **argv, int (*to)(struct probes *, struct err *))
{
	struct probes p = { 0 };
	struct err e;
	int ret = 0;

	if (cli_parse(argc, argv, "j", &p.cli, &e))
		ret = -1;
	else if (p.cli.help)
		cli_help_by(help_print);
	else if (!p.cli.narg)
		ret = misuse(&e, "probe %s: the welded file is missing",
			     argv[0]);
	else
		ret = to(&p, &e);
	if (ret)
		ret = cli_fail(&e, p.cli.json);
	maps_close(&p.maps);
	return ret;
}

static int cmd_list_probes(int argc, char **argv)
{
	return run(argc, argv, probe_list);
}

static int cmd_enable(int argc, char **argv)
{
	return run(argc, argv, probe_enable);
}

static int cmd_disable(int argc, char **argv)
{
	return run(argc, argv, probe_disable);
}

static const struct command commands[] = {
	// clang-format off
	{ "list",    cmd_list_probes, "probes, whether they run, and their hits" },
	{ "show",    cmd_list_probes, "the same" },
	{ "enable",  cmd_enable,      "let probes run" },
	{ "disable", cmd_disable,     "leave them out: a hit costs little then" },
	{ NULL, NULL, NULL },
	// clang-format on
};

static void help_print(FILE *to)
{
	fputs(usage_head, to);
	cli_table(to, commands);
	fputs(usage_tail, to);
}

int cmd_probe(int argc, char **argv)
{
	struct err e;

	if (argc < 2) {
		misuse(&e, "probe: list, enable or disable?");
		return cli_fail(&e, false);
	}
	if (strcmp(argv[1], "-h") == 0 || strcmp(argv[1], "--help") == 0) {
		cli_help_by(help_print);
		return 0;
	}
	return cli_dispatch(commands, "probe command", argc - 1, argv + 1);
}
