#!/usr/bin/env bash
# SPDX-License-Identifier: MIT
# map update, delete and clear on every kind of map, and probe enable and disable:
# what is written from outside is what programs then find.
. "$(dirname "$0")/../common.sh"
need python3
cd "$t"
says() { # TEXT COMMAND...: prints TEXT, on standard output or error
	local want=$1 got; shift
	got=$("$@" 2>&1) || true
	[[ $got == *"$want"* ]] || die "does not say '$want': $*: $got"
}
json() { # EXPRESSION COMMAND...: valid JSON d, of which the expression holds
	local want=$1 got; shift
	got=$("$@") || true
	python3 -c "import json,sys; d=json.load(sys.stdin)
assert ($want), d" <<< "$got" || die "not $want: $*"
}
cat > hit.c <<'C'
#include <stdlib.h>
#include <unistd.h>
static volatile long seen;
__attribute__((noinline)) void hit(long n) { seen = n; }
__attribute__((noinline)) void other(long n) { seen = -n; }
int main(int argc, char **argv)
{
	char c;
	do {
		hit(argc > 1 ? atol(argv[1]) : 0);
		other(1);
	} while (argc > 2 && read(0, &c, 1) == 1 && write(1, &c, 1) == 1);
	return 0;
}
C
$CC -O1 -o hit hit.c
cat > m.bpf.c <<'C'
#include <stdbool.h>
#include <linux/bpf.h>
#include <linux/ptrace.h>
#include <bpf/bpf_helpers.h>
#include <bpf/bpf_tracing.h>
enum kind { NONE, SOME };
struct value {
	long count;
	struct { int x, y; } pos[2];
	enum kind kind;
	char text[6];
	bool flag : 1;
};
#define MAP(NAME, TYPE, MAX, FLAGS, KEY, VALUE)                         \
	struct {                                                             \
		__uint(type, BPF_MAP_TYPE_##TYPE);                           \
		__uint(max_entries, MAX);                                    \
		__uint(map_flags, FLAGS);                                    \
		__type(key, KEY);                                            \
		__type(value, VALUE);                                        \
	} NAME SEC(".maps")
struct prefix { __u32 bits; __u8 ip[4]; };
MAP(hash, HASH, 3, 0, long, struct value);
MAP(array, ARRAY, 4, 0, int, struct value);
MAP(each, PERCPU_ARRAY, 2, 0, int, int);
MAP(eachhash, PERCPU_HASH, 4, 0, long, long);
MAP(lru, LRU_HASH, 4, 0, long, long);
MAP(lpm, LPM_TRIE, 8, BPF_F_NO_PREALLOC, struct prefix, int);
MAP(settings, ARRAY, 1, BPF_F_RDONLY_PROG, int, long);
MAP(ours, HASH, 4, BPF_F_RDONLY, int, long);
struct {
	__uint(type, BPF_MAP_TYPE_QUEUE);
	__uint(max_entries, 4);
	__type(value, int);
} queue SEC(".maps");
int seq[64];
long hits, found, others, step = 1, setting, popped;
const volatile int fixed = 7;
SEC("uprobe/hit:hit") int on_hit(struct pt_regs *ctx)
{
	long key = PT_REGS_PARM1(ctx);
	struct value *v = bpf_map_lookup_elem(&hash, &key);
	int zero = 0, n;
	long *s = bpf_map_lookup_elem(&settings, &zero);

	hits += step + fixed - 7;
	found = v ? v->count + v->pos[1].y : -1;
	setting = s ? *s : -1;
	if (!bpf_map_pop_elem(&queue, &n))
		popped = n;
	return 0;
}
SEC("uprobe/hit:other") int on_other(void *ctx) { others++; return 0; }
char LICENSE[] SEC("license") = "GPL";
C
bpf m.bpf.c
$W weld hit m.bpf.o -o w
says "has not run yet" $W map update w hash 1 count=1
./w

# A value by its fields; the others stay.
$W map update w hash 5 count=40 'pos[1].y=2' text=abc kind=SOME
json '(d["formatted"]["value"]["count"], d["formatted"]["value"]["pos"][1],
	d["formatted"]["value"]["text"], d["formatted"]["value"]["kind"]) ==
	(40, { "x": 0, "y": 2 }, "abc", "SOME")' $W map lookup -j w hash 5
$W map update w hash 5 'pos[0].x=-3'
./w 5
json '{ k: v for e in d[0]["value"][".bss"] for k, v in e.items() }["found"] == 42' \
	$W map dump w .bss
says "there is no member nothing in hash" $W map update w hash 5 count=1 nothing=2
says "'2' does not begin with a field of map hash" $W map update w hash 5 count=1 2
says "a bit field" $W map update w hash 5 flag=true
says "does not fit" $W map update w hash 5 'pos[0].x=3000000000'
says "count of map hash: 'x' is not a number" $W map update w hash 5 count=x
says "value of map hash: its type is no number" $W map update w hash 5 1
says "key of map hash: 'zz' is not a byte in hex" \
	$W map update w hash hex zz count=1
says "key of map lpm: its type is no number" $W map update w lpm 8 1
for op in delete lookup; do
	says "key of map lpm: its type is no number" $W map $op w lpm 8
