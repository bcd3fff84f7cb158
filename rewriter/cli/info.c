/* SPDX-License-Identifier: MIT */
/* info.c - bpfweld info WELDED: what the manifest says, and the region. */
#include <inttypes.h>
#include <unistd.h>

#include "rewriter/cli/maps.h"

static const char usage[] =
	"usage: bpfweld info WELDED [-j]\n"
	"Shows what was welded into a file: target, objects, probes, maps;\n"
	"and when the program has run, how often each probe was hit.\n";

struct info {
	struct arena arena;
	struct manifest m;
	char id[33];
	const char *path;     /* of the region */
	struct reader region; /* base is NULL when there is none */
	const char *fault;    /* why there is none, though the file exists, or
				 though the program may have run */
};

static int info_read(struct info *in, const char *file, struct err *e)
{
	struct err why = { 0 };

	if (manifest_read(&in->arena, file, &in->m, NULL, e))
		return -1;
	cli_hex_id(in->m.weld_id, in->id);
	in->path = reader_path(&in->arena, &in->m);
	/* No region, or a strange one, is a fact to show and no failure. */
	if (!reader_found(in->path))
		in->fault = reader_never(&in->arena, &in->m);
	else if (reader_open_weld(&in->arena, &in->m, READER_READ, &in->region,
				  &why))
		in->fault = arena_strdup(&in->arena, why.what);
	return 0;
}

/* --- Text. */

static const char *region_state(const struct info *in)
{
	if (in->region.base)
		return "";
	return in->fault ? in->fault : "has not run yet";
}

/* A function and an offset, or the probe that stands there. */
static const char *place_of(const struct manifest_probe *p, char *to, size_t n)
{
	if (!strncmp(p->kind, "usdt:", 5))
		return p->kind;
	if (!strcmp(p->kind, "uretprobe"))
		snprintf(to, n, "%s returns", p->func);
	else
		snprintf(to, n, p->offset ? "%s+0x%" PRIx64 : "%s", p->func,
			 p->offset);
	return to;
}

static void probes_text(const struct info *in)
{
	puts("probes:");
	say("  %-3s %-14s %-24s %-20s %-8s %12s %8s\n", "#", "address", "place",
	    "program", "tactic", "hits", "misses");
	for (uint32_t i = 0; i < in->m.nprobe; i++) {
		const struct manifest_probe *p = &in->m.probe[i];
		struct reader_probe live;
		char place[160], addr[24];

		snprintf(addr, sizeof(addr), "0x%" PRIx64, p->addr);
		say("  %-3u %-14s %-24s %-20s %-8s", i, addr,
		    place_of(p, place, sizeof(place)), p->prog, p->tactic);
		if (!in->region.base) {
			say(" %12s %8s\n", "-", "-");
			continue;
		}
		live = reader_probe(&in->region, i);
		say(" %12" PRIu64 " %8" PRIu64 "%s", live.hits, live.misses,
		    live.enabled ? "" : "  disabled");
		maps_failed_text(live.failed);
	}
}

/* Is there anything behind this path? */
static bool pin_is_found(const struct info *in, uint32_t map, const char *path)
{
	const struct reader_pin *p = reader_pin(&in->region, map);

	return p ? p->found : access(path, F_OK) == 0;
}

static void pins_text(struct info *in)
{
	for (uint32_t i = 0; i < in->m.nmap; i++) {
		const struct region_map *m = &in->m.map[i].map;
		const char *path;

		if (!m->pinned)
			continue;
		path = reader_pin_path(&in->arena, in->path, m->name);
		say("  pinned   %s (%" PRIu64 " bytes%s)\n", path, pin_size(m),
		    pin_is_found(in, i, path) ? "" : ", not there yet");
	}
}

static void info_text(struct info *in, const char *file)
{
	const struct manifest *m = &in->m;
	const char *state = region_state(in);

	say("%s: welded by %s\n", file, m->tool);
	say("  target   %s (%" PRIu64 " bytes)\n", m->target, m->original_size);
	say("  weld id  %s\n", in->id);
	say("  engine   %s\n", m->engine);
	if (*m->fault)
		say("  fault    %s: %s\n", m->fault, m->fault_why);
	for (size_t i = 0; i < m->nobject; i++)
		say("  object   %s (%zu bytes)\n", m->object[i].path,
		    m->object[i].bytes.n);
	if (m->nobject)
		say("  region   %s (%" PRIu64 " bytes%s%s)\n", in->path,
		    m->region_size, *state ? ", " : "", state);
	else
		puts("  region   none, no program: its USDT sites are for the "
		     "kernel's own probes");
	if (in->region.base && in->region.head.lost)
		say("  lost     %" PRIu64 " hits: no region yet, or no CPU\n",
		    in->region.head.lost);
	pins_text(in);
	if (m->nprobe)
		probes_text(in);
	if (m->nmap) {
		puts("maps:");
		maps_list_text(m, in->region.base ? &in->region : NULL);
	}
}

