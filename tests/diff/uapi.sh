#!/usr/bin/env bash
# CO-RE on types that the kernel shares with user space: the kernel's numbers,
# whatever the object says of them beside their names.
. "$(dirname "$0")/common-diff.sh"
$CC -O2 -pthread -o $t/calls $D/calls.c
judge $t/calls $O/uapi.bpf.o -- $t/calls

# Whether all that a type has is there, which clang 14 cannot ask.
command -v clang-16 > $t/log || { echo "skipped: no clang-16"; exit 0; }
clang-16 -target bpf -mcpu=v3 -O2 -g -D__TARGET_ARCH_x86 \
	-isystem /usr/include/x86_64-linux-gnu -c $D/uapi.bpf.c -o $t/uapi.bpf.o
judge $t/calls $t/uapi.bpf.o -- $t/calls
export BPFWELD_REGION=$t/region
$W weld $t/calls $t/uapi.bpf.o -p matching=uprobe:other -o $t/w > $t/log
$t/w
$W map dump $t/w .bss | has '"wanted": 5' ||
	die "matching: $($W map dump $t/w .bss)"
