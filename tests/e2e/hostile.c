/* SPDX-License-Identifier: MIT */
// clang-format off
/* hostile reader WELDED COUNT SEED    read damaged copies of its region, and write
 * hostile beside WELDED COUNT SEED    the same, while others damage it
 * hostile manifest WELDED COUNT SEED  parse damaged copies of its manifest
 * hostile file WELDED OUT SEED        write a copy with a damaged manifest
 * hostile region OUT SEED             damage this region, or this pinned map
 *
 * The region and its pinned map are changed in place, with the reader looking at
 * them; what is mapped has nothing beside it.  Any answer is good but a crash, a
 * step aside and no end. */
// clang-format on
#include <errno.h>
#include <fcntl.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

#include "elf/deflate.h"
#include "runtime-stub/reader/reader.h"
#include "runtime-stub/reader/section.h"
#include "runtime-stub/reader/typed.h"
#include "runtime-stub/ring.h"
#include "tests/e2e/hostile.h"

enum {
	GUARD = 1 << 16
};

/* The reader's: an access beside what is mapped is to fault. */
static size_t pages(size_t n)
{
	return (n + 4095) & ~(size_t)4095;
}

void *mmap(void *at, size_t n, int prot, int flags, int fd, off_t off)
{
	uint8_t *p;

	if (at)
		return (void *)syscall(SYS_mmap, at, n, prot, flags, fd, off);
	p = (void *)syscall(SYS_mmap, NULL, pages(n) + 2 * GUARD, PROT_NONE,
			    MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
	return p == MAP_FAILED ? p
			       : (void *)syscall(SYS_mmap, p + GUARD, n, prot,
						 flags | MAP_FIXED, fd, off);
}

int munmap(void *at, size_t n)
{
	return (int)syscall(SYS_munmap, (uint8_t *)at - GUARD,
			    pages(n) + 2 * GUARD);
}

/* (pins.c's, into what it has from mmap().) */
void *mremap(void *at, size_t n, size_t to_n, int flags, ...)
{
	void *to;
	va_list ap;

	va_start(ap, flags);
	to = va_arg(ap, void *);
	va_end(ap);
	to = (void *)syscall(SYS_mremap, at, n, to_n, flags, to);
	munmap(at, n);
	return to;
}

static _Noreturn void usage(void)
{
	fputs("usage: see hostile.c\n", stderr);
	exit(2);
}

static _Noreturn void stop(const struct err *e)
{
	fprintf(stderr, "hostile: %s: %s\n", e->file ? e->file : "", e->what);
	exit(2);
}

/* --- A file that is damaged and mended. */

struct victim {
	uint8_t *base, *good;
	uint64_t size;
	struct hostile at;
};

static bool victim_open(struct victim *v, const char *path)
{
	int fd = open(path, O_RDWR | O_CLOEXEC);
	struct stat st;

	if (fd < 0 || fstat(fd, &st) < 0)
		return false;
	v->size = (uint64_t)st.st_size;
	v->base =
		mmap(NULL, v->size, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
	v->good = malloc(v->size);
	memcpy(v->good, v->base, v->size);
	v->at = hostile_at(v->base, v->size);
	close(fd);
	return true;
}

static void victim_damage(struct victim *v, uint64_t *seed)
{
	for (uint32_t n = 1 + hostile_pick(seed, 12); v->base && n; n--)
		hostile_change(&v->at, seed);
}

static void victim_mend(struct victim *v)
{
	if (v->base)
		memcpy(v->base, v->good, v->size);
}

/* --- All that a reader does. */

struct use {
	struct arena a;
	struct reader *r;
	struct manifest *m;
	struct btf *btf;
	uint64_t *seed;
	FILE *null;
	uint64_t elems;
};

static void use_elems(struct use *u, uint32_t map, const uint8_t *key)
{
	const struct region_map *m = &u->r->map[map];
	struct json j = json_to(u->null, true);
	struct reader_elem *v;
	const uint8_t *next;
	struct err e;
	size_t n;

	reader_count(u->r, map);
	reader_unshared(u->r, map);
	if (reader_elems(&u->a, u->r, map, &v, &n, &e))
		return;
	u->elems += n;
	for (size_t i = 0; i < n && i < 3 && u->m; i++)
		typed_json(&j, u->btf, u->m->map[map].btf_value,
			   (struct bytes){ v[i].value, m->value_size });
	if (m->key_size > 64)
		return;
	reader_lookup(&u->a, u->r, map, key, &next, &e);
	reader_next_key(&u->a, u->r, map, key, &next, &e);
}

static void use_ring(struct use *u, uint32_t map)
{
	struct reader_record record;
	enum reader_ring what;
	uint64_t sum = 0;
	struct err e;

	for (int i = 0; i < 30; i++) {
		if (reader_ring_next(u->r, map, &record, &what, &e))
			break;
		if (what != RING_RECORD && what != RING_SKIPPED)
			break;
		for (uint32_t k = 0; what == RING_RECORD && k < record.len; k++)
			sum += record.data[k];
		reader_ring_done(u->r, map, &record);
	}
	u->elems += sum & 1;
	reader_ring_told(u->r, map, reader_ring_lost(u->r, map));
}

static void use_feed(struct use *u, uint32_t map)
{
	struct reader_feed f;
	struct err e;
	bool never;
	void *to;

	if (reader_feed_open(u->r, map, &f, &e))
		return;
	to = reader_feed_reserve(&f, 24, &never);
	if (to) {
		memset(to, 1, 24);
		reader_feed_submit(to);
	}
	reader_feed_close(&f);
}

static void use_writes(struct use *u, uint32_t map, const uint8_t *key)
{
	const struct region_map *m = &u->r->map[map];
	size_t size = reader_value_size(u->r, m);
	uint8_t *value = calloc(1, size + 1);

	if (value && m->key_size <= 64) {
		reader_update(u->r, map, key, value, 0);
		reader_write(u->r, map, key, 0, value, m->value_size ? 1 : 0);
		reader_delete(u->r, map, key);
		reader_update(u->r, map, key, value, BPF_ANY);
		if (!m->key_size)
			reader_pop(u->r, map, value, hostile_pick(u->seed, 2));
	}
	free(value);
}

static void use_region(struct use *u)
{
	uint64_t next, missed = 0;
	struct region_trace_record line;
	struct reader_load *load;
	uint8_t key[64] = { 0 };

	for (uint32_t i = 0; i < u->r->head.probe_count; i++)
		reader_probe(u->r, i);
	for (uint32_t i = 0; i < u->r->head.map_count; i++) {
		key[0] = (uint8_t)hostile_pick(u->seed, 256);
		use_elems(u, i, key);
		if (ring_is(u->r->map[i].type))
			use_ring(u, i);
		else if (u->r->map[i].type == BPF_MAP_TYPE_USER_RINGBUF)
			use_feed(u, i);
		else
			use_writes(u, i, key);
	}
	next = reader_lines_begin(u->r);
	for (int i = 0; i < 30 && next < reader_lines_end(u->r); i++)
		if (!reader_line(u->r, &next, &line, &missed))
			break;
	reader_lines_done(u->r, next);
	reader_loads(&u->a, u->r, &load);
}

static double now(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return (double)t.tv_sec + (double)t.tv_nsec / 1e9;
}

/* Open as the command line does, or as one who knows nothing of it. */
static bool open_region(struct use *u, const char *path, struct manifest *m)
{
	struct err e;

	u->m = hostile_pick(u->seed, 2) ? m : NULL;
	return !(u->m ? reader_open_weld(&u->a, m, READER_WRITE, u->r, &e)
		      : reader_open(&u->a, path, READER_WRITE, u->r, &e));
}

static int readers(const char *welded, long count, uint64_t seed, bool alone)
{
	struct victim region = { 0 }, pin = { 0 };
	struct arena a = { 0 };
	struct manifest m;
	const char *path;
	struct reader r;
	struct use u = { .r = &r,
			 .seed = &seed,
			 .null = fopen("/dev/null", "w") };
	double begin, most = 0;
	long opened = 0;
	struct err e;

	if (manifest_read(&a, welded, &m, NULL, &e))
		stop(&e);
	path = reader_path(&a, &m);
	if (alone && !victim_open(&region, path))
		usage();
	if (alone)
		victim_open(&pin, reader_pin_path(&a, path, "hostile_pin"));
	u.btf = typed_open(m.object[0].btf);
	/* Header and map table are what only readers look at. */
	for (int i = 0; alone && i < 24; i++)
		region.at.part[region.at.parts++] = region.at.part[1];
	begin = now();
	for (long i = 0; i < count; i++) {
		uint64_t was = seed;
		double t = now();

		if (i % 100 == 0)
			alarm(100);
		victim_damage(&region, &seed);
		if (i % 3 == 0)
			victim_damage(&pin, &seed);
		if (open_region(&u, path, &m)) {
			opened++;
			use_region(&u);
			reader_close(&r);
		}
		arena_free(&u.a);
		victim_mend(&region);
		victim_mend(&pin);
		t = now() - t;
		if (t > 1)
			fprintf(stderr, "case %ld, seed %lu: %.1f s\n", i, was,
				t);
		most = t > most ? t : most;
	}
	printf("%ld regions, %ld could be opened, %lu elements; %.0f us each, "
	       "%.0f us at most\n",
	       count, opened, u.elems, (now() - begin) / (double)count * 1e6,
	       most * 1e6);
	typed_close(u.btf);
	fclose(u.null);
	arena_free(&a);
	free(region.good);
	free(pin.good);
	return alone && (opened < count / 10 || opened == count);
}

/* --- Manifests. */

static struct bytes packed_of(struct arena *a, const char *welded,
			      struct bytes *whole)
{
	struct bytes packed = { 0 };
	struct manifest m;
	struct err e;

	if (manifest_read(a, welded, &m, whole, &e))
		stop(&e);
	if (!inflate_bytes(a, section_find(*whole, ".bpfweld.manifest"),
			   &packed))
		usage();
	return packed;
}

/* Bytes, mostly in the records before the objects' own. */
static void damage(uint8_t *p, size_t n, uint64_t *seed)
{
	static const uint8_t bytes[] = { 0, 1, 0x7f, 0x80, 0xff };

	for (uint32_t k = 1 + hostile_pick(seed, 6); k; k--) {
		uint32_t most = hostile_pick(seed, 4) && n > 6000 ? 6000 : n;
		uint8_t *at = p + hostile_pick(seed, most);

		if (hostile_pick(seed, 2))
			*at = bytes[hostile_pick(seed, sizeof(bytes))];
		else
			*at ^= (uint8_t)(1 << hostile_pick(seed, 8));
	}
}

static void use_manifest(struct arena *a, const struct manifest *m, FILE *null)
{
	static const uint8_t value[256] = { 3 };
	struct json j = json_to(null, true);
	struct manifest again;
	uint32_t map;
	struct err e;

	if (manifest_parse(a, "again", manifest_pack(a, m), &again, &e))
		abort();
	for (size_t i = 0; i < m->nprobe; i++) {
		manifest_original(m, &m->probe[i]);
		manifest_spec(a, &m->probe[i]);
	}
	manifest_find(m, "lru", &map);
	for (size_t i = 0; i < m->nobject; i++) {
		struct btf *btf = typed_open(m->object[i].btf);

		for (size_t k = 0; btf && k < m->nmap; k++)
			typed_json(&j, btf, m->map[k].btf_value,
				   (struct bytes){ value, sizeof(value) });
		typed_close(btf);
	}
}

static int manifests(const char *welded, long count, uint64_t seed)
{
	FILE *null = fopen("/dev/null", "w");
	struct arena a = { 0 };
	struct bytes whole, good = packed_of(&a, welded, &whole);
	uint8_t *bad = malloc(good.n);
	long parsed = 0;
	struct err e;

	for (long i = 0; i < count; i++) {
		struct arena own = { 0 };
		struct manifest m;

		if (i % 1000 == 0)
			alarm(300);
		memcpy(bad, good.p, good.n);
		damage(bad, good.n, &seed);
		if (!manifest_parse(&own, "bad", (struct bytes){ bad, good.n },
				    &m, &e)) {
			parsed++;
			use_manifest(&own, &m, null);
		}
		arena_free(&own);
	}
	printf("%ld manifests of %zu bytes, %ld could be parsed\n", count,
	       good.n, parsed);
	free(bad);
	arena_free(&a);
	fclose(null);
	return parsed == 0 || parsed == count;
}

/* Put the damaged manifest behind the file, and its section there. */
static int file_damage(const char *welded, const char *out, uint64_t seed)
{
	struct arena a = { 0 };
	struct bytes whole, good = packed_of(&a, welded, &whole), bad;
	struct bytes old = section_find(whole, ".bpfweld.manifest");
	uint8_t *p = arena_dup(&a, good.p, good.n), *file;
	uint64_t at = (uint64_t)(old.p - whole.p), end;
	Elf64_Ehdr *eh;
	Elf64_Shdr *sh;
	FILE *to;

	damage(p, good.n, &seed);
	bad = deflate_bytes(&a, (struct bytes){ p, good.n }, 8);
	file = arena_alloc(&a, whole.n + bad.n + 8);
	memcpy(file, whole.p, whole.n);
	end = (whole.n + 7) & ~UINT64_C(7);
	memcpy(file + end, bad.p, bad.n);
	eh = (Elf64_Ehdr *)file;
	sh = (Elf64_Shdr *)(file + eh->e_shoff);
	for (int i = 0; i < eh->e_shnum; i++)
		if (sh[i].sh_offset == at && sh[i].sh_size == old.n) {
			sh[i].sh_offset = end;
			sh[i].sh_size = bad.n;
		}
	to = fopen(out, "w");
	if (!to || fwrite(file, 1, end + bad.n, to) != end + bad.n ||
	    fclose(to))
		usage();
	arena_free(&a);
	return 0;
}

static int region_damage(const char *path, uint64_t seed)
{
	struct victim v;

	if (!victim_open(&v, path))
		usage();
	victim_damage(&v, &seed);
	free(v.good);
	return 0;
}

int main(int argc, char **argv)
{
	const char *what = argc > 3 ? argv[1] : "";
	uint64_t seed = argc > 3 ? strtoul(argv[argc - 1], NULL, 0) : 0;

	if (argc == 5 && !strcmp(what, "reader"))
		return readers(argv[2], atol(argv[3]), seed, true);
	if (argc == 5 && !strcmp(what, "beside"))
		return readers(argv[2], atol(argv[3]), seed, false);
	if (argc == 5 && !strcmp(what, "manifest"))
		return manifests(argv[2], atol(argv[3]), seed);
	if (argc == 5 && !strcmp(what, "file"))
		return file_damage(argv[2], argv[3], seed);
	if (argc == 4 && !strcmp(what, "region"))
		return region_damage(argv[2], seed);
	usage();
}
