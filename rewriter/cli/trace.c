/* SPDX-License-Identifier: MIT */
/* trace.c - bpfweld trace: the records of a welded program's ring buffers and
 * what bpf_trace_printk() printed, as they come.
 *
 * A ring's records are taken out of it, as every consumer does; there is one at
 * a time.  So are lines of trace_printk, as from the kernel's trace_pipe; but
 * later ones overwrite them, and a reader that is too slow is told how many it
 * has missed.
 *
 * Each ring and the lines have their turn, one after the other:
 *
 *     print what is there, but no more than a turn's    so none starves another
 *     write it out                                      or end here
 *     give it back
 *
 * Whoever is killed, or cannot write, leaves what was not written out to the
 * next reader.  What was, but was not given back, is printed twice.
 */
#include <errno.h>
#include <inttypes.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "rewriter/cli/maps.h"
#include "runtime-stub/ring.h"

static const char usage[] =
	"usage: bpfweld trace WELDED [MAP]... [options]\n"
	"Prints the records of ring and perf buffers as they come, from the first that\n"
	"nobody has read; without MAP of all of them, and what bpf_trace_printk()\n"
	"prints.  A program that has not run yet is waited for; interrupt to end.\n"
	"      --once          what is there now, and no more\n"
	"      --type STRUCT   what a record is, by name or as 'u32 pid; char str[80]';\n"
	"                      without it the one struct of the object that has its size\n"
	"  -j, --json          a JSON object a line\n"
	"Records that there was no room for are counted on standard error (-j: in\n"
	"lines of their own).\n";

enum {
	SLEEP_MS = 200,
	TELL_MS = 1000, /* what a busy ring loses is told so often */
	/* A turn's records, and bytes; of a small ring it is less than all, so
	 * that there is room again while they are written out. */
	TURN = 256,
	TURN_BYTES = 1 << 16,
	TURN_PART = 4,
	RECORD_LEAST = 16
};

/* A map that is followed. */
struct source {
	uint32_t map;
	bool cut;      /* told that its records go on behind --type */
	uint64_t left; /* records, of those that --once is for */
	int64_t told;  /* when: what it lost */
};

struct tracing {
	struct maps maps;
	const char *welded, *type;
	bool json, once;
	bool told;                  /* that records have no type */
	struct source *ring;
	struct reader_ring_ref *of; /* the same */
	size_t nring;
	bool lines;         /* of trace_printk, too */
	uint64_t next, end; /* of them, and where --once ends */
	struct {
		uint32_t object, len, type;
	} last; /* most records are as the one before */
};

static volatile sig_atomic_t stopped;

static void stop(int sig)
{
	(void)sig;
	stopped = 1;
}

/* --- types -------------------------------------------------------------- */

static uint32_t type_of(struct tracing *t, uint32_t object, uint32_t len)
{
	if (t->last.len != len || t->last.object != object) {
		t->last.object = object;
		t->last.len = len;
		t->last.type = typed_struct(t->maps.btf[object], t->type, len);
	}
	return t->last.type;
}

static int type_check(struct tracing *t, struct err *e)
{
	const char *said = t->type;

	for (size_t i = 0; t->type && i < t->maps.m.nobject; i++)
		if (typed_named(&t->maps.arena, t->maps.btf[i], said, &t->type,
				e))
			return -1;
	for (size_t i = 0; t->type && i < t->nring; i++) {
		uint32_t object = t->maps.m.map[t->ring[i].map].object;

		if (typed_struct(t->maps.btf[object], t->type, 0))
			return 0;
	}
	if (!t->type)
		return 0;
	return t->nring ? fail(e, t->welded, NOWHERE, "there is no struct %s",
			       t->type)
			: fail(e, t->welded, NOWHERE,
			       "has no ring or perf buffer, whose records "
			       "--type is for");
}

/* --- printing ----------------------------------------------------------- */

static void record_json(struct tracing *t, uint32_t map,
			const struct reader_record *r)
{
	const struct manifest_map *k = &t->maps.m.map[map];
	struct bytes b = { r->data, r->len };
	uint32_t type = type_of(t, k->object, r->len);
	struct json j = json_to(stdout, false);

	json_object(&j);
	json_str_at(&j, "map", k->name);
	json_u64_at(&j, "number", r->number);
	if (k->map.type == BPF_MAP_TYPE_PERF_EVENT_ARRAY)
		json_u64_at(&j, "cpu", r->cpu);
	json_key(&j, "data");
	json_bytes(&j, b);
	if (type) {
		json_key(&j, "formatted");
		maps_typed_json(&j, &t->maps, k->object, type, b, true);
	}
	json_end(&j);
	json_done(&j);
}

