#!/usr/bin/env bash
# SPDX-License-Identifier: MIT
# LIBBPF_PIN_BY_NAME: different welded programs count into one map, and what one
# wrote the other reads; whoever cannot have the map's file counts alone, and the
# file stays as it was.
#   KILLS=10000 THREADS=8 EACH=1000000: for soak runs
. "$(dirname "$0")/../common.sh"
cd "$t"
E=$SOURCE/tests/e2e
threads=${THREADS:-8} each=${EACH:-50000} kills=${KILLS:-200}
probes="-p add=uprobe:work -p look=uprobe:ask -p tell=uprobe:event"
reader=
trap 'kill $reader 2>/dev/null || true; rm -rf "$t"' EXIT

mkdir r
export BPFWELD_REGION=$t/r/one
with() { echo "$t/r/$1"; } # the region of a program

$CC -O2 -pthread -o one $E/pin.c
$CC -O1 -pthread -o two $E/pin.c
bpf $E/pin.bpf.c -DOTHER && mv pin.bpf.o other.bpf.o
$W weld one $O/pin.bpf.o -o one.w $probes > log
grep -qx 'map shared is shared with other welds (pinned)' log || die "$(cat log)"
[ "$(grep -c '^map .*pinned' log)" = 7 ] || die "$(cat log)"
$W weld one $O/pin.bpf.o -o log.w $probes -j |
	has '"pinned":\["shared","sums","recent"' || die "weld -j"
$W weld two other.bpf.o -o two.w $probes --engine=vm > log

run() { BPFWELD_REGION=$(with $1) ./$1.w "${@:2}"; }
w() { # PROGRAM COMMAND ARGUMENTS...: bpfweld on its file
	BPFWELD_REGION=$(with $1) $W ${2/_/ } $1.w "${@:3}"
}
sum() { # PROGRAM MAP: of all values
	w $1 map_dump $2 | sed -n 's/.*"value": \([0-9]*\).*/\1/p' |
		awk '{ s += $1 } END { print s + 0 }'
}
is() { # PROGRAM MAP N [WHAT]
	[ "$(sum $1 $2)" = "$3" ] || die "${4:-}: $1: $2 has $(sum $1 $2), not $3"
}
forget() { rm -rf r; mkdir r; }
row() { w $1 map_list | awk -v m=$2 '$1 == m'; }

# Before anything has run.
w one info | has -x "  pinned   $t/r/pin-shared ([0-9]* bytes, not there yet)" ||
	die "$(w one info)"
[[ "$(row one shared)" == *'-  pinned' ]] || die "$(row one shared)"

# One writes, the other reads.
run one add 1 64
run two ask 5
w two map_dump .bss | has '"answer": 1$' ||
	w two map_dump .bss | has '"answer": 1,' || die "$(w two map_dump .bss)"
is two shared 64; is two sums 64; is two mine 0; is one mine 64
run two add 1 128
run one ask 5
w one map_dump .bss | has '"answer": 3' || die "$(w one map_dump .bss)"
is one shared 192; is one sums 192; is one mine 64
w one map_lookup shared 63 | has '"value": 3' || die "lookup"
w one info | has -x "  pinned   $t/r/pin-shared ([0-9]* bytes)" || die "info"
w one info -j | has '"path":"[^"]*/pin-shared","bytes":[0-9]*,"exists":true' ||
	die "$(w one info -j)"
[[ "$(row one shared)" == *' 64  pinned' ]] || die "$(row one shared)"
[ "$(stat -c %a r/pin-shared)" = 600 ] || die "its mode"
run one tell 7 3
[ "$(w two map_dump first | tr -dc '0-9,')" = 0,1,2 ] || die "queue"
[ "$(w two map_dump last | tr -dc '0-9,')" = 2,1,0 ] || die "stack"
is two routes 3; is two recent 21

# The region's file is not the map's: each is forgotten for itself.
rm r/one; run one add 1 64; is one mine 64; is one shared 256
rm r/pin-shared; is one shared 0 "no file"; is one sums 256
w one info | has 'pin-shared.*not there yet' || die "info without a file"
run two add 1 10; is one shared 10; is one sums 266
forget

# Threads and processes at once, from the start.
for i in 1 2 3; do
	run one add $threads $each & a=$!
	run two add $threads $each & b=$!
	wait $a $b
	is two shared $((2 * i * threads * each)) "at once"
	is one sums $((2 * i * threads * each)); is two mine $((i * threads * each))
done
forget
run one fork 1000
run two ask 0
is two shared 2000 fork
forget

