#!/usr/bin/env bash
# SPDX-License-Identifier: MIT
# scale.sh - every function of a library of 100 MB in one run: time and memory
# grow no faster than the number of probes.  Part of the soak run.
#   scale.sh [LIBRARY]
. "$(dirname "$0")/common.sh"
need python3
lib=${1:-$(ldconfig -p | sed -n 's/.*libLLVM-14.* => //p' | head -1)}
[ -e "$lib" ] || skip "no large library here"

cat > "$t/scale.py" <<'E'
import os, re, subprocess, sys
weld, lib, obj, out = sys.argv[1:]

def run(kind, glob):
    pid = os.posix_spawn(weld, [weld, "weld", lib, obj, "-o", out, "-p",
                                f"empty={kind}:{glob}"], os.environ,
                         file_actions=[(os.POSIX_SPAWN_OPEN, 1, out + ".log",
                                        os.O_CREAT | os.O_WRONLY | os.O_TRUNC,
                                        0o600),
                                       (os.POSIX_SPAWN_DUP2, 1, 2)])
    _, status, used = os.wait4(pid, 0)
    n = re.search(r": (\d+) probes at", open(out + ".log").read())
    if status or not n:
        sys.exit("FAILED: " + open(out + ".log").read()[-300:])
    n = int(n[1])
    s, kb = used.ru_utime + used.ru_stime, used.ru_maxrss
    grown = os.stat(out).st_size - os.stat(lib).st_size
    print(f"{kind:10} {n:7} probes {s:6.2f} s {kb / 1024:7.0f} MB"
          f" {grown / n:6.0f} bytes each", flush=True)
    return n, s, kb

for kind in ("uprobe", "uretprobe"):
    few, part, all = (run(kind, g) for g in ("*Builder*", "*e*r*", "*"))
    slope = lambda i, x: (x[i] - few[i]) / (x[0] - few[0])
    for i, what, least in ((1, "time", 5e-6), (2, "memory", 1)):
        if slope(i, all) > 2 * max(slope(i, part), least):
            sys.exit(f"FAILED: {kind}: {what} is not linear:"
                     f" {slope(i, part)}, then {slope(i, all)} a probe")
E
python3 "$t/scale.py" "$W" "$lib" "$O/rows.bpf.o" "$t/out"
