#!/usr/bin/env bash
# SPDX-License-Identifier: MIT
# Rings under threads, processes, signals and kills: what was written is read, or
# was refused and counted; samples are drained once, in order; nobody waits for
# the dead.  The same variables as for mapload.sh.
. "$(dirname "$0")/../common.sh"
need python3
calls=${CALLS:-40000} threads=${THREADS:-8} signals=${SIGNALS:-2000}
kills=${KILLS:-40}
end=
trap 'kill $end 2>/dev/null || true; rm -rf "$t"' EXIT
sanitize=
grep -qs '^SANITIZE:BOOL=ON' "$BUILD/CMakeCache.txt" &&
	sanitize="-fsanitize=address,undefined"

$CC -O2 -pthread -o $t/mapload $SOURCE/tests/e2e/mapload.c
# shellcheck disable=SC2086
$CC -O2 -Wall -Werror $sanitize -I$SOURCE -o $t/ringload \
	$SOURCE/tests/e2e/ringload.c $BUILD/runtime-stub/libreader.a \
	$BUILD/libelf.a -lbpf -lxxhash -lz

# What was read against what was written, by each process.
cat > $t/check.py <<'X2'
import json, subprocess, sys
weld, welded, came, killed = sys.argv[1:4] + [int(sys.argv[4])]
calls = dict(a.split("=") for a in sys.argv[5:])  # of those that lived
sent = [e["formatted"]["value"] for e in json.loads(subprocess.check_output(
    [weld, "map", "dump", "-j", welded, "sent"]))]
got, sums, lost = {}, {}, 0
for line in open(came):
    name, n, s = line.split()
    if name == "lost":
        lost = int(n)
    else:
        got[int(name)], sums[int(name)] = int(n), int(s)
for i, s in enumerate(sent):
    assert not s["bad"], s
    n = got.get(i, 0)
    if str(i) in calls:
        assert n == s["put"], (i, n, s)
        assert (sums.get(i, 0) - s["sum"]) % 2 ** 64 == 0, (i, sums[i], s)
        all = n + s["refused"] + s["discarded"]
        assert all == int(calls[str(i)]), (i, n, s, calls)
    else:
        # Each of two threads was killed between the record and its count.
        assert s["put"] <= n <= s["put"] + 2, (i, n, s)
refused = sum(s["refused"] for s in sent)
# Counted as lost, not yet as refused: those may have written nothing else.
assert refused <= lost <= refused + 2 * killed, (refused, lost, killed)
print(sum(got.values()), "records,", lost, "lost,", lost - refused, "of them by the",
      killed, "killed")
X2

# What the program has seen of N samples; the rest may be what was killed.
drained() {
	$W map dump -j $t/ringload.w .bss > $t/bss
	python3 - $t/bss "$@" <<'X2' || die "$engine: samples do not add up"
import json, sys
n, killed = int(sys.argv[2]), int(sys.argv[3])
v = {k: x for d in json.load(open(sys.argv[1]))[0]["formatted"]["value"][".bss"]
     for k, x in d.items()}
print(v)
assert v["next"] == n and not v["wrong"] and not v["errors"], v
assert v["again"] <= killed, v
if not killed:
    assert v["drained"] == n and v["sum"] == n * (n - 1) // 2, v
X2
}

begin() { # TYPE [N]
	rm -f $t/region
	$t/ringload.w $1 1 0 > /dev/null # makes the region
	$t/ringload $1 $t/ringload.w ${2:-} > $t/came & end=$!
}

# The other end has all, and is right.
finish() { # TYPE KILLED [PROCESS=CALLS...]
	local type=$1 killed=$2
	shift 2
	if [ $type = user_ring ]; then
		while kill -0 $end 2>/dev/null; do
			$t/ringload.w user_ring 4 1000 > /dev/null
		done
		wait $end || die "$engine: the producer failed"
		end=
		$t/ringload.w user_ring 1 1 > /dev/null
		drained $samples $killed
		return
	fi
	kill $end
	wait $end || die "$engine: $type: the reader failed"
	end=
	python3 $t/check.py $W $t/ringload.w $t/came $killed "$@" ||
		die "$engine: $type: records do not add up"
}

together() {
	local type=$1 one two
	begin $type $samples
	$t/ringload.w $type $threads $calls 0 1 > $t/n1 & one=$!
	LENT=1 $t/ringload.w $type 2 $calls $signals 2 > $t/n2 & two=$!
	wait $one || die "$engine: $type: the first process failed"
	wait $two || die "$engine: $type: the second process failed"
	finish $type 0 1=$(cat $t/n1) 2=$(cat $t/n2)
}

killed() {
	local type=$1 one victim k
	# Enough to be drained all the time.
	[ -z "$samples" ] || samples=$((samples + kills * 10000))
	begin $type $samples
	$t/ringload.w $type 2 $((calls * 4)) 1000 1 > $t/n1 & one=$!
	for ((k = 0; k < kills / 3 + 1; k++)); do
		$t/ringload.w $type 2 1000000000 0 $((k + 3)) > /dev/null & victim=$!
		sleep 0.00$((RANDOM % 10))$((RANDOM % 10))
		kill -9 $victim
		wait $victim 2>/dev/null || true
	done
	wait $one || die "$engine: $type: failed while others were killed"
	timeout 60 $t/ringload.w $type 4 1000 0 2 > $t/n2 ||
		die "$engine: $type: nothing goes on after the kills"
	finish $type $k 1=$(cat $t/n1) 2=$(cat $t/n2)
}

for engine in ${ENGINES:-native vm}; do
	$W weld $t/mapload $O/ringload.bpf.o -o $t/ringload.w \
		--engine=$engine > $t/log
	for type in ${TYPES:-ringbuf perf user_ring}; do
		samples=
		[ $type != user_ring ] || samples=$((calls * 2))
		together $type
		killed $type
		echo "$engine: $type, $SECONDS s"
	done
done