/* --- JSON. */

static void hash_at(struct json *j, const char *key, const uint8_t hash[16])
{
	char hex[33];

	cli_hex_id(hash, hex);
	json_str_at(j, key, hex);
}

static void original_json(struct json *j, const struct manifest *m)
{
	json_key(j, "original");
	json_object(j);
	json_u64_at(j, "bytes", m->original_size);
	hash_at(j, "xxh3_128", m->original_hash);
	json_end(j);
}

static void objects_json(struct json *j, const struct manifest *m)
{
	json_key(j, "objects");
	json_array(j);
	for (size_t i = 0; i < m->nobject; i++) {
		json_object(j);
		json_str_at(j, "name", m->object[i].name);
		json_str_at(j, "path", m->object[i].path);
		json_u64_at(j, "bytes", m->object[i].bytes.n);
		json_end(j);
	}
	json_end(j);
}

static void region_json(struct json *j, const struct info *in)
{
	json_key(j, "region");
	json_object(j);
	json_str_at(j, "path", in->path);
	json_u64_at(j, "bytes", in->m.region_size);
	json_bool_at(j, "exists", in->region.base != NULL);
	if (in->fault)
		json_str_at(j, "fault", in->fault);
	if (in->region.base)
		json_u64_at(j, "lost", in->region.head.lost);
	json_end(j);
}

static void pins_json(struct json *j, struct info *in)
{
	json_key(j, "pins");
	json_array(j);
	for (uint32_t i = 0; i < in->m.nmap; i++) {
		const struct region_map *m = &in->m.map[i].map;
		const char *path;

		if (!m->pinned)
			continue;
		path = reader_pin_path(&in->arena, in->path, m->name);
		json_object(j);
		json_str_at(j, "map", in->m.map[i].name);
		json_str_at(j, "path", path);
		json_u64_at(j, "bytes", pin_size(m));
		json_bool_at(j, "exists", pin_is_found(in, i, path));
		json_end(j);
	}
	json_end(j);
}

static void probe_json(struct json *j, struct info *in, uint32_t i)
{
	const struct manifest_probe *p = &in->m.probe[i];
	struct reader_probe live;

	json_object(j);
	json_str_at(j, "program", p->prog);
	json_str_at(j, "spec", manifest_spec(&in->arena, p));
	json_hex_at(j, "address", p->addr);
	json_str_at(j, "function", p->func);
	json_u64_at(j, "offset", p->offset);
	json_str_at(j, "tactic", p->tactic);
	json_hex_at(j, "patch", p->patch_len ? p->addr + (uint64_t)p->patch
					    : 0);
	json_key(j, "original");
	json_bytes(j, manifest_original(&in->m, p));
	json_hex_at(j, "trampoline", p->tramp);
	if (in->region.base) {
		live = reader_probe(&in->region, i);
		json_bool_at(j, "enabled", live.enabled);
		json_u64_at(j, "hits", live.hits);
		json_u64_at(j, "misses", live.misses);
		json_u64_at(j, "failed", live.failed);
	}
	json_end(j);
}

static void info_json(struct info *in)
{
	struct json j = json_to(stdout, false);
	const struct manifest *m = &in->m;

	json_object(&j);
	json_str_at(&j, "tool", m->tool);
	json_str_at(&j, "target", m->target);
	json_str_at(&j, "weld_id", in->id);
	json_str_at(&j, "engine", m->engine);
	json_str_at(&j, "fault", *m->fault ? m->fault : NULL);
	json_str_at(&j, "fault_why", *m->fault ? m->fault_why : NULL);
	original_json(&j, m);
	objects_json(&j, m);
	region_json(&j, in);
	pins_json(&j, in);
	json_key(&j, "probes");
	json_array(&j);
	for (uint32_t i = 0; i < m->nprobe; i++)
		probe_json(&j, in, i);
	json_end(&j);
	json_key(&j, "maps");
	maps_list_json(&j, m, in->region.base ? &in->region : NULL);
	json_end(&j);
	json_done(&j);
}

int cmd_info(int argc, char **argv)
{
	struct info in = { 0 };
	struct cli cli;
	struct err e;
	int ret = 0;

	if (cli_parse(argc, argv, "j", &cli, &e))
		return cli_fail(&e, cli.json);
	if (cli.help) {
		cli_help(usage);
		return 0;
	}
	if (cli.narg != 1)
		ret = misuse(&e, "info wants one welded file");
	else
		ret = info_read(&in, cli.arg[0], &e);
	if (ret)
		ret = cli_fail(&e, cli.json);
	else if (cli.json)
		info_json(&in);
	else
		info_text(&in, cli.arg[0]);
	reader_close(&in.region);
	arena_free(&in.arena);
	return ret;
}