/* Said once: how to see more than bytes. */
static void untyped(struct tracing *t, uint32_t map, uint32_t len)
{
	const struct manifest_map *k = &t->maps.m.map[map];
	uint32_t first;
	size_t n = typed_structs(t->maps.btf[k->object], t->type, len, &first);

	if (t->told)
		return;
	t->told = true;
	fflush(stdout);
	say_to(stderr, "bpfweld: %s: ", k->name);
	if (n)
		say_to(stderr, "%zu structs ", n);
	else
		say_to(stderr, "no struct ");
	if (t->type)
		say_to(stderr, "of its object %s called %s", n ? "are" : "is",
		       t->type);
	else
		say_to(stderr, "%s %u bytes", n ? "have" : "has", len);
	say_to(stderr, "; --type NAME or --type 'u32 pid; char text[80]' says "
		       "what a record is\n");
}

/* Said once a map: its records have more than the type that was asked for. */
static void cut_short(struct tracing *t, struct source *s, uint32_t type,
		      uint32_t len)
{
	const struct manifest_map *k = &t->maps.m.map[s->map];
	size_t size = typed_size(t->maps.btf[k->object], type);

	if (size >= len || s->cut)
		return;
	s->cut = true;
	fflush(stdout);
	say_to(stderr,
	       "bpfweld: %s: a record has %u bytes, of which --type says what "
	       "%zu are; the rest is not shown\n",
	       k->name, len, size);
}

static void record_text(struct tracing *t, struct source *s,
			const struct reader_record *r)
{
	const struct manifest_map *k = &t->maps.m.map[s->map];
	struct bytes b = { r->data, r->len };
	uint32_t type = type_of(t, k->object, r->len);
	struct json j = json_to(stdout, false);

	if (!type)
		untyped(t, s->map, r->len);
	else
		cut_short(t, s, type, r->len);
	say("%s: ", k->name);
	if (type) {
		maps_typed_json(&j, &t->maps, k->object, type, b, true);
	} else {
		for (size_t i = 0; i < b.n; i++)
			say("%s%02x", i ? " " : "", b.p[i]);
	}
	putchar('\n');
}

/* So many more were dropped or missed. */
static void lost(const struct tracing *t, const char *map, uint64_t n,
		 const char *why)
{
	struct json j = json_to(stdout, false);

	if (!t->json) {
		fflush(stdout);
		say_to(stderr, "bpfweld: %s: %" PRIu64 " record%s lost: %s\n",
		       map, n, n == 1 ? " was" : "s were", why);
		return;
	}
	json_object(&j);
	json_str_at(&j, "map", map);
	json_u64_at(&j, "lost", n);
	json_str_at(&j, "why", why);
	json_end(&j);
	json_done(&j);
}

static void line_print(const struct tracing *t,
		       const struct region_trace_record *r)
{
	struct bytes text = { (const uint8_t *)r->text, r->len };
	struct json j = json_to(stdout, false);

	while (text.n && text.p[text.n - 1] == '\n')
		text.n--;
	if (!t->json) {
		say("printk: %u/%u [%03u] %" PRIu64 ".%06" PRIu64 ": %.*s\n",
		    r->tgid, r->tid, r->cpu, r->ns / 1000000000,
		    r->ns / 1000 % 1000000, (int)text.n, text.p);
		return;
	}
	json_object(&j);
	json_u64_at(&j, "ns", r->ns);
	json_u64_at(&j, "tgid", r->tgid);
	json_u64_at(&j, "tid", r->tid);
	json_u64_at(&j, "cpu", r->cpu);
	json_key(&j, "printk");
	json_text(&j, text);
	json_end(&j);
	json_done(&j);
}

/* --- reading ------------------------------------------------------------ */

static int64_t now_ms(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return (int64_t)t.tv_sec * 1000 + t.tv_nsec / 1000000;
}

/* All that was printed is where it should go. */
static int write_out(struct err *e)
{
	bool bad = fflush(stdout) != 0;

	if (!bad && !ferror(stdout))
		return 0;
	fail(e, "standard output", NOWHERE, "%s",
	     bad ? strerror(errno) : "cannot be written");
	clearerr(stdout); /* it has been said */
	return -1;
}

