#!/usr/bin/env bash
# A library with text relocations is refused: the loader writes into its code,
# and so into patches.
. "$(dirname "$0")/../common.sh"
cat > $t/lib.S <<'EOF'
	.globl work
	.type work, @function
work:	movabs $work, %rax
	ret
	.size work, . - work
	.section .note.GNU-stack, "", @progbits
EOF
$CC -shared -nostdlib -Wl,-z,notext -o $t/lib.so $t/lib.S 2>/dev/null ||
	skip "the linker does not make text relocations"
readelf -d $t/lib.so | has TEXTREL || skip "no DT_TEXTREL was made"
exits 3 $W weld $t/lib.so $O/count.bpf.o -o $t/out -p count=uprobe:work \
	2> $t/said
grep -q 'text relocations' $t/said
[ "$(wc -l < $t/said)" = 1 ]
[ ! -e $t/out ]
