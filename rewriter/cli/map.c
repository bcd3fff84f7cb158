/* SPDX-License-Identifier: MIT */
/* map.c - bpfweld map: the maps of a welded program, while it runs or afterwards.
 * Here is what reads them; map_write.c has the rest.
 */
#include "rewriter/cli/folded.h"

static const char usage_head[] =
	"usage: bpfweld map list   WELDED [-j]\n"
	"       bpfweld map dump   WELDED [MAP] [-j]\n"
	"       bpfweld map dump   WELDED STACKS --folded [--counts MAP]\n"
	"       bpfweld map lookup WELDED MAP KEY [-j]\n"
	"       bpfweld map update WELDED MAP [KEY] VALUE [-j]\n"
	"       bpfweld map delete WELDED MAP KEY [-j]\n"
	"       bpfweld map clear  WELDED [MAP] [-j]\n"
	"       bpfweld map push   WELDED RING [hex BYTES] [-j]\n\n";
static const char usage_tail[] =
	"\nMAP is a map's name, OBJECT:NAME where two objects have one of\n"
	"that name, or a data section (.bss).  KEY is a number, an enum's\n"
	"name or a string, as the key's type says; or 'hex' and its bytes:\n"
	"hex 01 00.  A negative KEY goes behind --.  VALUE is the same, or one\n"
	"or more FIELD=VALUE, such as pos.x=5 or list[2]=7: the others stay as\n"
	"they are, or are 0.  Queues have no KEY, data sections need none.\n"
	"--folded prints the chains of a stack_trace map for flame graphs,\n"
	"comm;outer;inner COUNT: each counts 1, or what --counts has for its\n"
	"number, a map whose keys (or values) are or have a stack id.\n"
	"push writes one sample into a user ring buffer: BYTES, or all that\n"
	"comes from standard input.\n";

/* --- The sub-commands: 0 or -1. */

static int map_list(struct request *r, struct err *e)
{
	struct maps *maps = &r->maps;
	struct reader *region = NULL;
	struct err why;

	if (maps_open(maps, r->cli.arg[0], NO_REGION, e))
		return -1;
	/* Without a region there is all but the count. */
	if (reader_open_weld(&maps->arena, &maps->m, READER_READ, &maps->region,
			     &why) == 0)
		region = &maps->region;
	else if (reader_found(reader_path(&maps->arena, &maps->m))) {
		*e = why;
		return -1;
	}
	if (r->cli.json) {
		struct json j = json_to(stdout, false);

		maps_list_json(&j, &maps->m, region);
		json_done(&j);
	} else {
		maps_list_text(&maps->m, region);
	}
	return 0;
}

struct elems {
	struct reader_elem *elem;
	size_t n;
};

static void elems_json(struct json *j, const struct maps *maps, uint32_t map,
		       const struct elems *v)
{
	json_array(j);
	for (size_t i = 0; i < v->n; i++)
		maps_elem_json(j, maps, map, &v->elem[i], true);
	json_end(j);
}

static int dump_one(struct request *r, struct err *e)
{
	struct maps *maps = &r->maps;
	struct json j = json_to(stdout, false);
	struct elems v;
	uint32_t map;

	if (maps_find(maps, r->cli.arg[1], &map, e) ||
	    maps_elems(maps, map, &v.elem, &v.n, e))
		return -1;
	if (!r->cli.json) {
		maps_elems_text(maps, map, v.elem, v.n);
		return 0;
	}
	elems_json(&j, maps, map, &v);
	json_done(&j);
	return 0;
}

/* Every map under its name; those whose names clash under "object:name". */
static const char *unique_name(struct maps *maps, uint32_t map)
{
	const struct manifest_map *k = &maps->m.map[map];
	int same = 0;

	for (uint32_t i = 0; i < maps->m.nmap; i++)
		same += strcmp(maps->m.map[i].name, k->name) == 0;
	if (same == 1)
		return k->name;
	return arena_printf(&maps->arena, "%s:%s",
			    maps->m.object[k->object].name, k->name);
}

/* (`trace` reads the others; `list` says what is wrong with a pinned map.) */
static bool is_walked(const struct maps *maps, uint32_t map)
{
	const struct reader_pin *p = reader_pin(&maps->region, map);

	return reader_can_walk(&maps->m.map[map].map) && !(p && p->fault);
}

