# SPDX-License-Identifier: MIT
"""stress-cxx.py SEED N - N random C++ functions and a main() that calls them
and prints what they return, for stress.sh.  Compilers make of them what they
make of programs: jump tables, landing pads, cold parts, shared tails, calls
through pointers, setjmp, computed goto, floating point, varargs, alloca.
"""
import random
import sys

R = random.Random(int(sys.argv[1]))
N = int(sys.argv[2])
VARS = ["a", "b", "c", "d", "s"]


def var():
    return R.choice(VARS)


def expr(depth=2):
    if depth == 0 or R.random() < .25:
        return R.choice([var(), var(), f"(u64)({R.randrange(-300, 300)})",
                         f"m[{var()} & 15]", f"({R.getrandbits(40)}UL)"])
    x, y = expr(depth - 1), expr(depth - 1)
    return R.choice([
        f"({x} {R.choice('+ - * & | ^'.split())} {y})",
        f"({x} {R.choice('+ - * & | ^'.split())} {y})",
        f"({x} {R.choice(['<', '>=', '==', '!='])} {y} ? {x} : {y})",
        f"({x} << ({y} & 31))", f"({x} >> ({y} & 63))",
        f"({x} / ({y} | 1))" if R.random() < .5 else f"({x} % ({y} | 7))",
        f"(u64)(int)({x})", f"(u64)(unsigned char)({x})",
        f"(u64)(short){var()}",
        f"(u64)(long)((double)(int)({x}) * 1.5)",
        f"(u64)__builtin_popcountl({x})", f"rotate({x}, {y})"])


def call(i):
    return f"g{R.randrange(i)}({expr(1)}, {expr(1)}, m)" if i else expr(1)


def statement(i, depth):
    kind = R.randrange(15)
    v = var()

    def inner():
        return block(i, depth - 1) if depth else f"{var()} ^= 7;"

    if kind == 0:
        cases = "".join(f"case {k}: {inner()} {R.choice(['break;', ''])}\n"
                        for k in range(R.randrange(4, 9)))
        return f"switch ({expr(1)} & 7) {{ {cases} default: {v}++; }}"
    if kind == 1:
        return f"if ({expr(1)} & 1) {{ {inner()} }} else {{ {inner()} }}"
    if kind == 2:
        return (f"for (int i = 0; i < {R.randrange(1, 6)}; i++) "
                f"{{ {v} += i; {inner()} }}")
    if kind == 3:
        return (f"try {{ {inner()} if ({expr(1)} % 3 == 0) throw {v}; "
                f"guard g(m); {v} = {call(i)}; }} "
                f"catch (u64 x) {{ {var()} ^= x; {inner()} }}")
    if kind == 4:
        return f"{{ guard g(m); {v} += {call(i)}; }}"
    if kind == 5:
        return f"m[{var()} & 15] = {expr()};"
    if kind == 6:
        return f"{v} += hop{i}({v}, m);"
    if kind == 7:
        return f"{v} = sum(3, {var()}, {var()}, {var()});"
    if kind == 8:
        return f"m[3] ^= leap{i}({var()});"
    if kind == 9:
        return (f"{{ u64 *p = (u64 *)__builtin_alloca(64 + ({v} & 63)); "
                f"p[1] = {expr(1)}; m[1] += p[1] ^ touch(p + 1); }}")
    if kind == 10 and i:
        return f"{v} ^= table[(u64)({expr(1)}) % {i}]({var()}, {var()}, m);"
    return f"{v} {R.choice(['=', '+=', '^=', '-='])} {expr()};"


def block(i, depth):
    return "\n".join(statement(i, depth) for _ in range(R.randrange(1, 4)))


print("""#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
typedef unsigned long u64;
typedef u64 fn(u64, u64, u64 *);
#define FN extern "C" __attribute__((noinline)) u64
static int fuel;
struct guard { u64 *m; guard(u64 *m) : m(m) { m[0]++; }
  ~guard() { m[0] ^= 5; } };
static inline u64 rotate(u64 x, u64 n)
{ return x << (n & 63) | x >> (-n & 63); }
__attribute__((noinline)) static u64 touch(u64 *p) { return ++*p; }
__attribute__((noinline, noreturn)) static void jump(jmp_buf e, u64 k)
{ longjmp(e, k & 1 ? 1 : 2); }
__attribute__((noinline)) static u64 sum(int n, ...)
{ va_list l; u64 s = 0; va_start(l, n); while (n--) s += va_arg(l, u64);
  va_end(l); return s; }""")
print("extern fn *const table[];")
for i in range(N):
    tail = (f"return {call(i)};" if R.random() < .3 else
            f"return a ^ b ^ c ^ d ^ s;")
    print(f"__attribute__((noinline)) static u64 leap{i}(u64 z) {{ jmp_buf e; "
          f"u64 volatile k = z; int n = setjmp(e); "
          f"if (!n) {{ k = k + {i}; jump(e, k); }} return k + n; }}")
    print(f"static u64 hop{i}(u64 z, u64 *m) {{ static const void *const t[] ="
          f" {{ &&x, &&y, &&w }}; goto *t[z % 3]; x: m[{i % 16}] ^= z *= 3; "
          f"if (--fuel > 0 && z & 8) goto *t[(z >> 4) & 1]; "
          f"y: return z ^ 9; w: return z + m[{i % 9}]; }}")
    print(f"FN g{i}(u64 a, u64 b, u64 *m) {{\n"
          f"u64 c = a ^ {R.randrange(99)}, d = b * 3, s = 1;\n"
          f"if (--fuel < 0) return a;\n{block(i, 2)}\n{tail}\n}}")
print("fn *const table[] = {", ", ".join(f"g{i}" for i in range(N)), "};")
print(f"""int main() {{
  for (int i = 0; i < {N}; i++)
    for (u64 k = 0; k < 4; k++) {{
      u64 m[16] = {{ k, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15 }}, r;
      fuel = 3000;
      try {{ r = table[i](k * 77, i + k, m); }} catch (u64 x) {{ r = ~x; }}
      for (u64 v : m) r = r * 31 + v;
      printf("g%d.%lu %016lx\\n", i, k, r);
      fflush(stdout);
    }}
}}""")
