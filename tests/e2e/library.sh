#!/usr/bin/env bash
# SPDX-License-Identifier: MIT
# The installed library: programs in C and C++ made from its header and pkg-config
# alone read and change a welded program that runs, one that has ended and one that
# runs again; shared and static.
. "$(dirname "$0")/../common.sh"
need pkg-config
cd "$t"
child=
trap 'kill $child 2>/dev/null || true; rm -rf "$t"' EXIT
sanitize=
grep -q '^SANITIZE:BOOL=ON' "$BUILD/CMakeCache.txt" &&
	sanitize="-fsanitize=address,undefined -fno-sanitize-recover=undefined"
DESTDIR=$t/root cmake --install "$BUILD" > install.log || die "$(cat install.log)"
pc=$(dirname "$(find root -name bpfweld.pc)")
lib=$t/$(dirname "$pc")
export PKG_CONFIG_PATH=$t/$pc
export LD_LIBRARY_PATH=$lib
[ -e "$lib"/libbpfweld.so.0.1 ] || die "no soname"
readelf -d "$lib"/libbpfweld.so | has 'SONAME.*libbpfweld.so.0.1' || die soname

# Where somebody puts it, it says that it is.
cmake --install "$BUILD" --prefix "$t/moved" > install.log
(
	PKG_CONFIG_PATH=$(dirname "$(find "$t/moved" -name bpfweld.pc)")
	for dir in includedir:bpfweld/reader.h libdir:libbpfweld.so \
		prefix:bin/bpfweld; do
		at=$(pkg-config --variable="${dir%:*}" bpfweld)/${dir#*:}
		[ -e "$at" ] && realpath "$at" | has "^$t/moved/" ||
			die "bpfweld.pc says: ${dir%:*}: $at"
	done
)

# Nothing but the interface has a name.
nm -D --defined-only "$lib"/libbpfweld.so | awk '{ print $3 }' | sort > shared
nm -g --defined-only "$lib"/libbpfweld.a | awk 'NF == 3 { print $3 }' | sort > static
grep -oE '\bbpfweld_[a-z_]+\(' "$(find root -name reader.h)" | tr -d '(' |
	sort -u > declared
grep -vE '^(__asan|__odr_asan|__ubsan|_init$|_fini$)' shared > shared.ours
cmp shared.ours <(grep -v '^$' static | grep -vE '^(__asan|__odr_asan)') ||
	die "shared and static differ: $(diff shared.ours static)"
grep -v '^bpfweld_' shared.ours && die "other names are visible"
comm -23 shared.ours declared | grep . && die "exported, not declared"
comm -13 shared.ours declared | grep . && die "declared, not exported"

cat > target.c <<'C'
#include <pthread.h>
#include <stdlib.h>
#include <unistd.h>
static _Thread_local volatile long seen;
__attribute__((noinline)) void event(long thread, long n) { seen = thread + n; }
static long each, first;
static void *run(void *thread)
{
	for (long i = 0; i < each; i++) {
		event(first + (long)thread, i);
		if (i % 64 == 63)
			usleep(200);
	}
	return NULL;
}
/* target THREADS EACH FIRST */
int main(int argc, char **argv)
{
	pthread_t v[8];
	long n = argc > 3 ? atol(argv[1]) : 0;
	each = n ? atol(argv[2]) : 0;
	first = n ? atol(argv[3]) : 0;
	for (long i = 0; i < n; i++)
		pthread_create(&v[i], NULL, run, (void *)i);
	for (long i = 0; i < n; i++)
		pthread_join(v[i], NULL);
	return 0;
}
C
$CC -O1 -pthread -o target target.c
cat > t.bpf.c <<'C'
#include <stdbool.h>
#include <linux/bpf.h>
#include <linux/ptrace.h>
#include <bpf/bpf_helpers.h>
#include <bpf/bpf_tracing.h>
struct event { long thread, n; char text[8]; struct { int x, y; } pos[2]; unsigned bits : 5; };
struct small { int thread; short n; } __attribute__((packed));
struct value { long count; int list[3]; };
#define MAP(NAME, TYPE, MAX, KEY, VALUE) \
	struct { __uint(type, BPF_MAP_TYPE_##TYPE); __uint(max_entries, MAX); \
		 __type(key, KEY); __type(value, VALUE); } NAME SEC(".maps")
MAP(hash, HASH, 16, long, struct value);
MAP(array, ARRAY, 4, int, struct value);
MAP(each, PERCPU_ARRAY, 2, int, int);
MAP(eachhash, PERCPU_HASH, 4, long, int);
struct { __uint(type, BPF_MAP_TYPE_RINGBUF); __uint(max_entries, 1 << 16); } events SEC(".maps");
struct { __uint(type, BPF_MAP_TYPE_RINGBUF); __uint(max_entries, 1 << 16); } odd SEC(".maps");
struct { __uint(type, BPF_MAP_TYPE_PERF_EVENT_ARRAY); __uint(key_size, 4); __uint(value_size, 4); } perf SEC(".maps");
struct { __uint(type, BPF_MAP_TYPE_QUEUE); __uint(max_entries, 4); __type(value, int); } queue SEC(".maps");
long hits, lost, perf_lost, odd_lost;
const struct event *shown; /* a compiler leaves out types that nothing global has */
const volatile int fixed = 7;
SEC("uprobe/target:event") int on_event(struct pt_regs *ctx)
{
	struct event e = { PT_REGS_PARM1(ctx), PT_REGS_PARM2(ctx), "text", { { 1, 2 }, { -3, 4 } }, 21 };
	struct small s = { e.thread, e.n };
	__sync_fetch_and_add(&hits, 1);
	if (bpf_ringbuf_output(&events, &e, sizeof(e), 0))
		__sync_fetch_and_add(&lost, 1);
	if (bpf_perf_event_output(ctx, &perf, BPF_F_CURRENT_CPU, &s, sizeof(s)))
		__sync_fetch_and_add(&perf_lost, 1);
	if (e.n % 2 && bpf_ringbuf_output(&odd, &s, sizeof(s), 0))
		__sync_fetch_and_add(&odd_lost, 1);
	if (e.n == 0)
		bpf_printk("thread %d", s.thread);
	return 0;
}
char LICENSE[] SEC("license") = "GPL";
C
bpf t.bpf.c
$W weld target t.bpf.o -o w

# In both languages: what is common to C11 and C++17.
cat > use.c <<'C'
#include <bpfweld/reader.h>
#include <errno.h>
#include <inttypes.h>
#include <linux/bpf.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#define CHECK(x) \
	do { if (!(x)) { fprintf(stderr, "%d: %s: %s\n", __LINE__, #x, \
				 bpfweld_error()); exit(1); } } while (0)
struct value { long count; int list[3]; };
static long want, got, odds, perfs, lost_perf, lines;
static struct bpfweld_field f_thread, f_n, f_y, f_bits;
static long next_of[64];
static uint64_t number(const struct bpfweld_field *f, const void *data, size_t size)
{
	uint64_t v = 0;
	CHECK(bpfweld_field_get(f, data, size, &v) == 0);
	return v;
}
static int on_event(void *ctx, void *data, size_t size)
{
	uint64_t thread = number(&f_thread, data, size), n = number(&f_n, data, size);
	CHECK(ctx == &got && (uintptr_t)data % 8 == 0 && thread < 64);
	CHECK((long)n >= next_of[thread]);
	next_of[thread] = (long)n + 1;
	CHECK((int64_t)number(&f_y, data, size) == -3 && number(&f_bits, data, size) == 21);
	got++;
	return 0;
}
static int on_odd(void *ctx, void *data, size_t size)
{
	(void)data;
	CHECK(ctx == &odds && size == 6);
	odds++;
	return 0;
}
static int stop_at_third(void *ctx, void *data, size_t size)
{
	(void)data, (void)size;
	return ++*(int *)ctx == 3 ? -ECANCELED : 0;
}
static void on_perf(void *ctx, int cpu, void *data, __u32 size)
{
	(void)ctx, (void)data;
	CHECK(size == 6 && cpu >= 0 && cpu < 4096);
	perfs++;
}
static void on_lost(void *ctx, int cpu, __u64 cnt)
{
	(void)ctx;
	CHECK(cpu == -1);
	lost_perf += (long)cnt;
}
static int on_line(void *ctx, const struct bpfweld_line *line)
{
	(void)ctx;
	CHECK(strncmp(line->text, "thread ", 7) == 0 && strlen(line->text) == line->len);
	lines++;
	return 0;
}
static long variable(struct bpfweld_map *bss, const char *name)
{
	uint64_t v = 0;
	uint32_t zero = 0;
	struct bpfweld_map_info info;
	char *all;
	CHECK(!bpfweld_map_info(bss, &info, sizeof(info)));
	all = (char *)malloc(info.value_bytes);
	CHECK(!bpfweld_map_lookup_elem(bss, &zero, 4, all, info.value_bytes, 0));
	CHECK(!bpfweld_type_get(bpfweld_map_value_type(bss), name, all, info.value_bytes, &v));
	free(all);
	return (long)v;
}
static void maps(struct bpfweld *w)
{
	struct bpfweld_map *hash = bpfweld_map_find(w, "hash"), *array = bpfweld_map_find(w, "t:array");
	struct bpfweld_map *each = bpfweld_map_find(w, "eachhash"), *queue = bpfweld_map_find(w, "queue");
	struct value v, back;
	struct bpfweld_map_info info;
	struct { struct bpfweld_map_info info; long more; } larger;
	long key, seen = 0;
	int i = 1, *cpus;
	char text[64];
	memset(&v, 0, sizeof(v));
	CHECK(hash && array && each && queue && bpfweld_map_at(w, 0) && !bpfweld_map_at(w, 99));
	CHECK(!bpfweld_map_find(w, "nothing") && errno == ENOENT);
	CHECK(!bpfweld_map_info(hash, &larger.info, sizeof(larger)) && larger.more == 0);
	info = larger.info;
	CHECK(!strcmp(info.name, "hash") && info.type == BPF_MAP_TYPE_HASH && info.key_size == 8 &&
	      info.value_bytes == sizeof(v) && info.max_entries == 16 && info.cpus == 1 && !strcmp(info.object, "t"));
	while (!bpfweld_map_get_next_key(hash, NULL, &key, 8))
		CHECK(!bpfweld_map_delete_elem(hash, &key, 8, 0));
	CHECK(errno == ENOENT);
	for (key = 0; key < 16; key++) {
		v.count = key * 10;
		v.list[2] = -1;
		CHECK(!bpfweld_map_update_elem(hash, &key, 8, &v, sizeof(v), BPF_NOEXIST));
	}
	CHECK(bpfweld_map_update_elem(hash, &key, 8, &v, sizeof(v), 0) == -E2BIG && errno == E2BIG);
	key = 3;
	CHECK(bpfweld_map_update_elem(hash, &key, 8, &v, sizeof(v), BPF_NOEXIST) == -EEXIST);
	CHECK(!bpfweld_map_lookup_elem(hash, &key, 8, &back, sizeof(back), 0) && back.count == 30);
	CHECK(bpfweld_map_lookup_elem(hash, &key, 4, &back, sizeof(back), 0) == -EINVAL);
	CHECK(bpfweld_map_lookup_elem(hash, &key, 8, &back, 8, 0) == -EINVAL);
	CHECK(bpfweld_map_lookup_elem(NULL, &key, 8, &back, 8, 0) == -EINVAL && *bpfweld_error());
	CHECK(bpfweld_type_format(bpfweld_map_value_type(hash), &back, sizeof(back), text, sizeof(text)) ==
	      (int)strlen("{\"count\":30,\"list\":[0,0,-1]}"));
	CHECK(!strcmp(text, "{\"count\":30,\"list\":[0,0,-1]}"));
	CHECK(!bpfweld_type_parse(bpfweld_map_key_type(hash), "-5", &key, 8) && key == -5);
	CHECK(bpfweld_type_parse(bpfweld_map_key_type(hash), "x", &key, 8) == -EINVAL);
	CHECK(bpfweld_map_get_next_key(hash, NULL, &key, 8) == 0);
	do {
		seen += 1 << key;
		v.count = key;
	} while (!bpfweld_map_get_next_key(hash, &key, &key, 8));
	CHECK(seen == 0xffff);
	CHECK(!bpfweld_map_write(array, &i, 4, 8 + 4, &i, 4) && !bpfweld_map_lookup_elem(array, &i, 4, &back, sizeof(back), 0));
	CHECK(back.list[1] == 1 && bpfweld_map_write(array, &i, 4, sizeof(v) - 2, &i, 4) == -EINVAL);
	CHECK(bpfweld_map_delete_elem(array, &i, 4, 0) == -EINVAL);
	CHECK(!bpfweld_map_info(each, &info, sizeof(info)) && info.cpus > 0 && info.value_bytes == 8 * info.cpus);
	cpus = (int *)calloc(info.cpus, 8);
	for (uint32_t c = 0; c < info.cpus; c++)
		cpus[2 * c] = (int)c + 1;
	key = 77;
	CHECK(!bpfweld_map_update_elem(each, &key, 8, cpus, info.value_bytes, 0));
	memset(cpus, 0, info.value_bytes);
	CHECK(!bpfweld_map_lookup_elem(each, &key, 8, cpus, info.value_bytes, 0));
	for (uint32_t c = 0; c < info.cpus; c++)
		CHECK(cpus[2 * c] == (int)c + 1);
	CHECK(!bpfweld_map_delete_elem(each, &key, 8, 0));
	free(cpus);
	while (!bpfweld_map_lookup_and_delete_elem(queue, NULL, 0, &i, 4, 0))
		;
	for (i = 5; i < 9; i++)
		CHECK(!bpfweld_map_update_elem(queue, NULL, 0, &i, 4, 0));
	CHECK(bpfweld_map_update_elem(queue, NULL, 0, &i, 4, 0) == -E2BIG);
	CHECK(!bpfweld_map_lookup_elem(queue, NULL, 0, &i, 4, 0) && i == 5);
	CHECK(!bpfweld_map_lookup_and_delete_elem(queue, NULL, 0, &i, 4, 0) && i == 5);
	i = 0;
	CHECK(bpfweld_map_write(bpfweld_map_find(w, ".rodata"), &i, 4, 0, &i, 4) == -EPERM);
}
static void probes(struct bpfweld *w)
{
	struct bpfweld_probe_info info;
	CHECK(bpfweld_probe_count(w) == 1 && !bpfweld_probe_info(w, 0, &info, sizeof(info)));
	CHECK(info.enabled && !strcmp(info.program, "on_event") && !strcmp(info.spec, "uprobe:event") && info.address);
	CHECK(!bpfweld_probe_enable(w, 0, 0) && !bpfweld_probe_info(w, 0, &info, sizeof(info)) && !info.enabled);
	CHECK(!bpfweld_probe_enable(w, 0, 1) && bpfweld_probe_enable(w, 1, 1) == -EINVAL);
}
/* use WELDED REGION EVENTS READ: until so many were written, of which some were read
 * by another one before. */
int main(int argc, char **argv)
{
	struct bpfweld *w, *again, *reader;
	struct bpfweld_map *events, *bss;
	const struct bpfweld_type *type;
	struct bpfweld_ring *ring;
	struct bpfweld_perf *perf;
	long lost = 0, first;
	uint64_t next = 0, missed = 0;
	int n, idle = 0, third = 0;
	CHECK(argc == 5);
	CHECK(!strcmp(bpfweld_version(), "0.1"));
	CHECK(!bpfweld_open("/nonexistent", 0) && errno == ENOENT && *bpfweld_error());
	CHECK(!bpfweld_open(argv[0], 0) && errno == EINVAL);
	CHECK(!bpfweld_open_region(argv[0], 0) && errno == EIO);
	want = atol(argv[3]) - atol(argv[4]);
	w = bpfweld_open(argv[1], BPFWELD_WRITE);
	CHECK(w && !strcmp(bpfweld_region_path(w), argv[2]) && bpfweld_is_current(w) == 1);
	reader = bpfweld_open_region(argv[2], 0);
	CHECK(reader && bpfweld_map_count(reader) == bpfweld_map_count(w));
	CHECK(!bpfweld_map_value_type(bpfweld_map_find(reader, "hash")) && errno == ENODATA);
	CHECK(bpfweld_probe_enable(reader, 0, 0) == -EPERM);
	bss = bpfweld_map_find(w, ".bss");
	events = bpfweld_map_find(w, "events");
	type = bpfweld_map_struct(events, NULL, sizeof(long) * 5 + 8);
	CHECK(bss && events && type && type == bpfweld_map_struct(events, "event", 0));
	CHECK(!bpfweld_map_struct(events, "evnt", 0) && errno == ENOENT);
	CHECK(!bpfweld_type_field(type, "thread", &f_thread, sizeof(f_thread)) &&
	      !bpfweld_type_field(type, "n", &f_n, sizeof(f_n)) &&
	      !bpfweld_type_field(type, "pos[1].x", &f_y, sizeof(f_y)) &&
	      !bpfweld_type_field(type, "bits", &f_bits, sizeof(f_bits)));
	CHECK(f_bits.bit_size == 5 && f_y.offset == 32 && f_y.is_signed && f_n.size == 8);
	CHECK(bpfweld_type_field(type, "pos[2].x", &f_y, sizeof(f_y)) == -ENOENT);
	maps(w);
	probes(w);
	CHECK(!bpfweld_ring_new(bpfweld_map_find(reader, "events"), on_event, NULL) && errno == EPERM);
	CHECK(!bpfweld_ring_new(bss, on_event, NULL) && errno == EINVAL);
	first = variable(bss, "hits");
	ring = bpfweld_ring_new(events, on_event, &got);
	CHECK(ring && !bpfweld_ring_add(ring, bpfweld_map_find(w, "odd"), on_odd, &odds));
	CHECK(bpfweld_ring_add(ring, events, on_event, &got) == -EBUSY);
	again = bpfweld_open(argv[1], BPFWELD_WRITE);
	CHECK(again && !bpfweld_ring_new(bpfweld_map_find(again, "events"), on_event, NULL) && errno == EBUSY);
	perf = bpfweld_perf_new(bpfweld_map_find(again, "perf"), on_perf, on_lost, NULL);
	CHECK(perf);
	fprintf(stderr, "ready\n");
	while (idle < 50 && (variable(bss, "hits") < atol(argv[3]) || idle < 2)) {
		n = bpfweld_ring_poll(ring, 200);
		CHECK(n >= 0 && bpfweld_perf_poll(perf, 0) >= 0);
		idle = n ? 0 : idle + 1;
		lost += (long)bpfweld_ring_lost(ring);
	}
	CHECK(bpfweld_perf_consume(perf) >= 0 && bpfweld_ring_consume(ring) >= 0 && first >= atol(argv[4]));
	CHECK(bpfweld_lines(w, &next, &missed, on_line, NULL) == 0 && missed == 0);
	printf("%ld of %ld, odd %ld, perf %ld, lines %ld, lost %ld %ld\n", got, want, odds, perfs, lines, lost,
	       lost_perf);
	CHECK(got + odds + lost == want + want / 2 && perfs + lost_perf == want);
	CHECK(atol(argv[4]) || lost == variable(bss, "lost") + variable(bss, "odd_lost"));
	CHECK(atol(argv[4]) || lost_perf == variable(bss, "perf_lost"));
	bpfweld_ring_free(ring);
	ring = bpfweld_ring_new(bpfweld_map_find(again, "events"), stop_at_third, &third);
	CHECK(ring && bpfweld_ring_poll(ring, 30) == 0);
	bpfweld_ring_free(ring);
	bpfweld_perf_free(perf);
	bpfweld_close(again);
	bpfweld_close(reader);
	bpfweld_close(w);
	return 0;
}
C
flags=$(pkg-config --cflags bpfweld) libs=$(pkg-config --libs bpfweld)
strict="-Wall -Wextra -Werror -pedantic $sanitize"
$CC -std=c11 $strict -O1 -o use use.c $flags $libs
[ "$CC" != gcc ] || g++ -std=c++17 $strict -O1 -o use++ -x c++ use.c -x none $flags $libs
$CC -std=c11 $strict -O1 -o use.static use.c $flags "$lib"/libbpfweld.a \
	-lbpf -lz -lxxhash -lpthread
ldd use | has 'libbpfweld.so.0.1' || die "use is not linked with the library"
! ldd use.static | grep libbpfweld || die "use.static is"
# The header alone is enough, and the short one is what the sample uses.
$CC -std=c99 -Wall -Werror -pedantic -fsyntax-only $flags -x c - \
	<<< '#include <bpfweld/reader.h>'
$CC -std=c11 $strict -o follow "$SOURCE"/samples/follow.c $flags $libs

for use in ./use ./use++ ./use.static; do
	[ -e $use ] || continue
	rm -f region
	not ./follow w 2> err
	grep -q 'has not run yet' err || die "$(cat err)"
	./w
	# While three threads write; twice, as the target starts again.
	timeout 60 $use w "$BPFWELD_REGION" 12000 0 > out 2> err & child=$!
	for _ in $(seq 100); do grep -q ready err && break; sleep .05; done
	./w 3 2000 0
	./w 3 2000 3
	wait $child || die "$use: $(cat out err)"
	child=
	cat out
	# And when it has ended.
	./w 3 2000 6
	timeout 60 $use w "$BPFWELD_REGION" 18000 12000 > out 2> err ||
		die "$use, afterwards: $(cat out err)"
	cat out
done
./follow w > out
grep -q '^on_event at uprobe:event: 18000 hits$' out || die "$(cat out)"
grep -q '^  3: {"count":30,"list":\[0,0,-1\]}$' out || die "$(cat out)"
(timeout 1 ./follow w events event || true) > out
./w 1 2 0
(timeout 1 ./follow w events event || true) > out
grep -q '^{"thread":0,"n":1,"text":"text","pos":\[{"x":1,"y":2},' out || die "$(cat out)"
