#!/usr/bin/env bash
# SPDX-License-Identifier: MIT
# A map that no map can be like is in nobody's way as long as no program that is
# welded uses it: not in ours, nor in the kernel's. Where one does, it is refused.
. "$(dirname "$0")/../common.sh"
cd "$t"

cat > unused.bpf.c <<'X2'
#include <linux/bpf.h>
#include <bpf/bpf_helpers.h>
struct {
	__uint(type, TYPE);
	__uint(key_size, KEY);
	__uint(value_size, VALUE);
	__uint(max_entries, MAX);
	__uint(map_flags, FLAGS);
#ifdef PINNED
	__uint(pinning, LIBBPF_PIN_BY_NAME);
#endif
} odd SEC(".maps");
int calls;
SEC("uprobe") int uses(void *ctx)
{
	char key[8] = "";

	return !!bpf_map_lookup_elem(&odd, key);
}
SEC("uprobe") int counts(void *ctx)
{
	calls++;
	return 0;
}
#ifdef TAIL
struct {
	__uint(type, BPF_MAP_TYPE_PROG_ARRAY);
	__uint(key_size, 4);
	__uint(max_entries, 1);
	__array(values, int(void *));
} next SEC(".maps") = { .values = { (void *)&uses } };
SEC("uprobe") int tails(void *ctx)
{
	bpf_tail_call(ctx, &next, 0);
	return 0;
}
#endif
char _license[] SEC("license") = "GPL";
X2
cat > app.c <<'X2'
__attribute__((noipa)) int work(int n) { return n * 3 + 1; }
int main(void) { return !work(work(work(work(work(1))))); }
X2
$CC -O2 -o app app.c

# odd TYPE KEY VALUE MAX FLAGS WHY [MACRO...]: refused for WHY with its user
# only; app.weld is made without it.
plain=(-p uses=none -p counts=uprobe:work)
probes=("${plain[@]}")
odd() {
	local why=$6
	bpf unused.bpf.c -DTYPE=BPF_MAP_TYPE_$1 -DKEY=$2 -DVALUE=$3 -DMAX=$4 \
		-DFLAGS=$5 "${@:7}"
	$W weld app unused.bpf.o -o app.weld "${probes[@]}" > said 2>&1 ||
		die "$*: $(cat said)"
	! $W weld app unused.bpf.o -o not "${probes[@]/uses=none/uses=uprobe:work}" \
		2> said || die "$*: is taken"
	grep -F "program 'uses': map 'odd': $why" said > line ||
		die "$*: $(cat said)"
	[ ! -e not ]
}
# The others are as always, whoever asks.
works() {
	rm -f "$BPFWELD_REGION"
	./app.weld
	$W map list app.weld > list
	grep -E '^ +odd +unused .* 0$' list > line || die "$(cat list)"
	$W map dump app.weld .bss | grep '"calls": 5' > line || die "counts"
	$W map dump app.weld > all || die "dump: $(cat all)"
	! grep odd all || die "odd is dumped"
	! $W map dump app.weld odd 2> said || die "odd has elements"
	grep 'no program in the file uses it' said > line || die "$(cat said)"
	! $W map clear app.weld odd 2> said || die "odd is cleared"
	$W map clear app.weld
	$W info app.weld > info
}
no_entries='a map with no entries: max_entries is missing'
odd HASH 4 4 0 0 "$no_entries"; works
odd PERCPU_HASH 4 4 0 0 "$no_entries"; works
odd LRU_HASH 4 4 0x10000000 0 'the map is larger than'; works
odd LPM_TRIE 8 4 8 0 'an LPM trie has the flag'; works
odd HASH 4 4 8 0x80000000 'a map of this type has no flags 0x80000000'; works
odd ARRAY 8 4 8 0 "an array's key has 4 bytes, not 8"; works
odd PERCPU_ARRAY 4 65536 1 0 'a value for each CPU has 32 KiB at most'; works
odd HASH 4 4 0 0 "$no_entries" -DPINNED; works
probes=("${plain[@]}" -p tails=none)
odd HASH 4 4 0 0 "$no_entries" -DTAIL; works
! $W weld app unused.bpf.o -o not "${probes[@]/tails=none/tails=uprobe:work}" \
	2> said || die "a program that others continue in does not count"
grep -F "map 'odd': $no_entries" said > line || die "$(cat said)"

# Maps of which the kernel lets none be made are left out there, too.
diffs() {
	local status=0
	env -u BPFWELD_REGION $W diff app unused.bpf.o "${probes[@]}" -- ./app \
		> said 2>&1 || status=$?
	[ $status != 77 ] || skip "kernel uprobes cannot be used here"
	[ $status = 0 ] || die "diff: $(cat said)"
	$W check app unused.bpf.o "${probes[@]}" --verify=kernel > said
	grep '^counts: .*; kernel: accepted$' said > line || die "$(cat said)"
}
probes=("${plain[@]}")
odd HASH 4 4 0 0 "$no_entries"; diffs
odd PERF_EVENT_ARRAY 8 4 8 0 'keys and values of a perf event array'; diffs
odd RINGBUF 0 0 0 0 'a map with no room: max_entries is missing'; diffs