done
says "did you mean hash" $W map update w hsh 5 count=1
exits 2 $W map update w hash 5
exits 2 $W map update w hash

$W map update w hash 6 count=1; $W map update w hash hex 7 0 0 0 0 0 0 0 count=1
says "map hash is full: it has 3 elements" $W map update w hash 8 count=1
json '[e["key"] for e in d] == [5, 6, 7]' $W map dump w hash
$W map delete w hash 6
says "no such key in map hash" $W map delete w hash 6
[ "$($W map delete -j w hash 7)" = null ]
json '"no such key" in d["error"]' $W map delete -j w hash 7
$W map clear w hash
json 'd == []' $W map dump -j w hash

# Arrays, in place; globals by name; all CPUs at once.
$W map update w array 1 count=9
$W map update w array 1 kind=1
json 'd["value"]["count"] == 9 and d["value"]["kind"] == "SOME"' \
	$W map lookup w array 1
says "no such index in map array: it has 4" $W map update w array 4 count=9
says "has no such operation" $W map delete w array 1
$W map update w .data step=10
$W map update w .bss hits=100 others=-1
for key in "" 0; do
	says "there is no variable nosuch in m.bss" $W map update w .bss $key nosuch=1
	says "seq has 64 elements" $W map update w .bss $key 'seq[64]=1'
	says "hits is no array" $W map update w .bss $key 'hits[0]=1'
done
exits 2 $W map update w .bss nosuch=1
./w
json '{ k: v for e in d[0]["value"][".bss"] for k, v in e.items() }["hits"] == 110' \
	$W map dump w .bss
$W map update w each 1 77
json 'len(d["values"]) > 1 and set(v["value"] for v in d["values"]) == { 77 }' \
	$W map lookup w each 1
$W map update w eachhash 3 5
json 'len(set(v["value"] for v in d["values"])) == 1' $W map lookup w eachhash 3
$W map update w settings 0 123
./w
json '{ k: v for e in d[0]["value"][".bss"] for k, v in e.items() }["setting"] == 123' \
	$W map dump w .bss

# What may not be written says so.
says "map m.rodata is frozen" $W map update w .rodata fixed=8
exits 1 $W map clear w .rodata
says "map ours is for programs only" $W map update w ours 1 1
says "other values than 0" $W map clear w .data

# The others.
for i in 1 2 3 4 5 6; do $W map update w lru $i $i; done
json 'len(d) <= 4 and any(e["key"] == 6 for e in d)' $W map dump w lru
$W map update w lpm hex 8 0 0 0 a 0 0 0 1
$W map update w lpm hex 10 0 0 0 a 1 0 0 2
json 'd["value"] == 2' $W map lookup w lpm hex 20 0 0 0 a 1 2 3
json 'd["value"] == 1' $W map lookup w lpm hex 20 0 0 0 a 2 2 3
$W map delete w lpm hex 10 0 0 0 a 1 0 0
json 'd["value"] == 1' $W map lookup w lpm hex 20 0 0 0 a 1 2 3
$W map update w queue 41; $W map update w queue 42
./w
json '{ k: v for e in d[0]["value"][".bss"] for k, v in e.items() }["popped"] == 41' \
	$W map dump w .bss
$W map clear w
for m in hash lru lpm queue eachhash; do
	json 'd == []' $W map dump -j w $m
done
json '{ k: v for e in d[0]["value"][".bss"] for k, v in e.items() }["hits"] == 0' \
	$W map dump w .bss
json 'd[0]["value"][".data"][0]["step"] == 10' $W map dump w .data

# Probes are switched while the program runs, and stay so when it runs again.
hits() { $W probe list -j w "$1" | python3 -c 'import json,sys; print(json.load(sys.stdin)[0]["hits"])'; }
mkfifo in out
./w 1 loop < in > out &
exec 5> in 6< out
turn() { printf x >&5; read -r -n1 -u6; } # what was before has ended then
turn
$W probe disable w uprobe:hit
turn; turn
was=$(hits on_hit) were=$(hits on_other)
json 'd[0]["enabled"] == False and d[1]["enabled"]' $W probe list -j w
turn; turn
[ "$(hits on_hit)" = "$was" ] || die "a disabled probe ran"
[ "$(hits on_other)" -gt "$were" ] || die "the other one did not"
$W probe enable w 0
turn; turn
[ "$(hits on_hit)" -gt "$was" ] || die "an enabled probe did not run"
exec 5>&- 6<&-
wait
$W probe disable w 'on_[h-i]*'
json '[x["enabled"] for x in d] == [False, True]' $W probe list -j w
json 'len(d) == 1' $W probe list -j w '*[!t]:other'
says "no probe is called 'on_[hi'" $W probe disable w 'on_[hi'
$W probe disable w 'on_*'
was=$(hits on_hit)
./w
[ "$(hits on_hit)" = "$was" ] || die "enabled by a restart"
says disabled $W probe list w
says "no probe is called 'on_hi'" $W probe enable w on_hi
exits 2 $W probe enable
$W probe enable w
says "did you mean" $W probe enble w
