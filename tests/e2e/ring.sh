#!/usr/bin/env bash
# SPDX-License-Identifier: MIT
# Ring buffers: records as they were written, in order, by many threads, while
# somebody reads; what does not find room is counted; whoever is killed stops
# nobody and takes no other's record along.
. "$(dirname "$0")/../common.sh"
need python3
cd "$t"
reader=
trap 'kill $reader 2>/dev/null || true; rm -rf "$t"' EXIT
cat > ring.c <<'X'
#include <pthread.h>
#include <stdlib.h>
static _Thread_local volatile long seen;
__attribute__((noinline)) void event(long thread, long n) { seen = thread + n; }
__attribute__((noinline)) void odd(long thread, long n) { seen = thread - n; }
static long each, first;
static void *run(void *thread)
{
	for (long i = 0; i < each; i++)
		event(first + (long)thread, i);
	return NULL;
}
/* ring ODDS THREADS EACH [FIRST] */
int main(int argc, char **argv)
{
	pthread_t v[64];
	long n = atol(argv[2]);
	each = atol(argv[3]);
	first = argc > 4 ? atol(argv[4]) : 0;
	for (long i = 0; i < atol(argv[1]); i++)
		odd(0, i);
	for (long i = 0; i < n; i++)
		pthread_create(&v[i], NULL, run, (void *)i);
	for (long i = 0; i < n; i++)
		pthread_join(v[i], NULL);
	return 0;
}
X
$CC -O1 -pthread -o ring ring.c

# Every record of a file of JSON lines: each thread's in order, none twice, and
# all that were refused are said to be lost.
cat > look.py <<'X'
import collections, json, sys
threads, each, first = map(int, sys.argv[2:5])
got, lost, last = collections.Counter(), 0, None
for line in open(sys.argv[1]):
    r = json.loads(line)
    if r.get("map") != "events":
        continue
    if "lost" in r:
        lost += r["lost"]
        continue
    assert last is None or r["number"] > last, r
    last = r["number"]
    v = r["formatted"]
    if not first <= v["thread"] < first + threads:
        continue
    assert v["text"] == "w", v
    assert v["n"] >= got[v["thread"]], v
    got["all"] += 1
    got[v["thread"]] = v["n"] + 1
want = threads * each
if len(sys.argv) > 5:  # the others were killed: nothing may be lost of these
    sys.exit(got["all"] != want and f"{got['all']} of {want} records")
if got["all"] + lost != want:
    sys.exit(f"{got['all']} records and {lost} lost are not {want}")
print(got["all"], "records,", lost, "lost")
X
look() { python3 look.py "$@" || die "$how: $(tail -3 "$1")"; }

# The reader has taken all that there is: nothing that a dead process began is in
# its way.
drained() {
	for _ in $(seq 100); do
		[ "$($W map list w | awk '$1 == "events" { print $6 }')" != 0 ] ||
			return 0
		sleep .1
	done
	die "$how: records are left behind"
}

for engine in native vm; do
	how=$engine
	$W weld ring "$O/ring.bpf.o" -o w --engine=$engine > log
	rm -f region
	exits 1 $W trace w --once 2> err
	grep -q 'has not run yet' err || die "$(cat err)"
	./w 20 1 3
	$W trace w --once > out
	grep -qx 'events: {"thread":0,"n":2,"text":"w"}' out || die "$(cat out)"
	[ "$(grep -c '^other:' out)" = 33 ] || die "$engine: $(grep -c ^other out)"
	grep -qx 'other: 05 00 00 00 00' out || die "$(cat out)"
	grep -q '^printk: [0-9]*/[0-9]* \[[0-9]*\] [0-9.]*: odd 19$' out
	$W map dump w .bss -j | has '"wrong":0' || die "$engine: wrong results"
	[ -z "$($W trace w events other --once)" ] || die "a record is there twice"

	# More than there is room for, and nobody reads meanwhile.
	./w 0 2 1000
	$W trace w events --once -j > out
	look out 2 1000 0
	[ "$(grep -c '"number"' out)" = 409 ] || die "room: $(grep -c number out)"
	! $W trace w events --once -j | grep lost || die "lost is told twice"

	# Somebody reads.
	$W trace w events -j > out & reader=$!
	sleep .3
	for i in 1 2 3 4 5 6; do
		./w 0 4 5000 $((i * 4 - 4))
		sleep .1
	done
	drained
	exits 1 $W trace w events --once 2> err
	grep -q 'somebody else reads ring events already' err || die "$(cat err)"
	sleep .5
	kill -INT $reader
	wait $reader || die "trace: exit $?"
	reader=
	look out 24 5000 0
	[ "$(grep -c '"number"' out)" -gt 2000 ] || die "it reads too little"

	# The region is removed, and made again.
	./w 0 1 10
	$W trace w events -j > out & reader=$!
	sleep .3
	rm "$BPFWELD_REGION"
	sleep .3
	./w 0 1 20 5
	for _ in $(seq 50); do
		[ "$(grep -c '"thread":5' out)" = 20 ] && break
		sleep .1
	done
	[ "$(grep -c '"thread":5' out)" = 20 ] || die "a new region is not read"
	kill -INT $reader
	wait $reader || die "trace: exit $?"
	reader=
