#!/usr/bin/env bash
# Every kind of x86-64 file that compilers and linkers here make: welded at a
# named function, it prints what it did before and counts exactly.
. "$(dirname "$0")/../common.sh"
src=$SOURCE/samples/count.c
n=0

try() { # NAME COMPILER FLAGS...
	local name=$1 cc=$2; shift 2
	command -v "$cc" >/dev/null || { echo "skipped: $name: no $cc"; return; }
	"$cc" "$@" -o "$t/$name" "$src" || die "$name does not compile"
	rm -f "$t/region"
	$W weld "$t/$name" "$O/count.bpf.o" -o "$t/$name.weld" \
		-p count=uprobe:work >/dev/null
	[ "$("$t/$name.weld")" = "$("$t/$name")" ] || die "$name: other output"
	$W map lookup "$t/$name.weld" calls 0 | has -w 1000 ||
		die "$name: $($W map lookup "$t/$name.weld" calls 0)"
	n=$((n + 1))
}

for cc in gcc clang; do
	for o in -O0 -O1 -O2 -O3 -Os; do
		try $cc$o $cc $o
	done
	try $cc-nopie $cc -O2 -no-pie -fno-pie
	try $cc-static $cc -O2 -static
	try $cc-static-pie $cc -O2 -static-pie -fPIE
	try $cc-lld $cc -O2 -fuse-ld=lld
	try $cc-cet $cc -O2 -fcf-protection=full -Wl,-z,ibt,-z,shstk
	try $cc-relr $cc -O2 -Wl,-z,pack-relative-relocs
	try $cc-gold $cc -O2 -fuse-ld=gold
	try $cc-2mib $cc -O2 -Wl,-z,max-page-size=0x200000
done
try gcc-nounwind gcc -O2 -fno-asynchronous-unwind-tables -fno-unwind-tables
try gcc-patchable gcc -O2 -fpatchable-function-entry=5
try musl musl-gcc -O2
try musl-static musl-gcc -O2 -static
try g++ g++ -O2 -x c++ -include \
	"$SOURCE/tests/e2e/extern-c.h"
echo "$n kinds"

# Stripped: the function is known by its address only.
$CC -O2 -o $t/s $src
at=$(nm $t/s | awk '$3 == "work" { print $1 }')
strip $t/s
rm -f $t/region
$W weld $t/s $O/count.bpf.o -o $t/s.weld -p count=uprobe:0x$at
$t/s.weld >/dev/null
$W map lookup $t/s.weld calls 0 | has -w 1000

# What the program begins with is not called: what lies on the stack there is
# argc, not a return address, and the program gets to see it.
cat > $t/argc.S <<'S'
	.macro func name
	.skip 16, 0x90
	.globl \name
	.type \name, @function
\name:
	.endm
	func _start
	xor %ebp, %ebp
	jmp begin
	func begin
	call add
	jmp finish
	func finish
	mov (%rsp), %rdi
	add %rax, %rdi
	mov $60, %eax
	jmp leave
	func leave
	syscall
	func add
	mov $40, %eax
	jmp last
	func last
	ret
S
$CC -nostdlib -static -o $t/argc $t/argc.S
$W weld -v $t/argc $O/count.bpf.o -o $t/argc.weld \
	-p 'count=uretprobe:*' > $t/log 2>&1
status=0
$t/argc.weld a b c || status=$?
[ $status = 44 ] || die "argc: exit status $status: $(cat $t/log)"
for name in _start begin finish; do
	grep -q "$name+0x0 is not placed: .* not entered by a call" $t/log ||
		die "argc: $(cat $t/log)"
done

# Neither symbols nor unwind tables: functions are found from where the program
# begins.  Where nothing is found, that is said.
cat > $t/bare.s <<'S'
	.globl _start
_start:	call work
	mov %eax, %edi
	mov $60, %eax
	call leave
	hlt
work:	xor %eax, %eax
	add $7, %eax
	ret
	.balign 16
leave:	syscall
	hlt
S
$CC -nostdlib -static -s -o $t/bare $t/bare.s
rm -f $t/region
[ "$($W list $t/bare | grep -c ' calls ')" = 3 ] || die "$($W list $t/bare)"
$W weld -v $t/bare $O/entries.bpf.o -o $t/bare.weld -p 'entry=uprobe:*' \
	-p 'entry=uretprobe:*' > $t/log 2>&1
exits 7 $t/bare.weld
$W map dump $t/bare.weld hits > $t/hits
at=$($W list $t/bare | sed -n 2p | cut -d' ' -f1)
grep -q "$((at))" $t/hits || die "work was not counted: $(cat $t/hits)"
grep -q "fn_.*+0x0 is not placed: .* not entered by a call" $t/log ||
	die "bare: $(cat $t/log)"
printf '.globl _start\n_start: .byte 6\n' |
	$CC -nostdlib -static -s -o $t/none -xassembler -
$W list $t/none > $t/out 2> $t/log
[ ! -s $t/out ] && [ "$(cat $t/log)" = "bpfweld: $t/none: the file has \
neither symbols nor unwind tables, and no function was found by its code" ] ||
	die "$(cat $t/out $t/log)"
for p in 'uprobe:*' uprobe:0x401000; do
	exits 1 $W weld $t/none $O/count.bpf.o -o $t/no -p "count=$p" \
		2>&1 | has 'neither symbols nor unwind tables' || die "$p"
done
