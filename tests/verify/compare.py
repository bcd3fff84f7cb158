# SPDX-License-Identifier: MIT
"""Hold our verdicts against the kernel's, as a Markdown table: a row for each
object, then totals.

usage: compare.py [-v] [--counted REGEX] [--refused-max N] [--unsafe-max N]
                  [--page FILE] KERNEL OURS [ANNOTATED]

KERNEL, OURS and ANNOTATED are what verdict --kernel, verdict and verdict
--annotated print.  --counted names the objects whose sum is given by itself.
The two limits are for these (for all, without it), and 1 is the exit status
when one is exceeded, or when we have no verdict.  --page puts the tables into
FILE, between its markers."""
import argparse
import collections
import re
import sys

# What the kernel refuses by rules of its own, which say nothing of what the
# program would do to memory, or whether it ends.
OWN_RULES = re.compile("|".join((
    r"program of this type cannot use helper",
    r"tracing progs cannot use",
    r"calling kernel function .* is not allowed",
    r"invalid func unknown#",
    r"Caller passes invalid args into func",  # BTF of another program type
    r"doesn't return scalar",
    r"At (program exit|callback return) the register",
    r"would lead to reference leak",
    r"BPF_LD_\[ABS\|IND\] instructions not allowed",
    r"BPF program is too large",
    r"jumps is too complex",
    r"misaligned (stack|value) access",
    r"BPF program load failed",  # without a log
)))

# category: (the column's heading, what it means)
CATEGORIES = collections.OrderedDict((
    ("both", ("accept", "both accept")),
    ("guards", ("guard", "the kernel accepts, we accept with guards")),
    ("refused", ("**refuse**", "the kernel accepts, we refuse")),
    ("foreign", ("foreign", "the kernel accepts, it is not for user space")),
    ("neither", ("refuse", "both refuse")),
    ("guarded", ("guard", "the kernel refuses, we accept with guards")),
    ("rule", ("accept, a rule", "the kernel refuses by a rule of its own, we "
              "accept")),
    ("unsafe", ("**accept**", "the kernel refuses, we accept without "
                "guards")),
    ("other", ("not compared", "not compared")),
))
LISTED = ("refused", "foreign", "guarded", "rule", "unsafe", "other")


def read(path):
    found = {}
    for line in open(path, encoding="utf-8", errors="replace"):
        obj, prog, verdict, ms, size, message = \
            line.rstrip("\n").split("\t", 5)
        found[obj, prog] = (verdict, message, float(ms), int(size))
    return found


def category(kernel, ours):
    """What became of one program."""
    if ours[0] == "crash":
        return "crash"
    if kernel[0] not in ("accept", "refuse"):
        return "other"
    guards = ours[0].startswith("guards")
    if kernel[0] == "accept":
        return ("guards" if guards else
                {"accept": "both", "refuse": "refused"}.get(ours[0], ours[0]))
    if ours[0] in ("refuse", "foreign"):
        return "neither"
    if OWN_RULES.search(kernel[1]):
        return "rule"
    return "guarded" if guards else "unsafe"


def row(name, counts):
    cells = [counts[c] or "" for c in CATEGORIES]
    return f"| {name} | {sum(counts.values())} | " + \
        " | ".join(str(c) for c in cells) + " |"


def table(by_object, totals):
    heads = ["object", "programs"] + [h for h, _ in CATEGORIES.values()]
    yield "Columns 3 to 6: the kernel accepts, and we ...; 7 to 10: it refuses."
    yield ""
    yield "| " + " | ".join(heads) + " |"
    yield "|" + "---|" * len(heads)
    for obj in sorted(by_object):
        yield row(obj.removesuffix(".o"), by_object[obj])
    for name, counts in totals:
        yield row(f"**{name}**", counts)


def details(cases, annotated):
    for name in ("crash",) + LISTED:
        some = [c for c in cases if c[1] == name]
        if not some:
            continue
        print(f"\n{CATEGORIES.get(name, ('', 'the judge crashed'))[1]}:")
        for (obj, prog), _, kernel, ours in some:
            print(f"  {obj} {prog}")
            if kernel[1]:
                print(f"    kernel: {kernel[1]}")
            if ours[1]:
                print(f"    ours:   {ours[1]}")
            if name == "unsafe" and (obj, prog) in annotated:
                print(f"    itself: {annotated[obj, prog][0]} "
                      f"{annotated[obj, prog][1]}")


def page_write(path, lines):
    begin, end = "<!-- table -->\n", "<!-- end of table -->\n"
    text = open(path).read()
    head, rest = text.split(begin)
    tail = rest.split(end)[1]
    with open(path, "w") as f:
        f.write(head + begin + "\n".join(lines) + "\n" + end + tail)


def main():
    ask = argparse.ArgumentParser()
    ask.add_argument("-v", action="store_true")
    ask.add_argument("--counted", default="")
    ask.add_argument("--refused-max", type=int)
    ask.add_argument("--unsafe-max", type=int)
    ask.add_argument("--page")
    ask.add_argument("files", nargs="+")
    a = ask.parse_args()
    kernel, ours = read(a.files[0]), read(a.files[1])
    annotated = read(a.files[2]) if len(a.files) > 2 else {}
    none = ("crash", "no verdict", 0, 0)

    cases = [(key, category(kernel[key], ours.get(key, none)), kernel[key],
              ours.get(key, none)) for key in kernel]
    by_object = collections.defaultdict(collections.Counter)
    every, counted = collections.Counter(), collections.Counter()
    for (obj, _), name, _, _ in cases:
        by_object[obj][name] += 1
        every[name] += 1
        counted[name] += bool(re.fullmatch(a.counted, obj)) or not a.counted
    totals = [("all", every)]
    if a.counted:
        totals = [("those that count", counted)] + totals
    lines = list(table(by_object, totals))
    print("\n".join(lines))
    if a.v:
        details(cases, annotated)
    if a.page:
        page_write(a.page, lines)

    slowest = max(ours.values(), key=lambda x: x[2], default=none)
    largest = max(ours.values(), key=lambda x: x[3], default=none)
    print(f"\nslowest: {slowest[2]} ms, most memory: {largest[3]} KiB")
    bad = every["crash"]
    for name, limit in ("refused", a.refused_max), ("unsafe", a.unsafe_max):
        if limit is not None and counted[name] > limit:
            print(f"{CATEGORIES[name][1]}: {counted[name]}, not {limit}")
            bad += 1
    if every["crash"]:
        print(f"no verdict of ours: {every['crash']}")
    return 1 if bad else 0


sys.exit(main())