/* Print *n records; `last` is the last of them.  *more: there may be more. */
static int ring_print(struct tracing *t, struct source *s,
		      struct reader_record *last, uint32_t *n, bool *more,
		      struct err *e)
{
	const struct reader *region = &t->maps.region;
	uint64_t room = region->map[s->map].stride / TURN_PART, bytes = 0;
	struct reader_record r;
	enum reader_ring what;

	room = room < TURN_BYTES ? room : TURN_BYTES;
	*more = false;
	for (*n = 0; !stopped; ++*n) {
		if (reader_ring_after(region, s->map, *n ? last : NULL, &r,
				      &what, e))
			return -1;
		*more = what != RING_EMPTY && what != RING_WAIT && s->left;
		if (!*more || *n == TURN || bytes >= room)
			break;
		s->left--;
		bytes += RECORD_LEAST + r.len;
		*last = r;
		if (what == RING_RECORD && t->json)
			record_json(t, s->map, &r);
		else if (what == RING_RECORD)
			record_text(t, s, &r);
	}
	return 0;
}

static int ring_turn(struct tracing *t, struct source *s, bool *more,
		     struct err *e)
{
	const struct reader *region = &t->maps.region;
	struct reader_record last;
	uint64_t gone = 0;
	uint32_t n;
	int ret = ring_print(t, s, &last, &n, more, e);

	if (!*more || now_ms() - s->told >= TELL_MS)
		gone = reader_ring_lost(region, s->map);
	if (gone) {
		lost(t, t->maps.m.map[s->map].name, gone, "the ring was full");
		s->told = now_ms();
	}
	if (n || gone) {
		if (write_out(e))
			return -1;
		reader_ring_told(region, s->map, gone);
	}
	if (n)
		reader_ring_done(region, s->map, &last);
	return ret;
}

static int lines_turn(struct tracing *t, bool *more, struct err *e)
{
	struct reader *region = &t->maps.region;
	uint64_t missed = 0, from = t->next;
	struct region_trace_record r;
	uint32_t n = 0;

	while (!stopped && n < TURN && t->next < t->end &&
	       reader_line(region, &t->next, &r, &missed)) {
		line_print(t, &r);
		n++;
	}
	*more = n == TURN;
	if (missed)
		lost(t, "printk", missed, "later ones came too fast");
	if (t->next == from)
		return 0;
	if (write_out(e))
		return -1;
	reader_lines_done(region, t->next);
	return 0;
}

/* A turn for each. */
static int turns(struct tracing *t, bool *more, struct err *e)
{
	bool one;

	*more = false;
	for (size_t i = 0; i < t->nring; i++) {
		if (ring_turn(t, &t->ring[i], &one, e))
			return -1;
		*more |= one;
	}
	if (!t->lines)
		return 0;
	if (lines_turn(t, &one, e))
		return -1;
	*more |= one;
	return 0;
}

static void nap(void)
{
	nanosleep(&(struct timespec){ 0, SLEEP_MS * 1000000L }, NULL);
}

/* --- what is followed --------------------------------------------------- */

static void ring_add(struct tracing *t, uint32_t map)
{
	struct arena *a = &t->maps.arena;

	t->ring = arena_push(a, t->ring, t->nring, sizeof(*t->ring));
	t->ring[t->nring++] = (struct source){ .map = map };
}

static int rings_find(struct tracing *t, char **name, int n, struct err *e)
{
	const struct manifest *m = &t->maps.m;
	uint32_t map;

	for (uint32_t i = 0; !n && i < m->nmap; i++)
		if (ring_is(m->map[i].map.type))
			ring_add(t, i);
	for (int i = 0; i < n; i++) {
		if (maps_find(&t->maps, name[i], &map, e))
			return -1;
		if (!ring_is(m->map[map].map.type))
			return fail(
				e, NULL, NOWHERE,
				"map %s is no ring or perf buffer (map dump shows "
				"it)",
				name[i]);
		ring_add(t, map);
	}
	t->lines = !n;
	return type_check(t, e);
}

/* Is the region there, or what keeps it away, and what is followed of pinned
 * maps? */
static bool all_exist(struct tracing *t, const char *region)
{
	bool all = reader_found(region);
	struct arena a = { 0 };

	for (size_t i = 0; all && i < t->nring; i++) {
		const struct region_map *m = &t->maps.m.map[t->ring[i].map].map;

		all = !m->pinned ||
		      reader_exists(reader_pin_path(&a, region, m->name));
	}
	arena_free(&a);
	return all;
}

