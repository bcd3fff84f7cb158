#!/usr/bin/env bash
# SPDX-License-Identifier: MIT
# check says of every program what it comes to, of those that are refused why, a
# line each and in their order, and ends as the first one would have it; so
# weld does of those that are refused.  It is all one whether a program has a
# wrong structure, is proved wrong or cannot be bound.
. "$(dirname "$0")/../common.sh"
need python3
cd $t
cat > begin.h <<'X'
#include <linux/bpf.h>
#include <linux/ptrace.h>
#include <bpf/bpf_helpers.h>
#include <bpf/bpf_tracing.h>
#define PROBE SEC("uprobe//proc/self/exe:work") int
#define FOLLOWS(ctx) return *(int *)PT_REGS_PARM1(ctx)
char _license[] SEC("license") = "GPL";
X
cat > proved.bpf.c <<'X'
#include "begin.h"
PROBE good(struct pt_regs *ctx) { return 0; }
PROBE first(struct pt_regs *ctx) { FOLLOWS(ctx); }
PROBE fine(struct pt_regs *ctx) { return 1; }
PROBE second(struct pt_regs *ctx) { FOLLOWS(ctx); }
X
cat > loaded.bpf.c <<'X'
#include "begin.h"
PROBE group(struct pt_regs *ctx) { return bpf_get_current_cgroup_id(); }
PROBE fine(struct pt_regs *ctx) { return 1; }
SEC("?uprobe//proc/self/exe:work")
int unwanted(struct pt_regs *ctx) { return bpf_get_current_cgroup_id(); }
PROBE class(struct pt_regs *ctx) { return bpf_get_cgroup_classid((void *)ctx); }
X
cat > mixed.bpf.c <<'X'
#include "begin.h"
int tailed(struct pt_regs *ctx);
int absent(struct pt_regs *ctx);
struct {
	__uint(type, BPF_MAP_TYPE_PROG_ARRAY);
	__uint(max_entries, 2);
	__type(key, int);
	__array(values, int (struct pt_regs *));
} jumps SEC(".maps") = { .values = { &absent, &tailed } };
static __attribute__((noinline)) int again(int n)
{
	return n ? again(n & 1) * again(n - 1) : 0;
}
PROBE right(struct pt_regs *ctx) { return 0; }
PROBE past(struct pt_regs *ctx)
{
	return *(volatile long *)((char *)ctx + 168);
}
PROBE writes(struct pt_regs *ctx)
{
	*(volatile long *)ctx = 1;
	return 0;
}
PROBE recurs(struct pt_regs *ctx) { return again(PT_REGS_PARM1(ctx)); }
PROBE unknown(struct pt_regs *ctx) { return ((long (*)(void))9999)(); }
PROBE jumping(struct pt_regs *ctx)
{
	asm volatile("goto +1000");
	return 0;
}
PROBE follows(struct pt_regs *ctx) { FOLLOWS(ctx); }
SEC("uprobe") int bare(struct pt_regs *ctx) { return 0; }
SEC("uprobe") int named(struct pt_regs *ctx) { return 0; }
SEC("uprobe//proc/self/exe:wrok")
int nowhere(struct pt_regs *ctx) { return 0; }
SEC("uprobe/other:work") int elsewhere(struct pt_regs *ctx) { FOLLOWS(ctx); }
SEC("uprobe.session//proc/self/exe:work")
int both(struct pt_regs *ctx) { return 0; }
PROBE start(struct pt_regs *ctx)
{
	bpf_tail_call(ctx, &jumps, 1);
	return 0;
}
SEC("uprobe") int tailed(struct pt_regs *ctx) { FOLLOWS(ctx); }
PROBE absent(struct pt_regs *ctx) { return *((volatile char *)ctx - 1); }
X
bpf proved.bpf.c
bpf loaded.bpf.c
bpf mixed.bpf.c
echo 'int work(void) { return 0; } int main(void) { return work(); }' > work.c
$CC -O1 -fno-inline -o work work.c

# lines FILE PROGRAM...: a line for each of these and no other, in this order
lines() {
	local file=$1; shift
	printf '%s\n' "$@" > want
	sed "s/^bpfweld: [^ ]*: program '\([^']*\)'.*/\1/" $file |
		diff want - || die "not these: $*: $(cat $file)"
}
exits 1 $W check work proved.bpf.o > out 2> err
lines err first second
printf '%s: accepted\n' good fine | diff - out || die "not these two"
exits 3 $W check work loaded.bpf.o > out 2> err
lines err group class
exits 3 $W check work loaded.bpf.o proved.bpf.o > out 2> err
lines err group class first second
exits 3 $W check work proved.bpf.o loaded.bpf.o > out 2> err
lines err group first second class # what it ends for is first

exits 1 $W weld work proved.bpf.o -o welded > out 2> err
lines err first second
exits 3 $W weld work loaded.bpf.o -o welded >> out 2> err
lines err group class

# What a program's structure is keeps nothing from being said of the others.
mixed=(work mixed.bpf.o -p named=uprobe:main)
exits 1 $W check "${mixed[@]}" > right 2> err
lines err absent past writes recurs unknown jumping follows tailed nowhere
while read -r line <&3 && read -r what; do
	[[ $line = *"$what"* ]] || die "not '$what': $line"
done 3< err <<'X'
bpf_context access off=-1
bpf_context access off=168
write to ctx off=0
the call stack is too deep
unknown helper #9999
jump out of its function
invalid mem access
invalid mem access
function 'wrok'
X
printf '%s: accepted\n' right start bare named both | diff - right ||
	die "not these are right"
exits 1 $W weld "${mixed[@]}" -o welded >> out 2> said
diff err said || die "weld says it otherwise"
[ ! -e welded ] || die "written all the same"
[ ! -s out ] || die "said: $(cat out)"

exits 1 $W check work proved.bpf.o -j > proved.json
exits 3 $W check work loaded.bpf.o -j > loaded.json
exits 1 $W check "${mixed[@]}" -j > mixed.json
exits 1 $W check missing proved.bpf.o -j > missing.json
exits 1 $W weld work proved.bpf.o -o welded -j > weld.json
python3 - <<'X'
import json
def refused(name):
    j = json.load(open(name + ".json"))
    r = j["refused"]
    assert j["error"].split(": ", 1)[1].startswith(r[0]["reason"]), j
    assert { x["object"] for x in r } == { name + ".bpf.o" }, j
    return [ x["program"] for x in r ]
assert refused("proved") == ["first", "second"]
assert refused("loaded") == ["group", "class"]
assert refused("mixed") == open("want").read().split()
assert list(json.load(open("missing.json"))) == ["error"]
weld = json.load(open("weld.json"))
assert list(weld) == ["error", "refused"] and len(weld["refused"]) == 2
verdicts = json.load(open("mixed.json"))["programs"]
assert len(verdicts) == 14, verdicts
for x in verdicts:
    right = x["bpfweld"] == "accepted"
    assert "kernel" not in x, x
    assert ("guards" in x) == right and ("bpfweld_reason" in x) != right, x
assert [ x["program"] + ": accepted\n" for x in verdicts
         if x["bpfweld"] == "accepted" ] == list(open("right"))
X

# Both verdicts of each, where the kernel can be asked.
status=0
$W check work loaded.bpf.o --verify=kernel > out 2> err || status=$?
[ $status != 77 ] || exit 0
grep -c '; kernel: ' out | grep -x 3 > said || die "not all: $(cat out)"
exits 1 $W check "${mixed[@]}" --verify=kernel > out 2> err
grep -c '; kernel: ' out | grep -x 14 > said || die "not all: $(cat out)"
