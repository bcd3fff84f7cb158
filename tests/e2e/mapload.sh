#!/usr/bin/env bash
# SPDX-License-Identifier: MIT
# Every type of map under threads, processes, signals and kills: sums are exact,
# no value is torn, nobody waits for the dead.
#   CALLS=10000000 THREADS=8 SIGNALS=100000 KILLS=1000: for soak runs
. "$(dirname "$0")/../common.sh"
need python3
calls=${CALLS:-40000} threads=${THREADS:-8} signals=${SIGNALS:-2000}
kills=${KILLS:-40}

$CC -O2 -pthread -o $t/mapload $SOURCE/tests/e2e/mapload.c
$W weld $t/mapload $O/mapload.bpf.o -o $t/mapload.w > /dev/null

# check TYPE LEAST [MOST]: what the maps say after so many calls
cat > $t/check.py <<'X'
import json, subprocess, sys
weld, welded, kind, least, most = sys.argv[1:]
least, most = int(least), int(most)
def dump(name):
    d = json.loads(subprocess.check_output([weld, "map", "dump", "-j",
                                            welded, name]))
    return [e["formatted"] for e in d]
def total(value):  # of all CPUs
    if "values" in value:
        return sum(v["value"] for v in value["values"])
    return value["value"]
def tally(at):
    sums = {}
    for e in dump("tally"):
        if e["key"] == at:
            for v in e["values"]:
                for k, n in v["value"].items():
                    sums[k] = sums.get(k, 0) + n
    return sums
def within(what, n):
    assert least <= n <= most, f"{kind}: {what} {n}, not {least}..{most}"
def whole(v):
    m = (1 << 64) - 1
    assert v["b"] == v["a"] ^ m and v["c"] == v["a"] * 3 & m, v
if kind in ("queue", "stack"):
    t = tally(0 if kind == "queue" else 1)
    left = [e["value"] for e in dump(kind)]
    for v in left: whole(v)
    assert not t["bad"], t
    if least == most:
        assert t["put"] - t["got"] == len(left), (t, len(left))
        m = (1 << 64) - 1
        rest = sum(v["a"] for v in left)
        assert (t["put_sum"] - t["got_sum"] - rest) & m == 0, t
elif kind == "lru":
    t = tally(2)
    within("calls", t["calls"])
    assert not t["bad"] and len(dump("lru")) <= 64 and t["got"], t
elif kind == "churn":
    t = tally(3)
    left = dump("churn")
    for e in left: whole(e["value"])
    if least == most:
        assert t["put"] - t["got"] == len(left), (t, len(left))
else:
    assert not tally(4)["bad"] and not tally(5)["bad"]
    elems = dump(kind)
    if kind == "lpm":
        elems = [e for e in elems if e["key"]["bits"] == 8]
    within("sum", sum(total(e) for e in elems))
X
check() { python3 $t/check.py $W $t/mapload.w "$1" "$2" "${3:-$2}" ||
	die "$1 does not add up"; }
lost() { $W info -j $t/mapload.w | python3 -c '
import json, sys
print(sum(p["misses"] for p in json.load(sys.stdin)["probes"]))'; }

for type in array percpu_array hash percpu_hash lru_hash lru_percpu_hash lpm \
	queue stack lru churn; do
	rm -f $t/region
	$t/mapload.w $type $threads $calls > $t/n1 & one=$!
	$t/mapload.w $type 2 $calls $signals > $t/n2 & two=$!
	wait $one || die "$type: the first process failed"
	wait $two || die "$type: the second process failed"
	check $type $(($(cat $t/n1) + $(cat $t/n2)))
	[ "$(lost)" = 0 ] || die "$type: hits were missed"
done

# Killed at any instant, while another one goes on.
for type in percpu_array hash percpu_hash lru_percpu_hash lpm queue stack lru churn
do
	rm -f $t/region
	$t/mapload.w $type 2 $((calls * 4)) 1000 > $t/n1 & one=$!
	for ((k = 0; k < kills / 9 + 1; k++)); do
		$t/mapload.w $type 2 1000000000 > /dev/null & victim=$!
		sleep 0.00$((RANDOM % 10))$((RANDOM % 10))
		kill -9 $victim
		wait $victim 2>/dev/null || true
	done
	wait $one || die "$type: a process failed while others were killed"
	timeout 60 $t/mapload.w $type 4 1000 > $t/n2 ||
		die "$type: nothing goes on after the kills"
	check $type $(($(cat $t/n1) + $(cat $t/n2))) $((1 << 62))
done
