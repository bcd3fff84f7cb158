#!/usr/bin/env bash
# SPDX-License-Identifier: MIT
# Call chains as the kernel walks them: with frame pointers and without, deep
# ones, through libraries and pending returns, with too little room and odd flags.
. "$(dirname "$0")/common-diff.sh"
setarch -R true 2>/dev/null || skip "the address layout cannot be fixed"
cd "$t"

probes=(-p walk=uprobe:leaf,cookie=1 -p walk=uretprobe:leaf,cookie=2
	-p walk=uprobe:middle,cookie=3 -p walk=uprobe:down,cookie=4
	-p walk=uprobe:tail_last,cookie=5 -p walk=uprobe:odd_leaf,cookie=6
	-p walk=uprobe:odd_leaf+0x9,cookie=7 -p walk=uprobe:odd_endbr,cookie=8
	-p build_ids=uprobe:outer,cookie=9 -p build_ids=uprobe:compare,cookie=10)
# Returns that are pending while others are walked.
pending=(-p walk=uretprobe:tail_first,cookie=11 -p walk=uretprobe:outer,cookie=12
	-p walk=uretprobe:tail_last,cookie=13)

numbers=(-p number=uprobe:leaf,cookie=1 -p number=uretprobe:leaf,cookie=2
	-p number=uprobe:down,cookie=3 -p number=uretprobe:tail_last,cookie=4)

build() { $CC "$@" -pthread -o stack "$D/stack.c" "$D/stack_odd.S"; }

build -O2 -fno-omit-frame-pointer -mno-omit-leaf-frame-pointer
judge ./stack "$O/stack.bpf.o" "${probes[@]}" "${pending[@]}" -- ./stack
judge ./stack "$O/stackid.bpf.o" "${numbers[@]}" -- ./stack
build -O2 -fno-omit-frame-pointer -rdynamic -s -static-libgcc
judge ./stack "$O/stackid.bpf.o" "${numbers[@]}" "${pending[@]/walk=/number=}" \
	-- ./stack
build -O2 -fomit-frame-pointer
judge ./stack "$O/stack.bpf.o" "${probes[@]}" -- ./stack
build -O1 -fno-omit-frame-pointer -fcf-protection -no-pie
judge ./stack "$O/stack.bpf.o" "${probes[@]}" -- ./stack

# So many sites that a program stands once: two bodies, one for push %rbp.
many=1200
{
	echo '.text'
	for ((i = 0; i < many; i++)); do
		first='nopl 0(%rax)' last=
		[ $((i % 3)) != 1 ] || first='push %rbp' last='pop %rbp;'
		echo ".globl f_$i; .type f_$i, @function; f_$i: $first;" \
			"lea $i(%rdi,%rdi,4), %eax; $last ret; .size f_$i, . - f_$i"
	done
	echo '.globl main; .type main, @function; main: push %rbp; mov %rsp, %rbp'
	for ((i = 0; i < many; i++)); do echo "call f_$i; mov %eax, %edi"; done
	echo 'xor %eax, %eax; pop %rbp; ret; .size main, . - main'
	echo '.section .note.GNU-stack, "", @progbits'
} >many.S
$CC -o many many.S
judge ./many "$O/stack.bpf.o" -p walk=uprobe:f_*,cookie=1 \
	-p build_ids=uprobe:main,cookie=2 -- ./many
