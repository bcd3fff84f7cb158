#!/usr/bin/env bash
# SPDX-License-Identifier: MIT
# A child of vfork() has its parent's memory, and another pid.  Where it is the
# first to be asked who it is, its parent goes on to be somebody else, who is not
# taken for dead when the child is: by the reader of a ring, and by who looks for
# a CPU's values that nobody uses.
. "$(dirname "$0")/../common.sh"
need python3
reader=
trap 'kill $reader 2>/dev/null || true; rm -rf "$t"' EXIT
$CC -O2 -pthread -o $t/lent "$SOURCE/tests/e2e/lent.c"

# All that were written are read: slow ones, and fast ones of another process
# behind them.
rings() { # [lent]
	local n=10
	rm -f $t/region $t/came
	$t/lent.w ring 1 > /dev/null
	$W trace -j $t/lent.w > $t/came & reader=$!
	$t/lent.w ring $n "$@"
	for ((k = 0; k < 100; k++)); do
		[ "$(grep -c '"map":"ring"' $t/came)" -lt $((2 * n + 2 + $#)) ] || break
		sleep .1
	done
	kill $reader
	wait $reader || true
	reader=
	[ "$(grep -c '"map":"ring"' $t/came)" = $((2 * n + 2 + $#)) ] ||
		die "$engine $*: of $((2 * n + 2 + $#)) records came $(
			grep -c '"map":"ring"' $t/came)"
}

# Three who want one of two: what is not counted was missed.
sums() { # [lent]
	local one two n=20
	rm -f $t/region
	$t/lent.w sum $n "$@" & one=$!
	$t/lent.w sum $n "$@" & two=$!
	wait $one $two
	{ $W map dump -j $t/lent.w sum; $W info -j $t/lent.w; } |
		python3 -c '
import json, sys
d, end = json.JSONDecoder().raw_decode(text := sys.stdin.read())
info = json.loads(text[end:])
got = sum(v["value"] for v in d[0]["formatted"]["values"])
missed = info["region"]["lost"]
sys.exit(0 if got + missed == int(sys.argv[1]) else
         f"{got} counted, {missed} missed, of {sys.argv[1]}")' \
			$((4 * n + 2 * $#)) || die "$engine $*: lost"
}

for engine in native vm; do
	$W weld $t/lent $O/lent.bpf.o -o $t/lent.w --engine=$engine --cpus=2 \
		> $t/log
	for how in "" lent; do
		rings $how
		sums $how
	done
done
