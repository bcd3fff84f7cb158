# SPDX-License-Identifier: MIT
# A workload for python3: the language, its containers, modules in C, errors.
# bash python3.sh DIRECTORY [TIMES]
set -e
rm -rf "$1/work"
mkdir -p "$1/work"
cd "$1/work"
times=${2:-1}
unset LD_PRELOAD # with which every .pyc would look out of date
export PYTHONHASHSEED=0 PYTHONDONTWRITEBYTECODE=1 LC_ALL=C.UTF-8 HOME=$PWD
cat >work.py <<'EOF'
import array
import collections
import contextlib
import ctypes
import decimal
import functools
import hashlib
import heapq
import io
import itertools
import json
import os
import random
import re
import struct
import sys
import threading
import zlib

times = int(sys.argv[1])
sys.setswitchinterval(1000)


class Shape:
    __slots__ = ("w", "h")

    def __init__(self, w, h):
        self.w, self.h = w, h

    @property
    def area(self):
        return self.w * self.h

    def __lt__(self, other):
        return self.area < other.area


@functools.lru_cache(maxsize=100)
def fib(n):
    return n if n < 2 else fib(n - 1) + fib(n - 2)


def deep(n):
    return 0 if n == 0 else 1 + deep(n - 1)


@contextlib.contextmanager
def noted(log, name):
    log.append("+" + name)
    try:
        yield name
    finally:
        log.append("-" + name)


def errors():
    out = []
    for f in (lambda: 1 // 0, lambda: [][1], lambda: {}["k"],
              lambda: int("x"), lambda: "a" + 1, lambda: deep(10**4),
              lambda: open("/nonexistent"), lambda: b"\xff".decode()):
        try:
            f()
        except Exception as e:
            out.append(type(e).__name__)
    return out


async def waits(n):
    return n + 1


def coroutine(n):
    c = waits(n)
    try:
        c.send(None)
    except StopIteration as e:
        return e.value


for k in range(times):
    r = random.Random(k)
    words = [f"w{r.randrange(50)}" for _ in range(300)]
    count = collections.Counter(words)
    print(sorted(count.items(), key=lambda i: (-i[1], i[0]))[:3], fib(90))
    shapes = sorted(Shape(r.randrange(9), r.randrange(9)) for _ in range(50))
    print([s.area for s in shapes][::10], heapq.nsmallest(3, words))
    text = json.dumps({"list": words[:5], "n": [1, 2.5, None, True, "\u00e9"],
                       "nested": {str(i): {"i": i} for i in range(9)}},
                      indent=1, sort_keys=True)
    print(len(text), json.loads(text)["nested"]["3"], zlib.crc32(text.encode()))
    packed = zlib.compress(text.encode() * 20, 6)
    print(len(zlib.decompress(packed)), hashlib.sha256(packed).hexdigest()[:9])
    print(re.sub(r"(\w)(\d+)", lambda m: m[2] + m[1], " ".join(words))[:40],
          re.findall(r"w(?:1|2)\d\b", " ".join(words))[:5])
    print(struct.unpack("<hIqd", struct.pack("<hIqd", -3, 7, 1 << 40, .5)),
          array.array("d", [1.5] * 3).tolist(), 3 ** 200 % 10**9, -7 // 2,
          divmod(-7, 2), f"{1 / 3:.4f} {1234567:,} {255:#x} {'x':>5}|")
    log = []
    with noted(log, "a"), noted(log, "b"):
        log.append("in")
    print(log, errors(), deep(200), coroutine(4))
    print(list(itertools.islice((x * y for x in itertools.count(1)
                                 for y in range(3)), 8)),
          [*map(sum, zip(range(5), range(5, 10)))],
          {i % 3: i for i in range(10)}, set("hello") & set("world") == {"l",
                                                                         "o"})
    match (k, "x", [1, 2, 3]):
        case (_, str(s), [first, *rest]):
            print(s, first, rest)
    done = []
    t = threading.Thread(target=lambda: done.append(fib(50)))
    t.start()
    t.join()
    print(done, decimal.Decimal(2).sqrt(), "straße".upper(), "ab c".title())
    f = io.StringIO("one\ntwo\n")
    print([line.strip() for line in f], os.path.join("a", "b"),
          eval("2 * (3 + 4)"), ctypes.sizeof(ctypes.c_long))
pid = os.fork()
if pid == 0:
    os._exit(deep(7))
print(os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]))
raise SystemExit(3)
EOF
/usr/bin/python3.11 -S -s work.py "$times" || echo "exit $?"
[ -z "${SHORT-}" ] || exit 0
seq 1 300 >data
/usr/bin/python3.11 -S -s -c 'import sys; print(sum(map(int, sys.stdin)))' <data
/usr/bin/python3.11 -S -s -m ast <<<'x = [i for i in f(1)]' | cksum
/usr/bin/python3.11 -S -s -c 'def f(:' 2>&1 || echo "exit $?"
