#!/usr/bin/env bash
# Every x.data beside this script: its program gives its result in all engines.
#   -- asm      as clang assembles it (v4 instructions as .quad)
#   -- mem      memory that r1 points to, r2 is its length
#   -- result   r0 in hex
. "$(dirname "$0")/../common.sh"
need clang
need llvm-objcopy-14
plugin=$BUILD/tests/bpf_plugin

part() { awk -v p="$2" '/^-- /{on = $2 == p; next} on' "$1"; }

n=0
for case in "$here"/bpf/*.data; do
	part "$case" asm >"$t/a.s"
	clang -target bpf -mcpu=v3 -c -x assembler "$t/a.s" -o "$t/a.o"
	llvm-objcopy-14 -O binary --only-section=.text "$t/a.o" "$t/a.bin"
	od -An -v -tx1 "$t/a.bin" >"$t/a.hex"
	mem=$(part "$case" mem)
	want=$(part "$case" result | tr -d ' \n')
	for engine in native inline vm; do
		got=$("$plugin" ${mem:+"$mem"} --engine=$engine <"$t/a.hex") ||
			die "$case ($engine) was refused"
		[ "$got" = "$want" ] ||
			die "$case ($engine): $got instead of $want"
		n=$((n + 1))
	done
done
[ $n -ge 60 ] || die "only $n runs"
