# SPDX-License-Identifier: MIT
"""coverage.py - the arithmetic of tests/coverage.sh.

row CHECK SYSCALLS LIST RETS FLOORS
                           a line of the table: CHECK and SYSCALLS are what
                           `check -j` says of all entries and returns, and of all
                           syscall instructions; RETS has the addresses of
                           rets, of which those count that are in functions.
                           Fails below FLOORS, "ENTRIES/RETS" in percent, where a
                           syscall has no probe, and where a trap would be used
sample CHECK MAPS N WHAT   -p options for N functions that were hit: few enough
                           for the kernel; for their returns, too, or for
                           "entries" only.  MAPS is `map dump -j` of both maps
broken DIFF                did the program die under the kernel's probes only?
lost DIFF MAPS             what is left of `diff -j` without returns that the
                           kernel loses behind 64 pending ones: functions of
                           which each call returns prove that it does; then it
                           may lose others' too
"""
import bisect
import collections
import json
import random
import re
import sys

HITS_MAX = 150000  # a sample's hits, all together: the kernel takes up to 9 us


def load(path):
    return json.load(open(path))


def percent(part, whole):
    return f"{100 * part / whole:6.2f}" if whole else "     -"


def rets_in(functions, rets):
    known = sorted((int(f["addr"], 16), f["size"]) for f in load(functions)
                   if "size" in f)  # not USDT probes
    starts = [a for a, _ in known]
    n = 0
    for line in open(rets):
        a = int(line, 16)
        i = bisect.bisect(starts, a) - 1
        n += i >= 0 and a < sum(known[i])
    return n


def row(check, syscalls, functions, rets, floors):
    rets = rets_in(functions, rets)
    probes = load(check)["probes"]
    entries = [p for p in probes if not p["returns"]]
    returns = [p for p in probes if p["returns"]]
    placed = sum(p["placed"] for p in entries)
    covered = sum(p["placed"] and not p.get("jumps_not_watched")
                  for p in returns)
    kinds = collections.Counter()
    tactics = collections.Counter()
    at = set()
    for p in probes:
        for x in p["places"]:
            kinds[x["kind"]] += 1
            tactics[x["tactic"]] += 1
            if x["kind"] == "return":
                at.add(x["instruction"])
    calls = load(syscalls)["probes"] if syscalls != "-" else []
    n = sum(p["placed"] for p in calls)
    print(f"{len(entries):6} {percent(placed, len(entries))} "
          f"{rets:6} {percent(len(at), rets)} "
          f"{percent(covered, len(returns))} {n:4}/{len(calls):<4} "
          f"{'traps!' if tactics['trap'] else 'no trap'} ",
          ", ".join(f"{v} {k}" for k, v in tactics.most_common()) +
          f"; {kinds['left']} jumps and {kinds['entered']} entries exchange")
    least = [float(x) for x in floors.split("/")]
    if 100 * placed < least[0] * len(entries) or \
            100 * len(at) < least[1] * rets or n < len(calls) or \
            tactics["trap"]:
        sys.exit(f"less than {floors} percent, or a syscall without a probe")


def counts(maps):
    out = {}
    for name in ("hits", "returns"):
        out[name] = {e["formatted"]["key"]: e["formatted"]["value"]
                     for e in maps[name]}
    return out


def addresses(keys, addrs):
    """Where in the file each key is.  A library may be at several places."""
    known, out, left = set(addrs), {}, set(keys)
    while left:
        first = min(left)
        bases = [first - a for a in addrs
                 if a <= first and (first - a) & 0xfff == 0]
        base = max(bases, key=lambda b: sum(k - b in known for k in left),
                   default=None)
        if base is None:
            sys.exit(f"{first:#x} fits nowhere")
        here = {k for k in left if k - base in known}
        out.update({k: k - base for k in here})
        left -= here
    return out


# They return twice, or to somewhere else: the kernel breaks them.
NOT_RETURNING = re.compile(
    "setjmp|longjmp|v?fork|clone|context|_dl_runtime|_start|unwind|Unwind")


def sample(check, maps, n, what):
    hits = counts(load(maps))["hits"]
    probes = load(check)["probes"]
    placed = {p["returns"]: set() for p in probes}
    for p in probes:
        if p["placed"] and not (p["returns"] and (
                not p["places"] or p.get("jumps_not_watched") or
                NOT_RETURNING.search(p["function"]))):
            placed[p["returns"]].add(int(p["address"], 16))
    total_of = collections.Counter()
    at = addresses(hits, [int(p["address"], 16) for p in probes])
    for k, v in hits.items():
        total_of[at[k]] += v
    # By lot, but each for itself: a function that only some runs reach (what
    # a timer does) shall not change who else is drawn.
    addrs = sorted(total_of, key=lambda a: random.Random(a).random())
    total = chosen = 0
    for a in addrs:
        if chosen == int(n) or total + 2 * total_of[a] > HITS_MAX:
            continue
        chosen += 1
        total += 2 * total_of[a]
        print(f"-p\nentry=uprobe:{a:#x}")
        if what != "entries" and a in placed[True]:
            print(f"-p\nleave=uretprobe:{a:#x}")


def lost(diff, maps):
    both = counts(load(maps))
    sure, perhaps, left = 0, [], []
    for d in load(diff)["differences"]:
        k = d.get("key")
        if d.get("map") != "returns" or \
                (d["kernel"] or 0) >= (d["welded"] or 0) or \
                d["welded"] > both["hits"].get(k, 0):
            left.append(d)
        elif both["returns"].get(k) == both["hits"].get(k):
            sure += 1
        else:  # some calls end in another way
            perhaps.append(d)
    if not sure:  # nothing is more than 64 deep
        left += perhaps
    for d in left:
        print(d)
    if sure:
        print(f"{sure} functions of which the kernel loses returns, and "
              f"{len(perhaps)} of which some calls do not return")
    sys.exit(len(left) > 0)


def broken(diff):
    sys.exit(not any(d.get("command") == "status" and
                     (d["kernel"] or 0) >= 128 > (d["welded"] or 0)
                     for d in load(diff)["differences"]))


{"row": row, "sample": sample, "lost": lost, "broken": broken}[sys.argv[1]](*sys.argv[2:])
