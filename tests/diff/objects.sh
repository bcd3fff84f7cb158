#!/usr/bin/env bash
# Objects: what they may hold, linked ones, and those of newer compilers, agree
# with the kernel.
. "$(dirname "$0")/common-diff.sh"
$CC -O2 -pthread -o $t/calls $D/calls.c

judge $t/calls $O/objects.bpf.o -p optional=uprobe:other -- $t/calls
exits 3 $W weld $t/calls $O/objects.bpf.o -p impossible=uprobe:other -o $t/w \
	2> $t/said
grep -q 'bpf_get_current_cgroup_id#80' $t/said || die "said: $(cat $t/said)"

# Two objects made one.
if command -v bpftool > $t/log; then
	bpftool gen object $t/linked.bpf.o $O/linked_one.bpf.o \
		$O/linked_two.bpf.o
	judge $t/calls $t/linked.bpf.o -- $t/calls
	bpftool gen object $t/again.bpf.o $t/linked.bpf.o $O/tails.bpf.o \
		$O/objects.bpf.o
	judge $t/calls $t/again.bpf.o -- $t/calls
else
	echo "skipped: bpftool is not installed"
fi

# build CLANG CPU NAME
build() {
	$1 -target bpf -mcpu=$2 -O2 -g -D__TARGET_ARCH_x86 \
		-isystem /usr/include/x86_64-linux-gnu -c $D/$3.c -o $t/$3.o
}
# compiled CLANG CPU NAME...: the objects, by this compiler
compiled() {
	local clang=$1 cpu=$2 name; shift 2
	command -v $clang > $t/log || { echo "skipped: no $clang"; return; }
	for name; do
		build $clang $cpu $name
		echo "$clang -mcpu=$cpu $name"
		judge $t/calls $t/$name.o -- $t/calls
	done
}
compiled clang-14 v3 objects.bpf
compiled clang-16 v3 objects.bpf tails.bpf loops.bpf
compiled clang-19 v3 tails.bpf
compiled clang-19 v4 objects.bpf tails.bpf inner.bpf loops.bpf v4

# The type that is there, looked at by a program that asks whether it matches.
export BPFWELD_REGION=$t/region
if command -v clang-16 > $t/log; then
	build clang-16 v3 objects.bpf
	$W weld $t/calls $t/objects.bpf.o -p matching=uprobe:other -o $t/w > $t/log
	$t/w
	$W map dump $t/w .bss | has '"wanted": 1' ||
		die "matching: $($W map dump $t/w .bss)"
fi
