#!/usr/bin/env bash
# SPDX-License-Identifier: MIT
# trace: a ring that is always busy starves nobody; what was not written out stays
# for the next one, whoever is killed; and printed lines are taken, as records are.
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
rm -f region
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
first, lines, missed = {}, set(), 0
for name in sys.argv[1:]:
    for line in open(name):
        if not line.endswith("\n"):
            continue  # cut by the kill
        r = json.loads(line)
        if "number" in r:
            first.setdefault(r["map"], r["number"])
            got[r["map"]].add(r["number"])
        elif "printk" in r:
            lines.add(int(r["printk"].split()[1]) // 10000)
        elif r["map"] == "printk":
            missed += r["lost"]
for name, numbers in got.items():
    lacks = set(range(first[name], max(numbers) + 1)) - numbers
    if lacks:
        sys.exit(f"{name}: {len(lacks)} records lack, as {min(lacks)}")
lacks = set(range(min(lines), max(lines) + 1)) - lines
if len(lacks) > missed:
    sys.exit(f"{len(lacks)} lines lack, {missed} are said to")
print(", ".join(f"{name} {len(numbers)}" for name, numbers in got.items()) +
      f", {len(lines)} lines, {missed} missed")
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
[ -z "$($W trace w --once 2>&1)" ] || die "something is there twice"

# Interrupted while nobody takes what it writes: all of it comes, and the rest stays.
# Interrupted again, it does not wait.
rm -f region
./w 20000 0
cat > full.py <<'END'
import array, fcntl, json, signal, subprocess, sys, termios, time
weld = sys.argv[1]
def full(end=65536 - 4096):
    p = subprocess.Popen([weld, "trace", "w", "-j"], stdout=subprocess.PIPE)
    n = array.array("i", [0])
    while n[0] < end:
        fcntl.ioctl(p.stdout, termios.FIONREAD, n)
        time.sleep(.01)
    time.sleep(.1)
    p.send_signal(signal.SIGINT)
    return p
p = full()
time.sleep(.1)
out = p.communicate()[0]
assert p.returncode == 0, p.returncode
p = full()
time.sleep(.1)
assert p.poll() is None, "it does not wait"
p.send_signal(signal.SIGINT)
assert p.wait() == -signal.SIGINT, p.returncode
p.stdout.close()
out += subprocess.run([weld, "trace", "w", "-j", "--once"], check=True,
                      stdout=subprocess.PIPE).stdout
got = [json.loads(line)["number"] for line in out.splitlines()]
assert got == list(range(20000)), f"{len(got)} records"
END
python3 full.py "$W"

# Lines: each once, and so is what was lost of them.
./w 0 7
$W trace w rare --once > out
[ "$(count ^rare:)" = 7 ] || die "$(cat out)"
$W trace w --once > out
[ "$(count '^printk: .*seldom [0-6]$')" = 7 ] || die "$(cat out)"
./w 0 1500
$W trace w -j --once > out
[ "$(count '"printk":')" = 1024 ] || die "$(count '"printk":') lines"
[ "$(count '"map":"printk","lost":476,')" = 1 ] || die "$(grep lost out)"
grep -m1 '"printk":' out | has '"seldom 476"' || die "$(grep -m1 printk out)"
[ -z "$($W trace w -j --once)" ] || die "lines are there twice"

# One reader at a time: here, of lines only.
cat > lines.bpf.c <<'END'
#include <linux/bpf.h>
#include <bpf/bpf_helpers.h>
char LICENSE[] SEC("license") = "GPL";
SEC("uprobe/trace:seldom") int print(void *ctx)
{
	bpf_printk("line");
	return 0;
}
END
bpf lines.bpf.c
$W weld trace lines.bpf.o -o lines > log
rm -f region
./lines 0 1
exits 1 $W trace lines --once > /dev/full 2> err
grep -q '^bpfweld: standard output: No space' err || die "$(cat err)"
$W trace lines > out & reader=$!
for _ in $(seq 600); do
	[ ! -s out ] || break
	sleep .1
done
grep -q '^printk: .* line$' out || die "$(cat out)"
exits 1 $W trace lines --once 2> err
grep -q 'somebody else reads what is printed already' err || die "$(cat err)"
kill -INT $reader
wait $reader || die "trace: exit $?"
reader=
[ -z "$($W trace lines --once)" ] || die "a line is there twice"

# A position that somebody has scribbled over is none.
at=$(python3 -c 'import struct
print(struct.unpack_from("<Q", open("region", "rb").read(), 72)[0])')
printf '\377\377\377\377' | dd of=region bs=1 seek=$((at + 16)) conv=notrunc 2> log
$W trace lines --once > out
grep -q '^printk: .* line$' out || die "$(cat out)"

# Where nothing is open to print on, nothing is printed into the region.
for closed in '1>&-' '2>&-' '0<&- 1>&- 2>&-'; do
	./lines 0 1
	eval "$W trace lines --once $closed" || true
	[ "$(head -c 7 region)" = bpfweld ] || die "$closed: $(head -c 100 region)"
done
