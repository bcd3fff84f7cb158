#!/usr/bin/env bash
# SPDX-License-Identifier: MIT
# check says of every program that is refused why, a line each and in their
# order, and ends as the first one would have it; weld stops at the first.
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
bpf proved.bpf.c
bpf loaded.bpf.c
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
[ ! -s out ] || die "said: $(cat out)"
exits 3 $W check work loaded.bpf.o 2> err
lines err group class
exits 3 $W check work loaded.bpf.o proved.bpf.o 2> err
lines err group class # the others were not looked at

exits 1 $W weld work proved.bpf.o -o welded 2> err
lines err first
exits 3 $W weld work loaded.bpf.o -o welded 2> err
lines err group

exits 1 $W check work proved.bpf.o -j > proved.json
exits 3 $W check work loaded.bpf.o -j > loaded.json
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
for name in "missing", "weld":
    assert list(json.load(open(name + ".json"))) == ["error"]
X

# Both verdicts of each, where the kernel can be asked.
status=0
$W check work loaded.bpf.o --verify=kernel > out 2> err || status=$?
[ $status = 77 ] || grep -c '; kernel: ' out | grep -x 2 > said ||
	die "not both: $(cat out)"