static int dump_all(struct request *r, struct err *e)
{
	struct maps *maps = &r->maps;
	struct json j = json_to(stdout, false);
	uint32_t n = (uint32_t)maps->m.nmap;
	struct elems *v = arena_alloc(&maps->arena, n * sizeof(*v));

	/* First read all, so that an error leaves no half of an output. */
	for (uint32_t i = 0; i < n; i++)
		if (is_walked(maps, i) &&
		    maps_elems(maps, i, &v[i].elem, &v[i].n, e))
			return -1;
	if (!r->cli.json) {
		for (uint32_t i = 0; i < n; i++) {
			if (!is_walked(maps, i))
				continue;
			say("%s:\n", unique_name(maps, i));
			maps_elems_text(maps, i, v[i].elem, v[i].n);
		}
		return 0;
	}
	json_object(&j);
	for (uint32_t i = 0; i < n; i++) {
		if (!is_walked(maps, i))
			continue;
		json_key(&j, unique_name(maps, i));
		elems_json(&j, maps, i, &v[i]);
	}
	json_end(&j);
	json_done(&j);
	return 0;
}

static int dump_folded(struct request *r, struct err *e)
{
	uint32_t map;

	return maps_find(&r->maps, r->cli.arg[1], &map, e) ||
			       folded_print(&r->maps, map, r->cli.counts, e)
		       ? -1
		       : 0;
}

/* Options that do not go together. */
static int dump_check(const struct cli *cli, struct err *e)
{
	if (cli->counts && !cli->folded)
		return misuse(e, "map dump: --counts is for --folded");
	if (cli->folded && cli->json)
		return misuse(e, "map dump: --folded is no JSON");
	if (cli->folded && cli->narg < 2)
		return misuse(e, "map dump: --folded wants a stack_trace map");
	return 0;
}

static int map_dump(struct request *r, struct err *e)
{
	if (dump_check(&r->cli, e) ||
	    maps_open(&r->maps, r->cli.arg[0], REGION_TO_READ, e))
		return -1;
	if (r->cli.folded)
		return dump_folded(r, e);
	return r->cli.narg > 1 ? dump_one(r, e) : dump_all(r, e);
}

static int map_lookup(struct request *r, struct err *e)
{
	struct maps *maps = &r->maps;
	struct json j = json_to(stdout, false);
	const struct manifest_map *k;
	struct reader_elem elem;
	uint32_t map;

	if (maps_open(maps, r->cli.arg[0], REGION_TO_READ, e) ||
	    maps_find(maps, r->cli.arg[1], &map, e))
		return -1;
	k = &maps->m.map[map];
	if (!k->map.key_size)
		return fail(e, NULL, NOWHERE, "map %s has no keys", k->name);
	if (maps_key(maps, map, r->cli.arg + 2, r->cli.narg - 2, &elem.key,
		     e) ||
	    reader_lookup(&maps->arena, &maps->region, map, elem.key,
			  &elem.value, e))
		return -1;
	if (!elem.value)
		return fail(e, NULL, NOWHERE, "no such key in map %s", k->name);
	if (!r->cli.json) {
		maps_elem_text(maps, map, &elem);
		return 0;
	}
	maps_elem_json(&j, maps, map, &elem, true);
	json_done(&j);
	return 0;
}

enum {
	SAMPLE_MAX = 1 << 20
};

/* A sample's bytes: standard input's, where there are no words. */
static int sample_read(struct request *r, const uint8_t **bytes, size_t *n,
		       struct err *e)
{
	struct arena *a = &r->maps.arena;
	int words = r->cli.narg - 2;
	uint8_t *buffer;

	if (words > 0) {
		if (words == 1 || strcmp(r->cli.arg[2], "hex") != 0)
			return misuse(e, "map push: give 'hex' and the "
					 "sample's bytes, or nothing and "
					 "standard input");
		*n = (size_t)words - 1;
		return typed_parse(a, NULL, 0, *n, r->cli.arg + 2, words, bytes,
				   e);
	}
	buffer = arena_alloc(a, SAMPLE_MAX);
	*n = fread(buffer, 1, SAMPLE_MAX, stdin);
	*bytes = buffer;
	if (*n < SAMPLE_MAX)
		return 0;
	return fail(e, NULL, NOWHERE,
		    "standard input: a sample has less than 1 MiB");
}

