#!/usr/bin/env bash
# SPDX-License-Identifier: MIT
# Every type of map under threads, processes, signals and kills: sums are exact,
# no value is torn, nobody waits for the dead.
#   CALLS=10000000 THREADS=8 SIGNALS=100000 KILLS=1000: for soak runs
#   ENGINES=vm TYPES="lpm stack_trace": only those
. "$(dirname "$0")/../common.sh"
need python3
calls=${CALLS:-40000} threads=${THREADS:-8} signals=${SIGNALS:-2000}
kills=${KILLS:-40}

# Frame pointers everywhere, and the same addresses in all processes: for chains.
$CC -O2 -pthread -fno-omit-frame-pointer -fcf-protection=none \
	-no-pie -o $t/mapload $SOURCE/tests/e2e/mapload.c

# check TYPE LEAST [MOST]: what the maps say after so many calls
cat > $t/check.py <<'X'
import json, subprocess, sys
weld, welded, kind = sys.argv[1:4]
kills, least, most = map(int, sys.argv[4:])
inner = {"array_of_maps": ["counts_even", "counts_odd"],
         "hash_of_maps": ["table_one", "table_two"]}
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
elif kind == "bloom":
    # Each value was asked for by bloom_look, and is counted here.
    t, look = tally(6), tally(7)
    put = sum(bin(e["value"]).count("1") for e in dump("bloom_put"))
    within("calls", t["calls"])
    assert not t["bad"], t
    assert look["put"] == look["got"] == put, (look, put)
    assert look["bad"] * 20 <= 2 ** 20 - put, look
elif kind == "stack_trace":
    def ways(name):
        way = {}
        for e in dump(name):
            names = [f.split("+")[0] for f in e["value"]]
            way[e["key"]] = sum(names[3 - n] == f"way_{n}1" and 1 << n
                                for n in range(3))
            want = ["op_stack_trace"] + [f"way_{n}{way[e['key']] >> n & 1}"
                                         for n in (2, 1, 0)] + ["ways"]
            assert names == want, (e, want)
        return way
    way, counts, t = ways("chains"), dump("stack_trace"), tally(8)
    ways("reused")
    assert len(way) == len(counts) == 8, (way, counts)
    for e in counts:
        assert way[e["key"]["id"]] == e["key"]["way"], (e, way)
    within("sum", sum(e["value"] for e in counts))
    assert not t["bad"], t
elif kind == "prog_array":
    t = [tally(n) for n in range(10, 14)]
    within("calls", sum(n["put"] for n in t))
    ran = [n["put"] for n in t]
    ran[0] += ran[3]
    for n in range(4):
        # A run that was killed has counted its beginning.
        few = least < most and kills * 16
        assert ran[n] - few <= t[n]["got"] <= ran[n], (n, t)
        assert not t[n]["bad"], t
else:
    assert not any(tally(n)["bad"] for n in (4, 5, 9))
    elems = sum(map(dump, inner.get(kind, [kind])), [])
    if kind == "lpm":
        elems = [e for e in elems if e["key"]["bits"] == 8]
    within("sum", sum(total(e) for e in elems))
    t = tally(9)
    for name, n in zip(inner.get(kind, []), (t["put"], t["got"])):
        over = sum(map(total, dump(name))) - n
        assert 0 <= over <= (least < most and kills), (name, over, t)
X
check() {
	[ "$1" != bloom ] || $t/mapload.w bloom_look 1 $((1 << 20)) > /dev/null
	python3 $t/check.py $W $t/mapload.w "$1" "$kills" "$2" "${3:-$2}" ||
		die "$engine: $1 does not add up"
}
lost() { $W info -j $t/mapload.w | python3 -c '
import json, sys
print(sum(p["misses"] for p in json.load(sys.stdin)["probes"]))'; }

types="array percpu_array hash percpu_hash lru_hash lru_percpu_hash lpm queue
	stack lru churn bloom stack_trace array_of_maps hash_of_maps prog_array"

# Two processes, one of which is not who was the first in its memory; and signals
# that come while one is in there.
together() {
	local type=$1 one two
	rm -f $t/region
	$t/mapload.w $type $threads $calls > $t/n1 & one=$!
	LENT=1 $t/mapload.w $type 2 $calls $signals > $t/n2 & two=$!
	wait $one || die "$engine: $type: the first process failed"
	wait $two || die "$engine: $type: the second process failed"
	check $type $(($(cat $t/n1) + $(cat $t/n2)))
	[ "$(lost)" = 0 ] || die "$engine: $type: hits were missed"
}

# Killed at any instant, while another one goes on.
killed() {
	local type=$1 one victim k
	rm -f $t/region
	$t/mapload.w $type 2 $((calls * 4)) 1000 > $t/n1 & one=$!
	for ((k = 0; k < kills / 16 + 1; k++)); do
		$t/mapload.w $type 2 1000000000 > /dev/null & victim=$!
		sleep 0.00$((RANDOM % 10))$((RANDOM % 10))
		kill -9 $victim
		wait $victim 2>/dev/null || true
	done
	wait $one || die "$engine: $type: failed while others were killed"
	timeout 60 $t/mapload.w $type 4 1000 > $t/n2 ||
		die "$engine: $type: nothing goes on after the kills"
	check $type $(($(cat $t/n1) + $(cat $t/n2))) $((1 << 62))
}

for engine in ${ENGINES:-native vm}; do
	$W weld $t/mapload $O/mapload.bpf.o -o $t/mapload.w --engine=$engine \
		> $t/log
	for type in ${TYPES:-$types}; do
		together $type
		killed $type
		echo "$engine: $type, $SECONDS s"
	done
done
