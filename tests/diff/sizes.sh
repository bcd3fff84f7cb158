#!/usr/bin/env bash
# SPDX-License-Identifier: MIT
# Maps whose sizes a loader would set: --set says them, to the kernel as well.
. "$(dirname "$0")/common-diff.sh"
setarch -R true 2>/dev/null || skip "the address layout cannot be fixed"
cd "$t"

cat > sizes.bpf.c <<'X2'
#include <linux/bpf.h>
#include <linux/ptrace.h>
#include <bpf/bpf_helpers.h>
#include <bpf/bpf_tracing.h>
/* As libbpf-tools have them. */
struct {
	__uint(type, BPF_MAP_TYPE_STACK_TRACE);
	__type(key, __u32);
} stacks SEC(".maps");
struct {
	__uint(type, BPF_MAP_TYPE_RINGBUF);
} events SEC(".maps");
struct {
	__uint(type, BPF_MAP_TYPE_QUEUE);
	__type(value, long);
} queue SEC(".maps");
/* Of another size than its type's: bytes. */
struct wide {
	long a, b, c;
};
struct {
	__uint(type, BPF_MAP_TYPE_HASH);
	__type(key, int);
	__type(value, long);
	__uint(max_entries, 1);
} hash SEC(".maps");
/* Of its type's size. */
struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(max_entries, 1);
	__type(key, int);
	__type(value, struct wide);
} array SEC(".maps");
long pushed, sent;
volatile const int chains = 1;

SEC("uprobe")
int sized(struct pt_regs *ctx)
{
	unsigned n = PT_REGS_PARM1(ctx), key = n % 7;
	long value = n;
	struct wide wide = { n, n + 1, n + 2 }, *at;

	if (chains)
		bpf_get_stackid(ctx, &stacks, BPF_F_USER_STACK);
	sent += !bpf_ringbuf_output(&events, &wide, sizeof(wide), 0);
	pushed += !bpf_map_push_elem(&queue, &value, 0);
	bpf_map_update_elem(&hash, &key, &wide, 0);
	at = bpf_map_lookup_elem(&array, &key);
	if (at)
		*at = wide;
	return 0;
}
char _license[] SEC("license") = "GPL";
X2
bpf sizes.bpf.c
cat > app.c <<'X2'
__attribute__((noipa)) int work(int n) { return n * 3 + 1; }
__attribute__((noipa)) int deep(int n)
{
	return n ? deep(n - 1) + work(n) : work(0);
}
int main(void)
{
	for (int i = 0; i < 12; i++)
		deep(i);
}
X2
$CC -O1 -fno-omit-frame-pointer -mno-omit-leaf-frame-pointer -o app app.c

probe=(-p sized=uprobe:work)
# For the first that is missing, what would help.
! $W check app sizes.bpf.o "${probe[@]}" 2> why || die "sizes are missing"
grep -F "'stacks': a map with no entries: max_entries is missing;\
 --set stacks.max_entries=N gives it" why > said || die "$(cat why)"
sizes=(--set stacks.max_entries=64 --set events.max_entries=8192
	--set queue.max_entries=20 --set hash.value_size=24)
! $W check app sizes.bpf.o "${probe[@]}" "${sizes[@]}" 2> why ||
	die "a size is missing"
grep -F -e '--set stacks.value_size=N gives it' why > said || die "$(cat why)"
sizes+=(--set stacks.value_size=80)

# One entry each, then more: what is full is full in both.
judge ./app sizes.bpf.o "${probe[@]}" "${sizes[@]}" -- ./app
judge ./app sizes.bpf.o "${probe[@]}" "${sizes[@]}" --set hash.max_entries=4 \
	--set array.max_entries=5 --set array.value_size=24 -- ./app
# The last one counts; variables are set as ever.
judge ./app sizes.bpf.o "${probe[@]}" "${sizes[@]}" --set hash.max_entries=1 \
	--set hash.max_entries=7 --set chains=0 --set queue.max_entries=90 \
	-- ./app

# Elements whose values have no type are bytes; others have theirs.
$W weld app sizes.bpf.o "${probe[@]}" "${sizes[@]}" -o app.weld \
	--set hash.max_entries=7 --set array.value_size=24
export BPFWELD_REGION=$t/region
./app.weld
$W map list app.weld > list
grep -E ' hash +hash +4 +24 +7 +7$' list > line || die "$(cat list)"
$W map dump app.weld array | grep '"c": ' > line || die "no type of its own"
$W map dump app.weld hash > hash
grep -A1 '^value:$' hash | grep -cE '^([0-9a-f]{2} +){15}[0-9a-f]{2}$' \
	> bytes || true
[ "$(cat bytes)" = 7 ] || die "not the bytes of seven: $(cat hash)"

# The kernel's verifier, too, has the sizes.
status=0
$W check app sizes.bpf.o "${probe[@]}" "${sizes[@]}" --verify=kernel > out \
	2> why || status=$?
[ $status != 77 ] || skip "$(cat why)"
grep -x 'sized: bpfweld: accepted; kernel: accepted' out > line ||
	die "$(cat out why)"
! $W check app sizes.bpf.o "${probe[@]}" "${sizes[@]}" --verify=kernel \
	--set array.value_size=16 > out 2> why || die "a value is too small"
grep 'bpfweld: refused: .*; kernel: refused: ' out > line || die "$(cat out why)"