# All threads come to the first probe at once; the library has no DT_INIT.
$CC -O2 -DWORK -shared -fPIC -nostartfiles -o lib.so $E/pin.c
$W weld lib.so $O/pin.bpf.o -o lib.w -p add=uprobe:work > log
for i in $(seq 60); do
	BPFWELD_REGION=$(with lib) ./one load ./lib.w 8 200
	is lib mine 1600 "first hits, round $i"
	is lib shared 1600 "first hits, round $i"
	forget
done

# Where threads are short of descriptors, one may get the file and another not:
# they agree all the same, and no hit goes to another map than the next one (who
# waits in vain for another thread to map the file loses some).
mixed=0
for i in $(seq 60); do
	(ulimit -n $((5 + i % 3)); BPFWELD_REGION=$(with lib) ./one load ./lib.w 8 200)
	if [ -e r/lib ]; then
		mine=$(sum lib mine)
		for map in shared sums; do
			n=$(sum lib $map)
			[ $n = 0 ] || [ $n = $mine ] || [ $mine = 0 ] ||
				die "few descriptors, round $i: $map has $n, not $mine"
		done
		[ $mine = 0 ] || [ "$(sum lib shared)" = $mine ] ||
			mixed=$((mixed + 1))
	fi
	forget
done
forget_default $($W info lib.w | awk '/weld id/ { print $3 }')
echo "few descriptors: $mixed with a region but not all maps"

# Killed at any instant of their start, with both files to be made: what is
# there afterwards is whole, and is used.
mkdir -p k
$W weld one $O/pin.bpf.o -o a.w -p add=uprobe:work > log
bpf $E/pin.bpf.c -DOTHER && $W weld two pin.bpf.o -o b.w -p add=uprobe:work > log
cat > kills.py <<'X'
import os, random, signal, subprocess, sys, time
kills, welds = int(sys.argv[1]), ["a", "b"]
random.seed(1)
def start(w, *args):
    return subprocess.Popen(["./%s.w" % w, *args],
                            env={"BPFWELD_REGION": "k/" + w})
def begin(w):  # how long until the files are there
    then = time.monotonic()
    start(w, "add", "1", "0").wait()
    return time.monotonic() - then
def forget():
    for f in os.listdir("k"):
        os.unlink("k/" + f)
def entries():
    return sorted(os.listdir("k"))
begin("a")
whole = {f: os.stat("k/" + f).st_size for f in entries() if f != "a"}
long = max(begin(w) for w in welds for _ in range(5))
some = {}
for i in range(kills):
    if i % 2 == 0:
        forget()
    for w in welds:
        p = start(w, "add", "2", "1000000")
        time.sleep(random.random() ** random.choice([1, 2, 4]) * long)
        p.kill()
        p.wait()
    pins = [f for f in entries() if f not in welds]
    for f in pins:
        with open("k/" + f, "rb") as file:
            assert file.read(8) == b"bpfwpin\0", f
        assert os.stat("k/" + f).st_size == whole[f], f
    if i % 2 == 0:
        some[len(pins)] = some.get(len(pins), 0) + 1
