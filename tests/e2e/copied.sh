#!/usr/bin/env bash
# V8's builtins run from a copy, where a relative jump would lead nowhere: they
# are refused by name, their neighbours are not.
. "$(dirname "$0")/../common.sh"
cat > $t/v8.S <<'EOF'
	.globl v8_Default_embedded_blob_code_, Builtins_Add, work, main
	.type Builtins_Add, @function
	.type work, @function
	.type main, @function
v8_Default_embedded_blob_code_:
Builtins_Add:
	lea 0(%rdi, %rsi), %eax
	add $1, %eax
	ret
	.size Builtins_Add, . - Builtins_Add
work:	lea 0(%rdi, %rsi), %eax
	add $1, %eax
	ret
	.size work, . - work
main:	xor %eax, %eax
	ret
	.section .note.GNU-stack, "", @progbits
EOF
$CC -o $t/v8 $t/v8.S
exits 4 $W weld $t/v8 $O/count.bpf.o -p count=uprobe:Builtins_Add -o $t/out \
	2> $t/said
grep -q 'V8 runs a copy of Builtins_Add' $t/said || die "$(cat $t/said)"
[ ! -e $t/out ]
$W weld $t/v8 $O/count.bpf.o -p count=uprobe:work -o $t/out > $t/log
$t/out
