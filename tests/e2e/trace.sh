#!/usr/bin/env bash
# SPDX-License-Identifier: MIT
# trace: a ring that is always busy starves nobody; what was not written out stays
# for the next one, whoever is killed.
. "$(dirname "$0")/../common.sh"
need python3
cd "$t"
reader= victim=
trap 'kill $reader $victim 2>/dev/null || true; rm -rf "$t"' EXIT
cat > trace.c <<'END'
#include <stdlib.h>
static volatile long seen;
__attribute__((noinline)) void often(long n) { seen = n; }
__attribute__((noinline)) void seldom(long n) { seen = -n; }
/* trace OFTEN SELDOM: so often each; trace: without an end */
int main(int argc, char **argv)
{
	for (long i = 0; argc > 1 && i < atol(argv[1]); i++)
		often(i);
	for (long i = 0; argc > 2 && i < atol(argv[2]); i++)
		seldom(i);
	for (long i = 0; argc == 1; i++) {
		often(i);
		if (i % 10000 == 0)
			seldom(i);
	}
	return 0;
}
END
$CC -O1 -o trace trace.c
$W weld trace "$O/trace.bpf.o" -o w > log

# has_all FILE: five of each that comes seldom, and a word of what was lost
has_all() {
	local what
	for what in '"map":"rare","number"' '"map":"perf","number"' '"printk":' \
		'"map":"busy","lost"'; do
		[ "$(grep -c "$what" "$1")" -ge 5 ] && continue
		[ "$what" = '"map":"busy","lost"' ] && grep -q "$what" "$1" ||
			return 1
	done
}

# A busy ring, and others, and lines.
./w & victim=$!
$W trace w -j > out & reader=$!
for _ in $(seq 300); do
	has_all out && break
	sleep .1
done
has_all out || die "the busy ring starves others: $(cut -c1-16 out | sort | uniq -c)"
kill -0 $victim || die "the program has ended"
kill -INT $reader
wait $reader || die "trace: exit $?"
reader=
# Of this there is an end, too.
timeout 60 "$W" trace w --once > out 2> err || die "trace --once: exit $?"
[ -s out ] || die "trace --once shows nothing"
kill -KILL $victim
wait $victim 2> log || true
victim=

# Nothing is lost with a reader that is killed.
./w & victim=$!
for i in $(seq "${KILLS:-25}"); do
	$W trace w -j > killed.$i & reader=$!
	for _ in $(seq 6000); do
		[ ! -s killed.$i ] || break
		sleep .01
	done
	kill -KILL $reader
	wait $reader 2> log || true
	reader=
done
kill -KILL $victim
wait $victim 2> log || true
victim=
$W trace w -j --once > killed.last
cat > look.py <<'END'
import json, sys
got = {"busy": set(), "rare": set(), "perf": set()}
first = {}
for name in sys.argv[1:]:
    for line in open(name):
        if not line.endswith("\n"):
            continue  # cut by the kill
        r = json.loads(line)
        if "number" in r:
            first.setdefault(r["map"], r["number"])
            got[r["map"]].add(r["number"])
for name, numbers in got.items():
    lacks = set(range(first[name], max(numbers) + 1)) - numbers
    if lacks:
        sys.exit(f"{name}: {len(lacks)} records lack, as {min(lacks)}")
END
# shellcheck disable=SC2046
python3 look.py $(ls -v killed.[0-9]*) killed.last
[ "$($W map list w | awk '$1 == "busy" { print $6 }')" = 0 ] ||
	die "records are left behind"

# What cannot be written stays.
count() { grep -c "$1" out || true; }
rm -f region
./w 10 10
for json in "" -j; do
	# shellcheck disable=SC2086
	exits 1 $W trace w --once $json > /dev/full 2> err
	[ "$(grep -c '^bpfweld: standard output: No space' err)" = 1 ] ||
		die "$(cat err)"
	[ "$(wc -l < err)" = 1 ] || die "$(cat err)"
done
$W trace w --once > out
for what in busy rare perf printk; do
	[ "$(count "^$what: ")" = 10 ] || die "$what: not 10 in $(cat out)"
done
[ -z "$($W trace w busy rare perf --once 2>&1)" ] || die "something is there twice"
