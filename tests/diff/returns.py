# SPDX-License-Identifier: MIT
"""returns.py BINARY events|totals GLOB... - what a map of returns.bpf.o holds, in a line.

events: ">f >g <g <f", entries and returns in their order, each program after
the first one with its number; what comes n times in a row ends in "*n".
totals: "f:ENTRIES/RETURNS" for each function, by name.  The map is read from
stdin, as `bpfweld map dump -j` prints it.
"""
import fnmatch
import json
import subprocess
import sys


def symbols(binary, globs):
    out = subprocess.run(["nm", binary], capture_output=True, text=True)
    pairs = [line.split() for line in out.stdout.splitlines()]
    return {int(p[0], 16): p[2] for p in pairs if len(p) == 3 and
            any(fnmatch.fnmatchcase(p[2], g) for g in globs)}


def placed(known, funcs):
    """The symbols where the file was in memory: all functions fit there."""
    for addr in known:
        base = min(funcs, default=addr) - addr
        if base & 0xfff == 0 and all(f - base in known for f in funcs):
            return {a + base: n for a, n in known.items()}
    return {}


def events(elems, known):
    known = placed(known, {e["value"]["func"] for e in elems
                           if e["value"]["kind"]})
    words = []
    for e in sorted(elems, key=lambda e: e["key"]):
        v = e["value"]
        if v["kind"]:
            words.append((" ", ">", "<")[v["kind"]] + known.get(v["func"], "?") +
                         (f".{v['program']}" if v["program"] else ""))
    out = []
    for w in words:
        if out and out[-1][0] == w:
            out[-1][1] += 1
        else:
            out.append([w, 1])
    return [w if n == 1 else f"{w}*{n}" for w, n in out]


def totals(elems, known):
    known = placed(known, {e["key"]["func"] for e in elems})
    count = {}
    for e in elems:
        f = count.setdefault(known.get(e["key"]["func"], "?"), [0, 0])
        f[e["key"]["kind"] - 1] += e["value"]["count"]
    return [f"{f}:{n[0]}/{n[1]}" for f, n in sorted(count.items())]


what = {"events": events, "totals": totals}[sys.argv[2]]
elems = [e["formatted"] for e in json.load(sys.stdin)]
print(" ".join(what(elems, symbols(sys.argv[1], sys.argv[3:]))))
