#!/usr/bin/env bash
# SPDX-License-Identifier: MIT
# Very many probes: the file grows by at most 100 bytes a probe and 64 KiB, with
# an empty program, a counter, and one that is called; and what is left out for
# that is not missed: it runs, unwinds, survives tools and unwelds.
. "$(dirname "$0")/../common.sh"
need gdb
need eu-elflint
need python3
cd "$t"

# 1,500 functions of several shapes, each called by main, and 1,000 times more
# by each other.
awk 'BEGIN {
	for (i = 0; i < 1500; i++) {
		printf "F long f_%d(long a, long b) ", i
		if (i % 3 == 0) print "{ return a * " i " + (b ^ 5); }"
		else if (i % 3 == 1)
			print "{ return f_" i - 1 "(a, b) * b + f_" i - 1 "(b, a); }"
		else print "{ volatile long v[2] = { a, b };" \
			" return v[0] - v[1]; }"
	}
	print "long (*const f[])(long, long) = {"
	for (i = 0; i < 1500; i++) print "f_" i ","
	print "};"
}' > all.h
cat > many.c <<'E'
#include <stdio.h>
#define F __attribute__((noinline))
#include "all.h"
int main(int argc, char **argv)
{
	long s = 0;
	for (int i = 0; i < 1500; i++)
		s = s * 3 + f[i](i, argc);
	printf("%ld\n", s);
	return argv == 0;
}
E

# grown FILE WELDED: within the bound?
grown() {
	local n by
	n=$(sed -n 's/.*: \([0-9]*\) probes at.*/\1/p' log)
	by=$(($(stat -Lc %s "$2") - $(stat -Lc %s "$1")))
	[ "$n" -ge 1500 ] || die "$2: $(cat log)"
	[ "$by" -le $((100 * n + 65536)) ] ||
		die "$2: $by bytes for $n probes: $((by / n)) each"
	echo "$2: $n probes, $by bytes, $((by / n)) each"
}

gdb() { command gdb -nx -batch -ex 'set debuginfod enabled off' "$@" 2>&1; }

# dense PROGRAM OBJECT: at all entries
dense() {
	local calls tool
	rm -f region
	# A table of symbols, which would be there once more, is not counted.
	$W weld stripped "$O/$2.bpf.o" -o "$1" -p "$1=uprobe:*" > log
	grown stripped "$1"
	[ "$("./$1")" = "$(./many)" ] || die "stripped, $1: another result"
	rm -f region
	$W weld many "$O/$2.bpf.o" -o "$1" -p "$1=uprobe:*" > log
	[ "$("./$1")" = "$(./many)" ] || die "$1: another result"
	calls=$($W info -j "$1" | python3 -c 'import json, sys
print(sum(p["hits"] for p in json.load(sys.stdin)["probes"]
          if p["function"].startswith("f_")))')
	[ "$calls" = 2500 ] || die "$1: $calls hits"
	eu-elflint --gnu-ld -q "$1" || die "$1: eu-elflint"
	$W unweld "$1" -o back > log && cmp back many || die "$1: unweld"
	for tool in strip eu-strip; do
		cp "$1" s && $tool s && [ "$(./s)" = "$(./many)" ] ||
			die "$1: $tool"
	done
}

# Callers from every instruction of a hit.
cat > step.py <<'E'
import gdb
gdb.execute("break f_1")
gdb.execute("run")
steps, lost, names = 0, [], set()
while gdb.newest_frame().name() != "main" and steps < 20000:
    f, frames = gdb.newest_frame(), []
    names.add(str(f.name()))
    while f is not None and len(frames) < 20:
        frames.append(f.name())
        f = f.older()
    if frames[-1] != "main":
        lost.append(gdb.execute("x/i $pc", to_string=True))
    gdb.execute("stepi", to_string=True)
    steps += 1
print(steps, "steps", len(lost), "lost", lost[:3],
      any("bpfweld" in n and "sites" in n for n in names))
E
$CC -g0 -O2 -o many many.c
strip -o stripped many
for prog in "empty size" "array size" "hash size" "entry entries" \
	"whole unwind"; do
	# shellcheck disable=SC2086
	dense $prog
	rm -f region
	gdb -x step.py "./${prog% *}" > log
	grep -q ' steps 0 lost \[\] True$' log ||
		die "$prog: gdb: $(tail -2 log)"
	echo "${prog% *}: $(tail -1 log)"
done

# The same of a real library.  A second is asked for on a quiet machine, so time
# is shown only; memory does not depend on that.
crypto=$(ldd "$(command -v openssl)" 2>/dev/null |
	sed -n 's/.*libcrypto[^ ]* => \([^ ]*\).*/\1/p') || true
[ -n "$crypto" ] || skip "openssl has no libcrypto to be welded"
cat > used.py <<'E'
import os, sys
pid = os.posix_spawn(sys.argv[1], sys.argv[1:], os.environ)
_, status, used = os.wait4(pid, 0)
print("%d KB %.2f s" % (used.ru_maxrss, used.ru_utime + used.ru_stime))
sys.exit(status != 0)
E
mkdir -p lib
welded=lib/${crypto##*/}
for prog in "empty size" "array size" "entry entries"; do
	python3 used.py "$W" weld "$crypto" "$O/${prog#* }.bpf.o" \
		-o "$welded" -p "${prog% *}=uprobe:*" > log
	grown "$crypto" "$welded"
	ldd "$W" | has libasan ||
		[ "$(sed -n 's/ KB .*//p' log)" -le 300000 ] || die "memory: $(cat log)"
	grep ' KB ' log
	rm -f region
	echo 'all of it' | LD_LIBRARY_PATH=lib openssl sha256 > got
	echo 'all of it' | openssl sha256 | cmp - got || die "$prog: openssl"
done
