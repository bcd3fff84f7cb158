#!/usr/bin/env bash
# SPDX-License-Identifier: MIT
# NAME.in.S is welded as its first line says; the patched function f and its
# trampoline f.weld must be what NAME.out.S assembles to.  Compared are
# disassemblies: branches by their targets, RIP-relative operands by being such.
# fail-NAME.in.S must be refused with the words of its second line.
. "$(dirname "$0")/../common.sh"
need objdump

bpf "$here/patch/progs.bpf.c"

# addr FILE SYMBOL, size FILE SYMBOL (a trampoline's name may hold a +)
addr() { nm -S "$1" | awk -v s="$2" '$NF == s { print "0x" $1 }'; }
size() { nm -S "$1" | awk -v s="$2" '$NF == s { print "0x" $2 }'; }

# code FILE FROM SIZE TRAMPOLINE: instructions without addresses; the
# trampoline's symbol is called f.weld in them
code() {
	objdump -d --no-show-raw-insn --start-address=$(($2)) \
		--stop-address=$(($2 + $3)) "$1" |
		sed -n 's/^ *[0-9a-f]*:\t//p' |
		sed -E 's/ *#.*//; s/-?0x[0-9a-f]+\(%rip\)/X(%rip)/
			s/^((cs )*call|j[a-z]+) +[0-9a-f]+ /\1 /
			s/ +/ /g; s/ +$//; /^call/ s/ .*//' |
		sed "s/<$4/<f.weld/"
}

same() {
	diff -u --label "$1.out.S" --label welded "$t/want" "$t/got" || die "$1"
}

# The probe: "prog=spec", from `/* probe: ... */`
probes() {
	sed -n '1s|^/\* probe: \(.*\) \*/|\1|p' "$1" | tr ' ' '\n' |
		sed 's/^/-p /'
}

# exec-NAME is linked at a fixed address, the others anywhere.
build() {
	case $1 in
	*/exec-*) set -- "$1" -no-pie -Wl,-Ttext=0x401000 ;;
	*) set -- "$1" -pie ;;
	esac
	$CC -nostdlib -Wl,-e,f -o "$t/in" "$@"
}

pair() {
	local name=$1 want tramp
	build "$here/patch/$name.in.S"
	# shellcheck disable=SC2046 # one word each
	$W weld "$t/in" "$t/progs.bpf.o" -o "$t/out" \
		$(probes "$here/patch/$name.in.S") > "$t/log"
	$CC -c -o "$t/want.o" "$here/patch/$name.out.S"
	# Of a site inside f, the trampoline is called f.weld+0xOFFSET.  In
	# want.o it stands behind f.
	want=$(addr "$t/want.o" f.weld)
	tramp=$(nm "$t/out" | awk '$3 ~ /^f\.weld/ { print $3 }')
	code "$t/want.o" 0 "$want" f.weld > "$t/want"
	code "$t/out" "$(addr "$t/out" f)" "$want" "$tramp" > "$t/got"
	same "$name"
	code "$t/want.o" "$want" 4096 f.weld > "$t/want"
	code "$t/out" "$(addr "$t/out" "$tramp")" "$(size "$t/out" "$tramp")" \
		"$tramp" > "$t/got"
	same "$name"
	echo "ok $name"
}

refused() {
	local name=$1 want
	want=$(sed -n '2s|^/\* \(.*\) \*/|\1|p' "$here/patch/$name.in.S")
	build "$here/patch/$name.in.S"
	# shellcheck disable=SC2046
	exits 4 $W weld --strict "$t/in" "$t/progs.bpf.o" -o "$t/out" \
		$(probes "$here/patch/$name.in.S") 2> "$t/log"
	grep -qF -- "$want" "$t/log" || die "$name: $(cat "$t/log")"
	echo "ok $name: $want"
}

for in in "$here"/patch/*.in.S; do
	name=$(basename "$in" .in.S)
	case $name in
	fail-*) refused "$name" ;;
	*) pair "$name" ;;
	esac
done
