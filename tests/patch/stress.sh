#!/usr/bin/env bash
# SPDX-License-Identifier: MIT
# Programs that overwrite all they may, on random instructions of random
# functions, on all of their instructions at once, and where they return:
# registers, flags, stack, red zone and xmm registers come out as without them,
# and programs that see the target in different ways see the same.
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

# returns PATTERN PROG...: of all functions, # being a number's last digit
returns() {
	local pattern=$1 f; shift
	for f in {0..9}; do
		printf -- '-p\n%s=uretprobe:%s\n' "$1" "${pattern/\#/$f}"
		set -- "${@:2}" "$1"
	done
}

# weld OUT SALT ENGINE PROG...: one program at each site, or two; and what
# $t/returns has
weld() {
	awk -v salt="$2" -v progs="${*:4}" 'BEGIN { n = split(progs, p, " ") }
		{ k = (NR * 7 + salt) % n
		  print "-p\n" p[k + 1] "=uprobe:0x" $1
		  if (n > 1 && (NR + salt) % 5 == 0)
			print "-p\n" p[(k + 1) % n + 1] "=uprobe:0x" $1 }' \
		"$t/sites" | cat - "$t/returns" > "$t/args"
	xargs -x -s 2000000 "$W" weld "$t/app" "$t/stress.bpf.o" \
		--engine="$3" -o "$1" < "$t/args" > "$t/log" 2> "$t/errors" ||
		die "$(head -1 "$t/errors") (seed $seed)"
	sites=$((sites + $(sed 's/.*: \([0-9]*\) probes* .*/\1/' "$t/log")))
}

# same WHAT BINARY [ARG]: it prints what the original prints
same() {
	rm -f "$BPFWELD_REGION"
	run "$2" "${@:3}" > "$t/got" || die "$1: exit $?, seed $seed, behind $(
		tail -1 "$t/got")"
	cmp -s "$t/want" "$t/got" ||
		die "$1, seed $seed: $(diff "$t/want" "$t/got" | sed -n 2p)"
}

# The sum that the programs of a region have made.
sum() {
	"$W" map dump "$1" .bss | sed -n 's/.*"sum": *\([0-9]*\).*/\1/p'
}

# agree WHAT SALT PATTERN [ARG]: all ways to see the target see the same.  What
# setjmp leaves in registers is random, so C++ is left out.
agree() {
	local first= how now
	[[ $1 != C++* ]] || return 0
	for how in "native sum_direct" "native sum_called" \
		"native sum_copied" "vm sum_direct"; do
		[ -z "$3" ] || returns "$3" "${how#* }" > "$t/returns"
		# shellcheck disable=SC2086
		weld "$t/sum" "$2" $how
		same "$1, $how" "$t/sum" "${@:4}"
		now=$(sum "$t/sum")
		[ "${first:=$now}" = "$now" ] ||
			die "$1, seed $seed: $how sees $now, not $first"
	done
	[ -n "$first" ] && [ "$first" != 0 ] || die "no sum"
}
all=(count busy calls sum_direct sum_copied)

# stress WHAT ROUND PATTERN [ARG]: in every way.  The ARG is for the runs with
# return probes.
stress() {
	local what=$1 r=$2 pattern=$3
	: > "$t/returns"
	sites $((seed + r)) > "$t/sites"
	weld "$t/mixed" "$r" native "${all[@]}"
	same "$what, mixed" "$t/mixed"
	BPFWELD_REGION=private same "$what, private" "$t/mixed"
	BPFWELD_REGION=off same "$what, off" "$t/mixed"
	weld "$t/busy" "$r" native busy
	same "$what, busy" "$t/busy"
	agree "$what" "$r" ""

	cp "$t/places" "$t/sites"
	weld "$t/every" "$r" native "${all[@]}"
	same "$what, every instruction" "$t/every"
	weld "$t/every" "$r" native busy
	same "$what, every instruction, busy" "$t/every"
	agree "$what, every instruction" "$r" ""

	run "$t/app" "${@:4}" > "$t/want"
	returns "$pattern" "${all[@]}" > "$t/returns"
	weld "$t/every" "$r" native "${all[@]}"
	same "$what, every instruction and return" "$t/every" "${@:4}"
	agree "$what, every instruction and return" "$r" "$pattern" "${@:4}"
	: > "$t/sites"
	returns "$pattern" busy calls > "$t/returns"
	weld "$t/every" "$r" native busy
	same "$what, every return" "$t/every" "${@:4}"
	agree "$what, every return" "$r" "$pattern" "${@:4}"
}

sites=0
for ((r = 0; r < rounds; r++)); do
	asm_app $r
	stress "round $r" $r 'f*#' returns
	cxx_app $r
	stress "C++ round $r" $r 'g*#'
done
echo "$sites probes welded and run, in $rounds programs"