static int rings_lock(struct tracing *t, struct err *e)
{
	struct maps *maps = &t->maps;
	struct reader *r = &maps->region;

	t->of = arena_alloc(&maps->arena, (t->nring + 1) * sizeof(*t->of));
	for (size_t i = 0; i < t->nring; i++) {
		uint32_t map = t->ring[i].map;
		const struct reader_pin *p = reader_pin(r, map);

		t->of[i] = (struct reader_ring_ref){ r, map };
		if (p && (!p->found || p->fault)) /* who reads it is told */
			continue;
		if (!reader_ring_lock(r, map))
			return fail(e, p ? p->path : r->path, NOWHERE,
				    "somebody else reads ring %s already",
				    maps->m.map[map].name);
		t->ring[i].left = t->once ? reader_count(r, map) : UINT64_MAX;
	}
	return 0;
}

static int lines_lock(struct tracing *t, struct err *e)
{
	struct reader *r = &t->maps.region;

	if (!t->lines || !reader_prints(r))
		return 0;
	if (!reader_lines_lock(r))
		return fail(e, r->path, NOWHERE,
			    "somebody else reads what is printed already");
	t->next = reader_lines_begin(r);
	t->end = t->once ? reader_lines_end(r) : UINT64_MAX;
	return 0;
}

static int region_open(struct tracing *t, struct err *e)
{
	struct maps *maps = &t->maps;
	const char *path = reader_path(&maps->arena, &maps->m);

	while (!t->once && !stopped && !all_exist(t, path))
		nap();
	if (stopped)
		return 0;
	if (reader_open_weld(&maps->arena, &maps->m, READER_WRITE,
			     &maps->region, e)) {
		e->file = e->file ? e->file : t->welded;
		return -1;
	}
	if (rings_lock(t, e) || lines_lock(t, e))
		return -1;
	if (!t->nring && !reader_prints(&maps->region))
		return fail(
			e, t->welded, NOWHERE,
			"has no ring or perf buffer, and no program that prints");
	return 0;
}

/* Somebody removed the region and the program has made another one: follow
 * that. (Processes that run since before keep the old one.) */
static int renew(struct tracing *t, struct err *e)
{
	struct reader *region = &t->maps.region;

	if (reader_is_current(region) || !reader_exists(region->path))
		return 0;
	reader_close(region);
	return region_open(t, e);
}

static int follow(struct tracing *t, struct err *e)
{
	bool more;

	while (!stopped) {
		if (turns(t, &more, e))
			return -1;
		if (stopped) /* what was lost is to be told */
			return turns(t, &more, e);
		if (more)
			continue;
		if (t->once)
			break;
		if (renew(t, e))
			return -1;
		if (t->nring)
			reader_rings_sleep(t->of, t->nring, SLEEP_MS);
		else
			nap();
	}
	return 0;
}

static int trace(struct tracing *t, char **map, int nmap, struct err *e)
{
	/* Nothing is cut that a full pipe keeps us from writing; who does not want
	 * to wait for that asks again. */
	struct sigaction sa = { .sa_handler = stop,
				.sa_flags = SA_RESTART | SA_RESETHAND };

	sigaction(SIGINT, &sa, NULL);
	sigaction(SIGTERM, &sa, NULL);
	if (maps_open(&t->maps, t->welded, NO_REGION, e) ||
	    rings_find(t, map, nmap, e) || region_open(t, e))
		return -1;
	return follow(t, e);
}

int cmd_trace(int argc, char **argv)
{
	static const struct option longs[] = {
		{ "json", no_argument, NULL, 'j' },
		{ "help", no_argument, NULL, 'h' },
		{ "once", no_argument, NULL, 'o' },
		{ "type", required_argument, NULL, 't' },
		{ NULL, 0, NULL, 0 },
	};
	struct tracing t = { 0 };
	bool help = false;
	struct err e;
	int c, ret = 0;

	optind = 0;
	while (!ret && (c = cli_option(argc, argv, ":jh", longs, &e)) != -1) {
		t.json |= c == 'j';
		help |= c == 'h';
		t.once |= c == 'o';
		t.type = c == 't' ? optarg : t.type;
		ret = c == '?' ? -1 : 0;
	}
	if (!ret && help) {
		cli_help(usage);
	} else if (!ret && optind == argc) {
		ret = misuse(&e, "trace: the welded file is missing");
	} else if (!ret) {
		t.welded = argv[optind];
		ret = trace(&t, argv + optind + 1, argc - optind - 1, &e);
	}
	if (ret)
		ret = cli_fail(&e, t.json);
	maps_close(&t.maps);
	return ret;
}