static int sample_push(const struct reader_feed *f, const char *ring,
		       const uint8_t *bytes, size_t n, struct err *e)
{
	bool never;
	void *to = reader_feed_reserve(f, (uint32_t)n, &never);

	if (!to)
		return fail(e, NULL, NOWHERE, "%zu bytes %s ring %s", n,
			    never ? "are more than fit into"
				  : "find no room just now in",
			    ring);
	memcpy(to, bytes, n);
	reader_feed_submit(to);
	return 0;
}

static int map_push(struct request *r, struct err *e)
{
	struct maps *maps = &r->maps;
	const uint8_t *bytes = NULL;
	struct reader_feed f;
	uint32_t map;
	size_t n = 0;
	int ret;

	if (maps_open(maps, r->cli.arg[0], false, e) ||
	    maps_find(maps, r->cli.arg[1], &map, e) ||
	    sample_read(r, &bytes, &n, e) ||
	    reader_open_weld(&maps->arena, &maps->m, READER_WRITE,
			     &maps->region, e) ||
	    reader_feed_open(&maps->region, map, &f, e))
		return -1;
	ret = sample_push(&f, maps->m.map[map].name, bytes, n, e);
	reader_feed_close(&f);
	if (!ret && r->cli.json)
		puts("null");
	return ret;
}

/* --- Parsing. */

static void help_print(FILE *to);

static int request_run(int argc, char **argv, const char *options, int least,
		       int most, int (*run)(struct request *, struct err *))
{
	struct request r = { 0 };
	struct err e;
	int ret = 0;

	if (cli_parse(argc, argv, options, &r.cli, &e)) {
		ret = -1;
	} else if (r.cli.help) {
		cli_help_by(help_print);
	} else if (r.cli.narg < least) {
		ret = misuse(&e, "map %s: %s is missing", argv[0],
			     r.cli.narg == 0   ? "the welded file"
			     : r.cli.narg == 1 ? "the map"
					       : "the key");
	} else if (r.cli.narg > most) {
		ret = misuse(&e, "map %s: too many arguments", argv[0]);
	} else {
		ret = run(&r, &e);
	}
	if (ret)
		ret = cli_fail(&e, r.cli.json);
	maps_close(&r.maps);
	return ret;
}

enum {
	ANY = 1 << 16
};

static int cmd_list_maps(int argc, char **argv)
{
	return request_run(argc, argv, "j", 1, 1, map_list);
}

static int cmd_dump(int argc, char **argv)
{
	return request_run(argc, argv, "jFC", 1, 2, map_dump);
}

static int cmd_lookup(int argc, char **argv)
{
	return request_run(argc, argv, "j", 3, ANY, map_lookup);
}

static int cmd_update(int argc, char **argv)
{
	return request_run(argc, argv, "j", 3, ANY, map_update);
}

static int cmd_delete(int argc, char **argv)
{
	return request_run(argc, argv, "j", 3, ANY, map_delete);
}

static int cmd_clear(int argc, char **argv)
{
	return request_run(argc, argv, "j", 1, 2, map_clear);
}

static int cmd_push(int argc, char **argv)
{
	return request_run(argc, argv, "j", 2, ANY, map_push);
}

static const struct command commands[] = {
	// clang-format off
	{ "list",   cmd_list_maps, "maps with their types and sizes" },
	{ "show",   cmd_list_maps, "the same" },
	{ "dump",   cmd_dump,      "all elements of one map, or of all" },
	{ "lookup", cmd_lookup,    "one element" },
	{ "update", cmd_update,    "add or change an element, or parts of it" },
	{ "delete", cmd_delete,    "remove an element" },
	{ "clear",  cmd_clear,     "remove all elements; arrays become 0" },
	{ "push",   cmd_push,      "write a sample for programs to drain" },
	{ NULL, NULL, NULL },
	// clang-format on
};

static void help_print(FILE *to)
{
	fputs(usage_head, to);
	cli_table(to, commands);
	fputs(usage_tail, to);
}

int cmd_map(int argc, char **argv)
{
	struct err e;

	if (argc < 2) {
		misuse(&e, "map: list, dump, lookup, update, delete, clear or "
			   "push?");
		return cli_fail(&e, false);
	}
	if (strcmp(argv[1], "-h") == 0 || strcmp(argv[1], "--help") == 0) {
		cli_help_by(help_print);
		return 0;
	}
	return cli_dispatch(commands, "map command", argc - 1, argv + 1);
}