print("files that were made:", some)
assert len(some) > 1  # else it was never, or always, too early
X
python3 kills.py "$kills" > log 2>&1 || die "kills: $(cat log)"
cat log
rm -f k/*
forget

# Not the map's file: the programs count alone, and leave it as it is.
cp one.w a.w; cp two.w b.w
bpf $E/pin.bpf.c -DENTRIES=64 && $W weld one pin.bpf.o -o small.w $probes > log
bpf $E/pin.bpf.c -DVALUE=__u32 && $W weld one pin.bpf.o -o narrow.w $probes > log
run one add 1 100
sum=$(cksum r/pin-shared)
for other in small narrow; do
	before=$(sum one sums)
	run $other add 1 30
	run $other add 1 30
	is $other mine 60; is $other sums $((before + 60)) "$other"
	[[ "$(row $other shared)" == *'it has another definition (type 1, key 4, value 8, max_entries 100, flags 0x0), not used by 2 starts' ]] ||
		die "$(row $other shared)"
	exits 1 w $other map_dump shared 2> log
	grep -q "r/pin-shared: cannot be map shared: it has another" log ||
		die "$(cat log)"
	w $other map_dump > log
	grep -q '^sums:' log || die "dump without shared"
	! grep -q '^shared:' log || die "dump shows what it has not"
done
[ "$(cksum r/pin-shared)" = "$sum" ] || die "a map of another definition changed"
is one shared 100
forget

harmed() { # WHAT: one counts alone, and says why
	run one add 1 50
	is one mine 50 "$1"; is one sums 50 "$1"
	row one shared | has "pinned, not shown: $2, not used by 1 start\$" ||
		die "$1: $(row one shared)"
	rm -rf r; mkdir r
}
run two add 1 10; cp r/pin-shared good; forget
for harm in "truncate -s 0:it is no pinned map's" \
	"truncate -s 100:it is no pinned map's" "truncate -s +1:its size is wrong" \
	"truncate -s 4096:its size is wrong" "magic 0:it is no pinned map's" \
	"magic 8:it is of another version of bpfweld" "magic 16:it is damaged" \
	"magic 96:it has another definition (.*)" "magic 116:it is damaged"; do
	cp good r/pin-shared
	how=${harm%%:*}
	case $how in
	magic*) printf X | dd of=r/pin-shared bs=1 seek=${how#magic } \
		conv=notrunc status=none ;;
	*) $how r/pin-shared ;;
	esac
	sum=$(cksum r/pin-shared)
	run one add 1 50
	[ "$(cksum r/pin-shared)" = "$sum" ] || die "$how: it was changed"
	rm r/one r/pin-sums
	harmed "$how" "${harm#*:}"
done
ln -s ../good r/pin-shared; harmed link "Too many levels of symbolic links"
mkdir r/pin-shared; harmed directory "it is no regular file"
mkfifo r/pin-shared; harmed fifo "it is no regular file"
run one add 1 50; run two add 1 50; is two shared 100 "after all that"
forget

# The map's content is damaged: the reader ends, the program goes on.
cat > damage.py <<'X'
import random, sys
r = random.Random(int(sys.argv[1]))
for name in sys.argv[2:]:
    with open(name, "r+b") as f:
        size = f.seek(0, 2)
        for _ in range(r.randrange(1, 40)):
            f.seek(r.randrange(size))
            f.write(r.choice([bytes(8), b"\xff" * 8, r.randbytes(8),
                              r.randrange(1 << 20).to_bytes(8, "little")]))
X
run one tell 1 20; run one add 1 50
cp -r r whole
for i in $(seq "${DAMAGES:-30}"); do
	rm -rf r; cp -r whole r
	python3 damage.py $i r/*
	for cmd in map_list map_dump info "trace --once"; do
		status=0
		timeout 10 env BPFWELD_REGION=$(with one) \
			$W ${cmd/_/ } one.w > log 2>&1 || status=$?
		[ $status -le 1 ] || [ $status = 3 ] ||
			die "damage $i: $cmd: exit $status"
	done
	timeout 10 env BPFWELD_REGION=$(with one) ./one.w add 1 20 ||
		die "damage $i: exit $?"
done
forget

# No region, no shared maps.
run one add 1 1; forget
for where in private off /no/such/dir/x; do
	BPFWELD_REGION=$where ./one.w add 2 100
	[ -z "$(ls -A r)" ] || die "$where: made $(ls r)"
done
BPFWELD_REGION=here ./one.w add 1 5 # a path without a directory
[ -e pin-shared ] && [ -e here ] || die "not here"
[ "$(BPFWELD_REGION=here $W map lookup one.w shared 4 | tr -dc 0-9)" = 41 ] ||
	die "lookup here"
rm here pin-*

# A ring has one reader, whatever weld that is of, and one that reads for all.
run one tell 1 3; run two tell 2 2
w two trace events --once > log
[ "$(grep -c '"from":1' log)" = 3 ] && [ "$(grep -c '"from":2' log)" = 2 ] ||
	die "trace: $(cat log)"
BPFWELD_REGION=$(with two) $W trace two.w events -j > out & reader=$!
sleep .3
exits 1 w one trace events --once 2> log
grep -q 'r/pin-events: somebody else reads ring events already' log ||
	die "$(cat log)"
run one tell 3 50; run two tell 4 50
sleep .5
kill -INT $reader
wait $reader || die "trace: exit $?"
reader=
[ "$(grep -c '"number"' out)" = 100 ] || die "trace: $(grep -c number out)"

# Writers of one weld are killed; the reader of the other goes on.
BPFWELD_REGION=$(with two) $W trace two.w events -j > out 2> log & reader=$!
for i in $(seq 20); do
	BPFWELD_REGION=$(with one) ./one.w tell 1 100000000 & victim=$!
	sleep .0$((i % 5))
	kill -KILL $victim
	wait $victim 2> log || true
done
for i in $(seq 100); do
	[ "$(row two events | awk '{ print $6 }')" != 0 ] || break
	sleep .1
done
run two tell 9 50
sleep .5
kill -INT $reader
wait $reader || die "trace: exit $?"
reader=
[ "$(grep -c '"formatted":{"from":9,' out)" = 50 ] ||
	die "kills: $(grep -c '"from":9,' out) of 50 records"
forget

# Of two objects, one map; if they agree.
bpf $E/pin.bpf.c -DOTHER -DADD=plus && mv pin.bpf.o other.bpf.o
cp $O/pin.bpf.o .
$W weld one pin.bpf.o other.bpf.o -o both.w -p add=uprobe:work \
	-p plus=uprobe:work > log
[ "$(grep -c '^map shared' log)" = 1 ] || die "$(cat log)"
run both add 1 50
is both pin:shared 100 "two objects"; is both other:shared 100
is both pin:mine 50
bpf $E/pin.bpf.c -DENTRIES=64 && mv pin.bpf.o small.bpf.o
exits 1 $W weld one other.bpf.o small.bpf.o -o none \
	-p add=uprobe:work -p plus=uprobe:work 2> log
grep -q 'shared: is pinned in two objects, which define it differently' log ||
	die "$(cat log)"
forget

# What cannot be shared is refused.
cat > percpu.bpf.c <<'C'
#include <linux/bpf.h>
#include <bpf/bpf_helpers.h>
struct {
	__uint(type, BPF_MAP_TYPE_PERCPU_ARRAY);
	__uint(max_entries, 1);
	__uint(pinning, LIBBPF_PIN_BY_NAME);
	__type(key, __u32);
	__type(value, __u64);
} each SEC(".maps");
SEC("uprobe/one:work") int f(void *ctx)
{
	__u32 zero = 0;
	__u64 *n = bpf_map_lookup_elem(&each, &zero);
	if (n)
		++*n;
	return 0;
}
char LICENSE[] SEC("license") = "GPL";
C
bpf percpu.bpf.c
exits 3 $W weld one percpu.bpf.o -o none 2> log
grep -q 'each: is pinned: values for each CPU cannot be shared' log ||
	die "$(cat log)"

$W weld one percpu.bpf.o --no-pin -o each.w > log
! grep pinned log || die "--no-pin: $(cat log)"
run each add 1 20
w each map_dump each | has '"value": 20' || die "--no-pin"
[ ! -e r/pin-each ] || die "--no-pin: a file"

$W unweld one.w -o back
cmp one back

# --- As root, in a mount namespace: /dev/shm, other users.
[ "$(id -u)" = 0 ] && unshare -m true 2>/dev/null &&
	command -v setpriv >/dev/null ||
	skip "the part that needs root; the rest passed"
run two add 1 10; rm r/pin-sums; chown 65534 r/pin-shared
harmed owner "it belongs to another user"
# Who dies in another pid namespace cannot be told from here.
run one tell 1 1
space() { od -An -tu4 -j24 -N4 r/pin-events | tr -d ' '; }
[ "$(space)" = "$(stat -Lc %i /proc/self/ns/pid)" ] || die "pid space $(space)"
run two tell 1 1
[ "$(space)" = "$(stat -Lc %i /proc/self/ns/pid)" ] || die "pid space $(space)"
BPFWELD_REGION=$(with two) unshare -fp --mount-proc ./two.w tell 1 1
[ "$(space)" = 1 ] || die "pid space $(space)"
run two tell 1 1; [ "$(space)" = 1 ] || die "pid space $(space)"
forget

chmod 755 . one.w two.w
export -f sum is die has row w with
export t W
with() { echo; }
unset BPFWELD_REGION
unshare -m bash -euo pipefail <<'EOF2'
nobody="setpriv --reuid=65534 --regid=65534 --clear-groups"
mount -t tmpfs -o size=4m,mode=1777 shm /dev/shm
./one.w add 2 100; $nobody ./two.w add 1 30; ./two.w add 1 7
is two sums 207; is one sums 207; is two mine 7
w one info | has "  pinned   /dev/shm/bpfweld-0/pin-sums (8192 bytes)"
[ "$(stat -c %a,%u /dev/shm/bpfweld-65534/pin-sums)" = 600,65534 ]
rm -r /dev/shm/bpfweld-*
# It can be read only, is full, or not: they run, and count what they can.
mount -o remount,ro /dev/shm; ./one.w add 2 100
mount -o remount,rw /dev/shm; [ -z "$(ls /dev/shm)" ] || die "made $(ls /dev/shm)"
umount /dev/shm
size=$(w one info -j | sed 's/.*"region":{[^}]*"bytes":\([0-9]*\).*/\1/')
for room in 0 1 2 3 5 8 12; do
	mount -t tmpfs -o size=$((size + room * 4096)),mode=1777 shm /dev/shm
	./one.w add 2 100; ./two.w add 1 30
	is one mine 200 "room for $room pages"
	n=$(w one map_list | grep -c 'pinned, not used by 1 start') || true
	pins=$(ls /dev/shm/bpfweld-0 | grep -c pin) || true
	[ $((n + pins)) = 7 ] || die "room for $room pages: $n of 7 and $pins files"
	umount /dev/shm
done
EOF2
