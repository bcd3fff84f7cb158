#!/usr/bin/env bash
# SPDX-License-Identifier: MIT
# A welded file is as hard to attack as the original: nothing can be both written
# and run, the stack and RELRO are what they were, nothing is relocated that was
# not; and what the stub has in writable memory leads to no code but the vDSO's
# clock, which it calls.
. "$(dirname "$0")/../common.sh"
need python3
need readelf

cat > $t/app.c <<'C'
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
__attribute__((noinline)) int hash_op(int x)
{
	__asm__ volatile("" : "+r"(x));
	return x * 3 + 1;
}
static int order(const void *a, const void *b)
{
	return *(int *)a - *(int *)b;
}
int main(int argc, char **argv)
{
	int v[] = { 3, 1, 2 };
	qsort(v, 3, sizeof(*v), order);
	printf("%d %zu\n", hash_op(v[0]), strlen(argv[0]) > 0);
	return 0;
}
C

# What must not change, of ORIGINAL and WELDED; and the new segments.
cat > $t/same.py <<'P'
import re, subprocess, sys
def read(*args):
    return subprocess.run(["readelf", "-W", *args], check=True,
                          capture_output=True, text=True).stdout
def segments(path):
    out = []
    for line in read("-l", path).splitlines():
        m = re.match(r"\s+(\w+)\s+0x\w+ 0x(\w+) 0x\w+ 0x\w+ 0x(\w+) (.{3}) ",
                     line)
        if m:
            out.append((m[1], int(m[2], 16), int(m[3], 16),
                        m[4].replace(" ", "")))
    return out
def dynamic(path):
    tags = []
    for line in read("-d", path).splitlines():
        m = re.match(r" 0x\w+ \((\w+)\)\s+(.*)", line)
        if m and m[1] in ("FLAGS", "FLAGS_1", "BIND_NOW", "TEXTREL", "RELASZ",
                          "RELRSZ", "PLTRELSZ", "RELACOUNT", "NEEDED",
                          "RUNPATH", "RPATH", "INIT_ARRAYSZ", "DEBUG"):
            tags.append((m[1], m[2]))
    return sorted(tags)
old, new = sys.argv[1:]
a, b = segments(old), segments(new)
of = lambda v, *kinds: sorted(s for s in v if s[0] in kinds)
assert of(a, "GNU_STACK") == of(b, "GNU_STACK"), (a, b)
assert of(a, "GNU_RELRO", "TLS") == of(b, "GNU_RELRO", "TLS"), (a, b)
assert not [s for s in b if "W" in s[3] and "E" in s[3] and s not in a], b
assert dynamic(old) == dynamic(new), (dynamic(old), dynamic(new))
before, after = of(a, "LOAD"), of(b, "LOAD")
added = [s[3] for s in after if s not in before]
assert sorted(added) == ["RE", "RW"] and len(after) == len(before) + 2, \
    (before, after)
relocs = lambda p: len(re.findall(r"^[0-9a-f]{12,16} ", read("-r", p), re.M))
assert relocs(old) == relocs(new), (relocs(old), relocs(new))
prop = lambda p: re.findall(r"x86 feature.*|stack.*", read("-n", p))
assert prop(old) == prop(new), (prop(old), prop(new))
P
n=0
build() { # WHAT FLAGS...
	local what=$1; shift
	$CC -O2 -o $t/app "$@" $t/app.c 2> $t/log || { echo "no $what"; return 0; }
	$W weld $t/app $O/busy.bpf.o -p busy=uprobe:hash_op -o $t/w \
		> $t/log 2>&1 || die "$what: $(cat $t/log)"
	python3 $t/same.py $t/app $t/w || die "$what"
	n=$((n + 1))
}
build "pie, now" -pie -fPIE -Wl,-z,relro,-z,now
build "pie, lazy" -pie -fPIE -Wl,-z,relro,-z,lazy
build "no RELRO" -pie -fPIE -Wl,-z,norelro
build "no pie" -no-pie -Wl,-z,now
build "static" -static
build "static pie" -static-pie
build "an executable stack" -Wl,-z,execstack
build "CET" -fcf-protection=full -Wl,-z,ibt,-z,shstk
build "a library" -shared -fPIC -Wl,-z,relro,-z,now
build "packed relocations" -pie -fPIE -Wl,-z,pack-relative-relocs
build "fewer pages" -Wl,-z,noseparate-code
build "hardened" -D_FORTIFY_SOURCE=2 -fstack-protector-strong -fPIE -pie \
	-fstack-clash-protection -Wl,-z,relro,-z,now,-z,noexecstack
[ $n -ge 9 ] || die "only $n kinds"

# --- At run time, with programs of all kinds having run.
cat > $t/maps.py <<'P'
import re, subprocess, sys
pid, welded = sys.argv[1:]
maps = []
for line in open(f"/proc/{pid}/maps"):
    lo, hi, perms, off, rest = re.match(
        r"(\w+)-(\w+) (....) (\w+) \S+ \S+\s*(.*)", line).groups()
    maps.append((int(lo, 16), int(hi, 16), perms, int(off, 16), rest))
assert not [m for m in maps if "w" in m[2] and "x" in m[2]], maps
shared = [m for m in maps if m[2][3] == "s"]
assert shared and all(m[2] == "rw-s" for m in shared), shared
run = [m for m in maps if "x" in m[2]]
loads = re.findall(r"LOAD\s+0x\w+ 0x(\w+) 0x\w+ 0x\w+ 0x(\w+) (...)",
                   subprocess.run(["readelf", "-lW", welded], check=True,
                                  capture_output=True, text=True).stdout)
base = min(m[0] for m in maps if m[4] == welded)
at, size = max((int(a, 16), int(n, 16)) for a, n, f in loads if "W" in f)
found = {}
with open(f"/proc/{pid}/mem", "rb", 0) as mem:
    for lo, hi, perms, off, rest in maps:
        lo, hi = max(lo, base + at), min(hi, base + at + size)
        if lo >= hi or perms[3] == "s":
            continue
        mem.seek(lo)
        data = mem.read(hi - lo)
        for i in range(0, len(data) - 7, 8):
            v = int.from_bytes(data[i:i + 8], "little")
            for m in run:
                if m[0] <= v < m[1]:
                    found[lo + i - base] = m[4]
print(sorted(found.values()))
assert size > 1 << 20 and list(found.values()) == ["[vdso]"], found
P
$CC -O2 -pthread -I"$SOURCE" -o $t/hostile_target \
	"$SOURCE/tests/e2e/hostile_target.c"
for engine in native vm; do
	$W weld $t/hostile_target $O/hostile.bpf.o --engine=$engine \
		-o $t/run > $t/log
	rm -f $BPFWELD_REGION $t/pin-*
	$t/run run 2 60000 > $t/out & one=$!
	until [ "$($W map lookup $t/run cpus 1 2> $t/err | grep -c value)" != 0 ] &&
		$W info $t/run | has -E 'op_pinned.* [1-9][0-9]* +0'; do
		sleep 0.05
	done
	python3 $t/maps.py $one $t/run || { kill $one; die "$engine"; }
	kill $one
	wait $one 2> /dev/null || true
done