done

# Writers are killed in the middle; what others write arrives.
how=kills
rm -f region
$W trace w events -j > out & reader=$!
for i in $(seq "${KILLS:-40}"); do
	./w 0 3 100000000 1000 & victim=$!
	sleep .0$((i % 5))
	kill -KILL $victim
	wait $victim 2> log || true
	[ $((i % 10)) = 0 ] || continue
	drained
	./w 0 1 200 $((i * 10))
done
drained
kill -INT $reader
wait $reader || die "trace: exit $?"
reader=
for i in $(seq 10 10 "${KILLS:-40}"); do
	look out 1 200 $((i * 10)) killed
done

# Whatever a user writes into the region: the reader ends, the program goes on.
how=damage
$W weld ring "$O/ring.bpf.o" -o w > log
rm -f region
./w 30 1 30
cp region whole
cat > damage.py <<'X'
import random, sys
r = random.Random(int(sys.argv[1]))
with open("region", "r+b") as f:
    size = f.seek(0, 2)
    for _ in range(r.randrange(1, 40)):
        f.seek(r.choice([r.randrange(4096, size), r.randrange(4096, 8192)]))
        f.write(r.choice([bytes(8), b"\xff" * 8, r.randbytes(8),
                          r.randrange(1 << 20).to_bytes(8, "little")]))
X
for i in $(seq "${DAMAGES:-60}"); do
	cp whole region
	python3 damage.py "$i"
	status=0
	timeout 10 "$W" trace w --once > out 2>&1 || status=$?
	[ $status -le 1 ] || die "damage $i: trace: exit $status"
	timeout 10 ./w 5 2 20 || die "damage $i: exit $?"
	timeout 10 "$W" map list w > out 2>&1 || [ $? = 1 ] || die "damage $i"
done

# Wrong input.
exits 1 $W trace w event --once 2> err
grep -q "no map is called 'event'.*events" err ||
	die "$(cat err)"
exits 1 $W trace w .bss --once 2> err
grep -q 'is no ring or perf buffer' err || die "$(cat err)"
exits 1 $W trace w --type evnt --once 2> err
grep -q 'there is no struct evnt' err || die "$(cat err)"
./w 3 1 2
$W trace w --type 'u64 thread' --once > out 2> err
grep -qx 'events: {"thread":0}' out || die "$(cat out)"
[ "$(grep -c '^bpfweld: events: a record has 32 bytes, of which --type says what 8 are;' \
	err)" = 1 ] || die "$(cat err)"
./w 0 1 2
$W trace w events --type event --once > out 2> err
[ ! -s err ] || die "$(cat err)"
# Two structs have a record's size: neither is taken.
cp "$SOURCE/tests/e2e/ring.bpf.c" two.bpf.c
echo 'struct other { long word[4]; } *also __attribute__((unused));' >> two.bpf.c
bpf two.bpf.c
$W weld ring two.bpf.o -o two > log
rm -f region
./two 3 1 2
$W trace two --once > out 2> err
grep -qx "bpfweld: events: 2 structs have 32 bytes; --type NAME or .*" err ||
	die "$(cat err)"
exits 2 $W trace 2> err
exits 2 $W trace two --once --type '' 2> err
grep -qx 'bpfweld: --type is empty' err || die "$(cat err)"
$W weld ring "$O/count.bpf.o" -p count=uprobe:odd -o none > log
rm -f region
./none 1 0 0
exits 1 $W trace none --once 2> err
grep -q 'has no ring or perf buffer' err || die "$(cat err)"
exits 1 $W trace none --once --type 'u64 thread' 2> err
grep -q 'has no ring or perf buffer' err || die "$(cat err)"
