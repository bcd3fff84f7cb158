#!/usr/bin/env bash
# SPDX-License-Identifier: MIT
# Programs that overwrite all they may, on random instructions of random
# functions: registers, flags, stack, red zone and xmm registers come out as
# without them, and programs that see the target in different ways see the same.
#   stress.sh [SEED [ROUNDS [FUNCTIONS]]]
. "$(dirname "$0")/../common.sh"
seed=${1:-1} rounds=${2:-2} functions=${3:-120}
need python3
setarch -R true 2>/dev/null || skip "the address layout cannot be fixed"
bpf "$here/patch/stress.bpf.c"

# What is compared holds addresses; the same layout for all runs.
run() { setarch -R timeout 60 "$@"; }

# asm_app ROUND: functions, linked in another way each round, and their places.
asm_app() {
	local how=("-static -no-pie" "-pie" "-no-pie"
		"-pie -Wl,-z,pack-relative-relocs")

	python3 "$here/patch/stress.py" $((seed * 1000 + $1)) "$functions" \
		> "$t/made.S"
	# shellcheck disable=SC2086
	$CC -O1 ${how[$1 % 4]} -Wl,-z,noexecstack -o "$t/app" \
		"$here/patch/stress-run.c" "$t/made.S"
	objcopy -O binary --only-section=.marks \
		--set-section-flags .marks=alloc "$t/app" "$t/marks"
	od -An -v -t x8 -w8 "$t/marks" | tr -d ' ' > "$t/places"
	run "$t/app" > "$t/want" || die "round $1: app: exit $?"
}

# cxx_app ROUND: the same in C++, by another compiler and with other options.
cxx_app() {
	local cc=("g++ -O2" "clang++ -O2" "g++ -O0" "clang++ -O1" "g++ -O3"
		"clang++ -O3" "g++ -Os -fno-plt" "clang++ -Os")
	local link=("-no-pie -fno-pie" "-pie -fPIE" "-static -no-pie -fno-pie"
		"-pie -fPIE -fcf-protection")

	python3 "$here/patch/stress-cxx.py" $((seed * 1000 + $1)) \
		$((functions / 3)) > "$t/made.cc"
	# shellcheck disable=SC2086
	${cc[$1 % 8]} -w ${link[$1 % 4]} -o "$t/app" "$t/made.cc"
	objdump -d --no-show-raw-insn "$t/app" | awk '
		/^[0-9a-f]+ <.*>:$/ { on = $2 ~ /^<g[0-9]+(\.cold)?>:$/ }
		on && /^ +[0-9a-f]+:\t/ && $2 !~ /nop|xchg|data16|^cs$/ { sub(":", "", $1)
			print $1 }' > "$t/places"
	run "$t/app" > "$t/want" || die "round $1: C++ app: exit $?"
	run env "PUSHED=$(seq 99)" "$t/app" | cmp -s - "$t/want" ||
		die "round $1, seed $seed: the C++ app depends on garbage"
}

# sites SALT: random places at least 19 bytes apart, no window being longer
sites() {
	python3 - "$1" "$t/places" <<'END'
import random, sys
r = random.Random(int(sys.argv[1]))
last = 0
for a in sorted({int(x, 16) for x in open(sys.argv[2])}):
    if a - last >= 19 and r.random() < .6:
        print(f"{a:x}")
        last = a
END
}

# weld OUT SALT ENGINE PROG...: one program at each site, or two
weld() {
	awk -v salt="$2" -v progs="${*:4}" 'BEGIN { n = split(progs, p, " ") }
		{ k = (NR * 7 + salt) % n
		  print "-p\n" p[k + 1] "=uprobe:0x" $1
		  if (n > 1 && (NR + salt) % 5 == 0)
			print "-p\n" p[(k + 1) % n + 1] "=uprobe:0x" $1 }' \
		"$t/sites" > "$t/args"
	xargs -x -s 2000000 "$W" weld "$t/app" "$t/stress.bpf.o" \
		--engine="$3" -o "$1" < "$t/args" > "$t/log" 2> "$t/errors" ||
		die "$(head -1 "$t/errors") (seed $seed)"
	sites=$((sites + $(sed 's/.* at \([0-9]*\) sites*.*/\1/' "$t/log")))
}

# same WHAT BINARY: it prints what the original prints
same() {
	rm -f "$BPFWELD_REGION"
	run "$2" > "$t/got" || die "$1: exit $?, seed $seed, behind $(
		tail -1 "$t/got")"
	cmp -s "$t/want" "$t/got" ||
		die "$1, seed $seed: $(diff "$t/want" "$t/got" | sed -n 2p)"
}

# The sum that the programs of a region have made.
sum() {
	"$W" map dump "$1" .bss | sed -n 's/.*"sum": *\([0-9]*\).*/\1/p'
}

sites=0
for ((r = 0; r < rounds; r++)); do
	asm_app $r
	sites $((seed + r)) > "$t/sites"
	weld "$t/mixed" $r native count busy calls sum_direct sum_copied
	same "round $r, mixed" "$t/mixed"
	BPFWELD_REGION=private same "round $r, private" "$t/mixed"
	BPFWELD_REGION=off same "round $r, off" "$t/mixed"
	weld "$t/busy" $r native busy
	same "round $r, busy" "$t/busy"
	first=
	for how in "native sum_direct" "native sum_called" \
		"native sum_copied" "vm sum_direct"; do
		# shellcheck disable=SC2086
		weld "$t/sum" $r $how
		same "round $r, $how" "$t/sum"
		now=$(sum "$t/sum")
		[ "${first:=$now}" = "$now" ] ||
			die "round $r, seed $seed: $how sees $now, not $first"
	done
	[ -n "$first" ] && [ "$first" != 0 ] || die "no sum"

	cxx_app $r
	sites $((seed + r)) > "$t/sites"
	weld "$t/mixed" $r native count busy calls sum_direct sum_copied
	same "C++ round $r, mixed" "$t/mixed"
	weld "$t/busy" $r native busy
	same "C++ round $r, busy" "$t/busy"
done
echo "$sites sites welded and run, in $rounds programs"
