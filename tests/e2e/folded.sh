#!/usr/bin/env bash
# SPDX-License-Identifier: MIT
# Call chains of processes that have ended have names: in dumps, in records and
# in lines for flame graphs, with counts from maps as tools keep them.
. "$(dirname "$0")/../common.sh"
export BPFWELD_REGION=$t/region
cd "$t"

cat >lib.c <<'END'
#define APART __attribute__((noinline, noclone))
int in_lib(int (*f)(int), int x) { return f(x) + 1; }
END
cat >app.c <<'END'
#define APART __attribute__((noinline, noclone))
int in_lib(int (*f)(int), int x);
APART int leaf(int x) { volatile int v = x; return v; }
APART int left(int x) { return leaf(x) + 1; }
APART int right(int x) { return in_lib(left, x) + leaf(x); }
int main(void)
{
	int s = 0;
	for (int i = 0; i < 3; i++)
		s += left(10);
	return s + right(5) == 0;
}
END
fp=(-O2 -fno-omit-frame-pointer -mno-omit-leaf-frame-pointer)
$CC "${fp[@]}" -shared -fPIC -o liblib.so lib.c
$CC "${fp[@]}" -o app app.c -L. -llib -Wl,-rpath,"$t"

# runs N: weld, and run so often, each at another address.  Again, where two chains
# had the same number.
runs() {
	local i j
	$W weld app "$O/folded.bpf.o" "$O/folded_ids.bpf.o" \
		-p sample=uprobe:leaf -p by_id=uprobe:leaf -o app.weld
	for ((i = 0; i < 20; i++)); do
		rm -f region
		for ((j = 0; j < $1; j++)); do ./app.weld; done
		[ "$($W map list app.weld | awk -v n=$((3 * $1)) \
			'$2 == "stack_trace" && $6 == n' | wc -l)" = 2 ] && return
	done
	die "other chains than these"
}
# Everything up to main, without what starts it.
lines() { "$W" map dump app.weld "$@" --folded | sed 's/;.*main;/;main;/'; }
is() { diff - <(lines "$@") || die "otherwise: $*"; }

runs 3
lines chains | sed 's/ [0-9]*$//' | sort -u >got
diff - got <<'END'
app;main;left;leaf
app;main;right;in_lib;left;leaf
app;main;right;leaf
END
is chains --counts by_who <<'END'
app.weld;main;left;leaf 9
app.weld;main;right;in_lib;left;leaf 3
app.weld;main;right;leaf 3
END
is chains --counts by_id <<'END'
app;main;left;leaf 9
app;main;right;in_lib;left;leaf 3
app;main;right;leaf 3
END
is chains --counts allocations <<'END'
app;main;left;leaf 90
app;main;right;in_lib;left;leaf 15
app;main;right;leaf 15
END
is by_file <<'END'
app;main;left;leaf 3
app;main;right;in_lib;left;leaf 3
app;main;right;leaf 3
END

# Names in dumps and records.
$W map dump -j app.weld chains >dump
python3 - dump <<'END' || die "dump"
import json, sys
for e in json.load(open(sys.argv[1])):
	f = e["formatted"]
	assert f["key"] == int.from_bytes(bytes(int(b, 16) for b in e["key"]), "little")
	assert f["value"][0] == "leaf+0x0 (app.weld)", f
	assert any(v.startswith("main+0x") for v in f["value"]), f
END
$W trace app.weld records --once >records
chain='\["leaf+0x0 (app.weld)","right+0x[0-9a-f]* (app.weld)","main+0x[^]]*\]'
grep -q '^records: {"arg":5,"stack_id":[0-9]*,"stack_id.chain":'"$chain"',"ustack":'"$chain"'}$' records ||
	die "records: $(cat records)"

# Chains are taken out by number, or all; then others may have their numbers.
cp region full
id=$($W map dump -j app.weld chains | python3 -c \
	'import json,sys; print(json.load(sys.stdin)[0]["formatted"]["key"])')
$W map delete app.weld chains "$id"
left() { $W map list app.weld | awk -v m="$1" '$1 == m { print $6 }'; }
[ "$(left chains)" = 8 ] || die "deleted: $(left chains) chains"
for none in "$id" 1024; do
	exits 1 $W map delete app.weld chains "$none" 2>log
	grep -q 'no such key in map chains' log || die "$none: $(cat log)"
done
$W map clear app.weld chains
[ "$(left chains)" = 0 ] || die "cleared: $(left chains) chains"
[ "$(left by_file)" != 0 ] || die "another map is empty, too"
./app.weld
[ "$(left chains)" = 3 ] || die "filled again: $(left chains) chains"
$W map clear app.weld
[ "$(left chains)" = 0 ] || die "all are cleared: $(left chains) chains"
cp full region

# What cannot be named is not guessed at.
mv liblib.so gone.so
lines chains --counts by_id | has 'app;main;right;\[liblib.so\];left;leaf 3' ||
	die "without the library: $(lines chains --counts by_id)"
$CC "${fp[@]}" -shared -fPIC -DX -Wl,--build-id=0x1234 -o liblib.so lib.c
lines chains --counts by_id | has 'app;main;right;\[liblib.so\];left;leaf 3' ||
	die "with another library"
mv gone.so liblib.so

for wrong in "by_id --folded" "chains --folded --counts nothing" \
	"chains --folded --counts nowhere" "chains --folded --counts by_pid" \
	"chains --folded --counts records" "chains --counts by_id" \
	"--folded" "chains --folded -j"; do
	if "$W" map dump app.weld $wrong >log 2>&1; then die "no error: $wrong"; fi
	[ "$(wc -l <log)" = 1 ] || die "$wrong: $(cat log)"
done

# Stripped, without build id, at a fixed address.
$CC "${fp[@]}" -rdynamic -s -o app app.c -L. -llib -Wl,-rpath,"$t"
runs 1
is chains --counts by_id <<'END'
app;main;left;leaf 3
app;main;right;in_lib;left;leaf 1
app;main;right;leaf 1
END
$CC "${fp[@]}" -no-pie -fno-pie -Wl,--build-id=none -o app app.c -L. -llib -Wl,-rpath,"$t"
runs 1
is chains --counts by_id <<'END'
app;main;left;leaf 3
app;main;right;in_lib;left;leaf 1
app;main;right;leaf 1
END
