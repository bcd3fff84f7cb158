#!/usr/bin/env bash
# SPDX-License-Identifier: MIT
# --verify=kernel: two verdicts for each program that is bound, the kernel's on
# the maps as --set has them; they change neither the output nor the exit; where
# the kernel cannot be asked, nothing is done.
. "$(dirname "$0")/../common.sh"
need python3
chmod 755 $t; cd $t
cat > two.bpf.c <<'X'
#include <linux/bpf.h>
#include <linux/ptrace.h>
#include <bpf/bpf_helpers.h>
#include <bpf/bpf_tracing.h>
struct {
	__uint(type, BPF_MAP_TYPE_HASH);
	__type(key, int);
	__type(value, long);
	__uint(max_entries, 1);
} map SEC(".maps");
volatile const long at = 0;

SEC("uprobe")
int counts(struct pt_regs *ctx)
{
	int key = 0;
	char *v = bpf_map_lookup_elem(&map, &key);

	if (v)
		v[at]++;
	return 0;
}
SEC("uprobe.session//proc/self/exe:work")
int both(struct pt_regs *ctx)
{
	return 0;
}
SEC("uprobe")
int unbound(struct pt_regs *ctx)
{
	return *(int *)PT_REGS_PARM1(ctx);
}
SEC("?uprobe")
int groups(struct pt_regs *ctx)
{
	return bpf_get_current_cgroup_id();
}
char _license[] SEC("license") = "GPL";
X
bpf two.bpf.c
cat > work.c <<'X'
__attribute__((noipa)) int work(int n)
{
	for (int i = n; i; i--)
		n += i;
	return n;
}
int main(void)
{
	return work(0);
}
X
$CC -O2 -o work work.c
args=(work two.bpf.o -p counts=uprobe:work -p unbound=none)

status=0
$W check "${args[@]}" --verify=kernel > out 2> why || status=$?
[ $status != 77 ] || skip "$(cat why)"
# says TEXT [FILE]: a line of it is TEXT
says() { grep -xF -e "$1" ${2:-out} >/dev/null || die "no '$1': $(cat out)"; }
[ $status = 0 ] || die "exit $status: $(cat why)"
says 'counts: bpfweld: accepted; kernel: accepted'
says 'both: bpfweld: accepted; kernel: accepted'
[ "$(grep -c '; kernel: ' out)" = 2 ] || die "not two programs: $(cat out)"
$W check "${args[@]}" | diff - <(grep -v '; kernel: ' out) ||
	die "changes the rest"

# What --set says holds for the kernel, too; its log, with -v.
refused='the allowed memory range'
$W check "${args[@]}" --verify=kernel --set at=8 -v > out || true
grep "^counts: .*; kernel: refused: .*$refused" out >/dev/null ||
	die "not as --set has it: $(cat out)"
grep '^    processed [0-9]* insns' out >/dev/null || die "no log: $(cat out)"

# As JSON.
$W check "${args[@]}" --verify=kernel -j > out
python3 - << 'X' || die "JSON: $(cat out)"
import json
of = { x["program"]: x for x in json.load(open("out"))["programs"] }
assert set(of) == { "counts", "both" }
for x in of.values():
    assert x["bpfweld"] == x["kernel"] == "accepted", x
    assert x["guards"] == 0 and x["kernel_insns"] > 1, x
    assert x["object"] == "two.bpf.o" and "kernel_log" not in x, x
X

# weld writes what it writes without.
$W weld "${args[@]}" -o plain > said
$W weld "${args[@]}" -o asked --verify=kernel > out
cmp plain asked
says 'counts: bpfweld: accepted; kernel: accepted'
$W weld "${args[@]}" -o asked -j --verify=kernel | python3 -c '
import json, sys; assert len(json.load(sys.stdin)["programs"]) == 2'

# A program that keeps the object from being used has its two verdicts.
exits 3 $W check "${args[@]}" -p groups=uprobe:work --verify=kernel \
	> out 2> why
grep '^groups: bpfweld: refused: .*control groups.*; kernel: accepted$' out \
	> said || die "not refused: $(cat out why)"
exits 3 $W check "${args[@]}" -p groups=uprobe:work --verify=kernel -j > out
python3 - << 'X' || die "JSON: $(cat out)"
import json
got = json.load(open("out"))
assert "control groups" in got["error"]
only, = got["programs"]
assert only["bpfweld"] == "refused" and only["kernel"] == "accepted"
assert "control groups" in only["bpfweld_reason"]
X

# What is refused for a map is not accepted before.
cat > sock.bpf.c <<'X'
#include <linux/bpf.h>
#include <bpf/bpf_helpers.h>
struct {
	__uint(type, BPF_MAP_TYPE_SOCKMAP);
	__type(key, int);
	__type(value, int);
	__uint(max_entries, 4);
} socks SEC(".maps");
SEC("uprobe//proc/self/exe:work")
int forgets(void *ctx)
{
	int k = 0;

	return bpf_map_delete_elem(&socks, &k);
}
char _license[] SEC("license") = "GPL";
X
bpf sock.bpf.c
exits 3 $W check work sock.bpf.o --verify=kernel > out 2> why
of_map="program 'forgets': map 'socks': maps of type sockmap are not supported"
grep -F "forgets: bpfweld: refused: $of_map; kernel: refused: " out > said ||
	die "not refused: $(cat out why)"
says "bpfweld: sock.bpf.o: $of_map" why

# The kernel is not made to make maps that we refuse for their size.
sed -e 's/SOCKMAP/ARRAY/; s/int);$/long);/; s/(key, long/(key, int/' \
	-e 's/max_entries, 4/max_entries, 1 << 27/; s/socks/large/' \
	-e 's/bpf_map_delete_elem/!bpf_map_lookup_elem/' sock.bpf.c > large.bpf.c
bpf large.bpf.c
exits 3 $W check work large.bpf.o --verify=kernel > out 2> why
grep -x "forgets: bpfweld: accepted; kernel: not asked: with map 'large' \
its maps are larger than 1 GiB" out > said || die "asked: $(cat out why)"

# Not here, and not with everything.
nobody="setpriv --reuid=65534 --regid=65534 --clear-groups"
cp $W bpfweld
mkdir -m 777 open
exits 77 $nobody ./bpfweld weld "${args[@]}" -o open/out --verify=kernel 2> out
grep '^bpfweld: --verify=kernel skipped: ' out >/dev/null || die "$(cat out)"
[ -z "$(ls open)" ] || die "written all the same"
exits 77 $nobody ./bpfweld check "${args[@]}" --verify=kernel -j > out
python3 -c 'import json; assert "root" in json.load(open("out"))["skipped"]'
exits 2 $W check "${args[@]}" --verify=you 2> out
says "bpfweld: --verify wants 'kernel' for its value, not 'you': \
--verify=kernel"
exits 2 $W check --verify "${args[@]}" 2> out
says "bpfweld: --verify wants 'kernel' for its value, not 'work': \
--verify=kernel"
exits 2 $W check work --explain work --verify=kernel 2> out
exits 2 $W diff "${args[@]}" --verify=kernel -- ./work 2> out
exits 2 $W weld --usdt-nop5 work -o out2 --verify=kernel 2> out
