#!/usr/bin/env bash
# The bench runs, counts every call that it measures, and reports all rows.
. "$(dirname "$0")/../common.sh"
need python3
$CC -O2 -pthread -o $t/target $SOURCE/bench/target.c

bench() { # bench TARGET
	"$BUILD/bench" "$1" $O/rows.bpf.o $O/ops.bpf.o $W /bin/bash $O/bash_lines.bpf.o 3
}
bench $t/target > $t/json 2> $t/table || die "$(cat $t/table)"
python3 - $t/json <<'END' || die "$(cat $t/json $t/table)"
import json, sys
d = json.load(open(sys.argv[1]))
rows = [r["row"] for r in d["hits_ns"]]
assert rows == ["empty", "read arguments", "array counter", "array, no atomic",
                "hash counter", "array, 2nd thread", "ring event",
                "ring event, 2 thr.", "perf event", "return", "entry and return",
                "return, late", "usdt, 3 arguments"], rows
for r in d["hits_ns"]:
    assert 0 < r["bare"]["min"] <= r["bare"]["median"], r
    assert r["welded"]["median"] > 0 and "p25" in r["cost"], r
    assert "kernel" not in r or "ratio" in r, r
assert d["weld_ms"]["min"] > 0 and d["file_growth_bytes"] > 0
for key in "startup_us", "startup_first_us":
    assert d[key]["bare"]["min"] > 0 and "median" in d[key]["added"]
assert "median" in d["memory_added_kib"]
END
[ "$(grep -c '[0-9]\.\.' $t/table)" -ge 8 ] || die "$(cat $t/table)"

# A target that says it made one more call than it did is found out.
mkdir $t/lies
sed 's/j.calls + warming(&j))/j.calls + warming(\&j) + 1)/' \
	$SOURCE/bench/target.c > $t/lies/target.c
cmp -s $SOURCE/bench/target.c $t/lies/target.c && die "it does not lie"
$CC -O2 -pthread -o $t/lies/target $t/lies/target.c
exits 1 bench $t/lies/target > $t/json 2> $t/table
grep -q 'but there were' $t/table || die "$(cat $t/table)"
