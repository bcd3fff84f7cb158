#!/usr/bin/env bash
# SPDX-License-Identifier: MIT
# NAME.in.S is welded as its first line says; the patched function f and its
# trampoline f.weld must be what NAME.out.S assembles to.  Compared are
# disassemblies: branches by their targets, RIP-relative operands by being such.
# fail-NAME.in.S must be refused with the words of its second line.
. "$(dirname "$0")/../common.sh"
need objdump

bpf "$here/patch/progs.bpf.c"

# code FILE TRAMPOLINE OBJDUMP-OPTION...: instructions without addresses; the
# trampoline's symbol is called f.weld in them
code() {
	objdump -d --no-show-raw-insn "${@:3}" "$1" |
		sed -n 's/^ *[0-9a-f]*:\t//p' |
		sed -E 's/ *#.*//; s/-?0x[0-9a-f]+\(%rip\)/X(%rip)/
			s/^(call|j[a-z]+) +[0-9a-f]+ /\1 /
			s/ +/ /g; s/ +$//; /^call/ s/ .*//' |
		sed "s/<$2/<f.weld/"
}

# Of a site inside f, the trampoline is called f.weld+0xOFFSET: objdump has no
# way to ask for a symbol of such a name.
trampoline() {
	nm -S "$1" | sed -n "s/^\([^ ]*\) \([^ ]*\) . \(f\.weld.*\)/\1 \2 \3/p"
}

# The probe: "prog=spec", from `/* probe: ... */`
probes() {
	sed -n '1s|^/\* probe: \(.*\) \*/|\1|p' "$1" | tr ' ' '\n' |
		sed 's/^/-p /'
}

build() { $CC -nostdlib -pie -Wl,-e,f -o "$t/in" "$1"; }

pair() {
	local name=$1
	build "$here/patch/$name.in.S"
	# shellcheck disable=SC2046 # one word each
	$W weld "$t/in" "$t/progs.bpf.o" -o "$t/out" \
		$(probes "$here/patch/$name.in.S") > "$t/log"
	$CC -c -o "$t/want.o" "$here/patch/$name.out.S"
	read -r at size tramp < <(trampoline "$t/out")
	code "$t/out" "$tramp" --disassemble=f > "$t/got.f"
	code "$t/out" "$tramp" --start-address=0x$at \
		--stop-address=$((0x$at + 0x$size)) > "$t/got.f.weld"
	for f in f f.weld; do
		code "$t/want.o" f.weld --disassemble=$f > "$t/want"
		[ -s "$t/want" ] || die "$name.out.S has no $f"
		diff -u --label "$name.out.S" --label "welded $f" \
			"$t/want" "$t/got.$f" || die "$name"
	done
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
