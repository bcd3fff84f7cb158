# SPDX-License-Identifier: MIT
"""stress.py SEED N - N random functions in assembly, for stress.sh.

What compilers make is tame; this is what assembly may do: every addressing
mode, partial registers, flags that live long, red zones, calls with arguments
in any register, jump tables, loops to the entry, prefixes, short tails.  What
holds everywhere: r15 points to `buf` and r14 is 0 to 3, so that memory
operands stay inside; rsp is a stack.  Each instruction's address goes into
section .marks, which is not loaded: a probe may go there, and nothing else
gives the address away.
"""
import random
import sys

R = random.Random(int(sys.argv[1]))
N = int(sys.argv[2])
CPU = open("/proc/cpuinfo").read().split()

NAMES = {"rax": "eax ax al", "rcx": "ecx cx cl", "rdx": "edx dx dl",
         "rbx": "ebx bx bl", "rbp": "ebp bp bpl", "rsi": "esi si sil",
         "rdi": "edi di dil"}
for n in range(8, 15):
    NAMES[f"r{n}"] = f"r{n}d r{n}w r{n}b"
CONDS = "o no b ae e ne be a s ns p np l ge le g".split()
ALU = "add or adc sbb and sub xor cmp".split()
SUFFIX = {64: "q", 32: "l", 16: "w", 8: "b"}
out = []
serial = 0
marking = True


def label():
    global serial
    serial += 1
    return f".L{serial}"


def emit(*lines):
    """Instructions, each a place for a probe."""
    for line in lines:
        if not marking:
            out.append("\t" + line)
            continue
        out.append("\t.pushsection .marks, \"\", @progbits\n"
                   f"\t.quad 7f\n\t.popsection\n7:\t{line}")


def raw(*lines):
    out.extend(lines)


class Func:
    """One function being made: what may be overwritten, how deep it is."""

    def __init__(self, name):
        self.name = name
        self.keep = {"rsp", "r15", "r14"}
        self.depth = 0
        self.red = False
        self.leaves = False  # by a jump to another function

    def regs(self):
        return [r for r in NAMES if r not in self.keep]

    def reg(self, bits=64, any_reg=False):
        r = R.choice(list(NAMES) if any_reg else self.regs())
        if bits == 64:
            return "%" + r
        return "%" + NAMES[r].split()[{32: 0, 16: 1, 8: 2}[bits]]

    def mem(self):
        d = R.randrange(0, 200) * 8
        kinds = [f"{d}(%r15)", f"{d}(%r15,%r14,8)", f"{d % 120}(%r15,%r14,4)",
                 f"buf+{d}(%rip)", f"buf+{d}(%rip)", f"{d % 64}(%r15,%r14)"]
        if self.red:
            kinds += [f"-{R.randrange(2, 17) * 8}(%rsp)"] * 3
        if self.depth > 8:
            kinds += [f"{R.randrange(0, self.depth // 8 - 1) * 8}(%rsp)"] * 2
        return R.choice(kinds)


def alu(f):
    bits = R.choice([8, 16, 32, 32, 64, 64])
    op = R.choice(ALU + ["mov", "test"])
    s = SUFFIX[bits]
    imm = R.choice([1, -1, 0, 0x7f, R.randrange(-128, 127)] +
                   ([R.randrange(-2**31, 2**31)] if bits >= 32 else []))
    emit(R.choice([
        f"{op}{s} {f.reg(bits, True)}, {f.reg(bits)}",
        f"{op}{s} ${imm}, {f.reg(bits)}",
        f"{op}{s} {f.reg(bits, True)}, {f.mem()}",
        f"{op}{s} ${imm}, {f.mem()}",
        f"{op}{s} {f.mem()}, {f.reg(bits)}" if op != "test" else
        f"test{s} {f.reg(bits)}, {f.mem()}",
    ]))


def high_byte(f):
    h = [b for r, b in (("rax", "%ah"), ("rcx", "%ch"), ("rdx", "%dh"),
                        ("rbx", "%bh")) if r not in f.keep]
    if h:
        emit(f"{R.choice(ALU + ['mov'])}b {R.choice(['%al', '%bl', '%ch'])}, "
             f"{R.choice(h)}",
             f"set{R.choice(CONDS)} {R.choice(h)}")


def unary(f):
    bits = R.choice([8, 16, 32, 64])
    op = R.choice("inc dec neg not".split()) + SUFFIX[bits]
    emit(f"{op} {R.choice([f.reg(bits), f.mem()])}")


def shift(f):
    bits = R.choice([8, 16, 32, 64])
    op = R.choice("shl shr sar rol ror rcl rcr".split())
    n = R.choice(["%cl", "$1", f"${R.randrange(0, 70)}", "$0"])
    emit(R.choice([f"{op}{SUFFIX[bits]} {n}, {f.reg(bits)}",
                   f"shld {n}, {f.reg(64, True)}, {f.reg()}",
                   f"shrd {n}, {f.reg(32, True)}, {f.reg(32)}"]))


def bits(f):
    op = R.choice("bsf bsr popcnt tzcnt lzcnt".split())
    w = R.choice([16, 32, 64])
    emit(R.choice([
        f"{op} {f.reg(w, True)}, {f.reg(w)}",
        f"bt{R.choice(['', 's', 'r', 'c'])} ${R.randrange(16)}, {f.reg(w)}",
        f"bt{R.choice(['', 's', 'r', 'c'])} {f.reg(w, True)}, {f.reg(w)}",
        f"bswap {f.reg(32)}", f"bswap {f.reg()}",
        f"crc32q {f.reg(64, True)}, {f.reg()}",
    ]))


def multiply(f):
    if not {"rax", "rdx"} & f.keep:
        emit(R.choice([
            f"mul{SUFFIX[w]} {f.reg(w, True)}" if (w := R.choice(
                [8, 16, 32, 64])) else "", f"imulq {f.mem()}",
            "cwtd", "cltd", "cqto", "cbtw", "cwtl", "cltq"]))
    emit(R.choice([f"imul {f.reg(64, True)}, {f.reg()}",
                   f"imul ${R.randrange(-999, 999)}, {f.mem()}, {f.reg(32)}"]))


def divide(f):
    if {"rax", "rdx", "rcx"} & f.keep:
        return
    w = R.choice([8, 16, 32, 64])
    emit(f"mov ${R.randrange(1, 99)}, %ecx")
    emit("movzbl %al, %eax" if w == 8 else "xor %edx, %edx")
    emit(f"div{SUFFIX[w]} %{ {8: 'cl', 16: 'cx', 32: 'ecx', 64: 'rcx'}[w]}")


def exchange(f):
    w = R.choice([8, 16, 32, 64])
    lock = R.choice(["", "lock "])
    lines = [f"xchg {f.reg(w)}, {f.reg(w)}",
             f"xchg {f.reg(w)}, {f.mem()}",
             f"{lock}xadd {f.reg(w)}, {f.mem()}",
             f"{lock}add{SUFFIX[w]} {f.reg(w, True)}, {f.mem()}",
             f"{lock}incl {f.mem()}"]
    if "rax" not in f.keep:
        lines += [f"{lock}cmpxchg {f.reg(w, True)}, {f.mem()}"] * 2
        if "rdx" not in f.keep:
            lines += ["cmpxchg8b 64(%r15)", "lock cmpxchg16b 128(%r15)"]
    emit(R.choice(lines))


def convert(f):
    emit(R.choice([
        f"movzbl {f.reg(8, True)}, {f.reg(32)}",
        f"movzwl {f.mem()}, {f.reg(32)}",
        f"movsbw {f.mem()}, {f.reg(16)}",
        f"movslq {f.reg(32, True)}, {f.reg()}",
        f"movsbq {f.reg(8, True)}, {f.reg()}",
        f"set{R.choice(CONDS)} {f.reg(8)}",
        f"set{R.choice(CONDS)} {f.mem()}",
        f"cmov{R.choice(CONDS)} {f.reg(64, True)}, {f.reg()}",
        f"cmov{R.choice(CONDS)} {f.reg(32, True)}, {f.reg(32)}",
        f"cmov{R.choice(CONDS)} {f.mem()}, {f.reg()}",
        f"lea {R.randrange(-99, 99)}({f.reg(64, True)},{f.reg(64, True)},4), "
        f"{f.reg()}",
        f"lea (,{f.reg(64, True)},8), {f.reg(32)}",
        f"lea buf+8(%rip), {f.reg()}",
        f"movabs $0x{R.getrandbits(63):x}, {f.reg()}",
        f"xor {(r := f.reg(32))}, {r}",
        f"sbb {(r := f.reg(32))}, {r}",
    ]))


def flags(f):
    emit(R.choice(["clc", "stc", "cmc", "cld"]))
    if "rax" not in f.keep:
        emit(R.choice(["lahf", "sahf"]))
    if R.random() < .3 and not f.red:
        emit("pushfq", f"popq {f.reg()}")
    if R.random() < .2 and not f.red:
        emit(f"pushq ${0x202 | R.choice([0, 1, 0x40, 0x80, 0x800, 0x8c5])}",
             "popfq")


def string(f):
    if {"rsi", "rdi", "rcx", "rax"} & f.keep:
        return
    emit(f"lea {R.randrange(0, 64) * 8}(%r15), %rdi", "lea buf+512(%rip), %rsi",
         f"mov ${R.choice([0, 0, 1, 3, 7])}, %ecx",
         R.choice(["rep stosb", "rep movsl", "repe cmpsb", "repne scasb",
                   "rep lodsw", "stosq", "movsb", "scasw", "cmpsl", "lodsb",
                   "rep stosq"]))


def odd(f):
    """Rare instructions with hidden operands."""
    what = R.randrange(7)
    if what == 0 and not {"rax", "rbx"} & f.keep:
        emit("mov %r15, %rbx", "xlatb")
    elif what == 1 and not {"rax", "rbx", "rcx", "rdx"} & f.keep:
        emit("xor %eax, %eax", "cpuid")
    elif what == 2 and not {"rax", "rdx"} & f.keep:
        # One place only: no probe sees the time.
        emit("rdtsc\n\txor %eax, %eax\n\tmov %eax, %edx")
    elif what == 3 and not {"rax", "rcx", "r11"} & f.keep and not f.red:
        emit("mov $39, %eax",
             "syscall\n\txor %eax, %eax\n\tmov %eax, %ecx")
    elif what == 4 and not f.red:
        emit("int3")
    elif what == 5 and "rbp" not in f.keep and not f.red:
        emit("enter $16, $0")
        f.keep.add("rbp")
        simple(f)
        f.keep.remove("rbp")
        emit("leave")
    elif what == 6:
        r = f.reg()
        emit(f"rdsspq {f.reg()}", f"mov %fs:0, {r}\n\txor {r}, {r}")


def vector(f):
    x, y = R.randrange(16), R.randrange(16)
    lines = [f"movdqu {f.mem()}, %xmm{x}", f"paddd %xmm{x}, %xmm{y}",
             f"movq %xmm{x}, {f.reg()}", f"movd {f.reg(32, True)}, %xmm{x}",
             f"pextrw $3, %xmm{x}, {f.reg(32)}",
             f"pmovmskb %xmm{x}, {f.reg(32)}", f"movups %xmm{x}, {f.mem()}",
             f"ptest %xmm{x}, %xmm{y}", f"ucomisd %xmm{x}, %xmm{y}",
             "palignr $3, buf+16(%rip), %xmm1", "pcmpeqb buf(%rip), %xmm2"]
    if "avx" in CPU:
        lines += ["vpshufd $27, buf+32(%rip), %xmm3",
                  f"vpaddq %xmm{x}, %xmm{y}, %xmm5",
                  "vinsertps $16, buf+4(%rip), %xmm9, %xmm2"]
    if "avx512vl" in CPU:
        lines += ["vpaddd buf+64(%rip), %xmm17, %xmm4",
                  "vpternlogd $0x96, buf+64(%rip), %xmm3, %xmm12"]
    if "bmi2" in CPU and "adx" in CPU:
        lines += [f"andn {f.mem()}, {f.reg(64, True)}, {f.reg()}",
                  f"mulx {f.mem()}, {f.reg()}, {f.reg()}",
                  f"shlx {f.reg(64, True)}, {f.mem()}, {f.reg()}",
                  f"rorx $7, buf+24(%rip), {f.reg()}",
                  f"pdep {f.reg(64, True)}, {f.reg(64, True)}, {f.reg()}",
                  f"adcx {f.reg(64, True)}, {f.reg()}",
                  f"adox {f.mem()}, {f.reg()}", f"blsr {f.mem()}, {f.reg()}"]
    emit(R.choice(lines))


def pad(f):
    emit(R.choice(["nop", "nopl 8(%rax,%rax)", ".byte 0x66, 0x90", "pause",
                   ".byte 0x66, 0x66, 0x2e, 0x0f, 0x1f, 0x84, 0, 0, 0, 0, 0",
                   f".byte 0x66, 0x40, 0x89, 0x{R.choice(['c0', 'd2'])}",
                   "ds mov %rbx, %rbx", "mfence", "prefetcht0 (%r15)",
                   "endbr64", f"addr32 lea 4(%r14d), {f.reg(32)}"]))


def prefixed(f):
    """Prefixes that change nothing, in front of what they may stand before."""
    if R.random() < .3:
        skip = label()
        emit(f".byte {R.choice(['0x2e', '0x3e'])}; "
             f"j{R.choice(CONDS)} {skip}")
        simple(f)
        raw(f"{skip}:")
        return
    seg = R.choice(["0x2e", "0x36", "0x3e", "0x26", "0x2e, 0x36"])
    emit(R.choice([
        f".byte {seg}; add {f.reg(64, True)}, {f.mem()}",
        f".byte {seg}; mov {f.mem()}, {f.reg(32)}",
        f".byte {seg}; addl ${R.randrange(-99, 99)}, {f.mem()}",
        f".byte 0x66, 0x66; addw ${R.randrange(999)}, {f.reg(16)}",
        f".byte 0x40; sub {f.reg(32, True)}, {f.reg(32)}"
        if R.random() < .5 else f".byte 0xf3; movl ${R.randrange(99)}, "
        f"{f.mem()}",
        f".byte 0xf2; lea {R.randrange(99)}({f.reg(64, True)}), {f.reg()}",
        f".byte {seg}; cmp $0, {f.reg(32)}",
        "rex.W nop", "rex.WRXB cld", ".byte 0x66, 0x48; nopl (%rax)",
        f".byte 0xf2; lock decl {f.mem()}",
    ]))


def stack(f):
    if f.red:
        return
    emit(R.choice([f"push {f.reg(64, True)}", f"pushq ${R.randrange(999)}",
                   "push %rsp", f"pushq {f.mem()}", "pushw $7\n\tpushw $8\n"
                   "\tpushw $9\n\tpushw $1"]))
    f.depth += 8
    if R.random() < .5:
        simple(f)
    f.depth -= 8
    emit(R.choice([f"pop {f.reg()}", "lea 8(%rsp), %rsp", "add $8, %rsp",
                   f"popq {R.randrange(99) * 8}(%r15)"]))


def call(f):
    """Arguments in any register, and the callee keeps what it likes."""
    if f.red or "r11" in f.keep or "r10" in f.keep:
        return
    to = R.choice(["leaf0", "leaf1", "leaf2"])
    kind = R.randrange(8)
    if kind == 0:
        emit(f"lea {to}(%rip), %r11", "call *%r11")
    elif kind == 1:
        emit(f"call *{to}_ptr(%rip)")
    elif kind == 2:
        emit(f"pushq {to}_ptr(%rip)", "call *(%rsp)", "pop %r10")
    elif kind == 3:
        emit(f"lea {to}(%rip), %r10", "mov %r10, -8(%rsp)",
             "lea -8(%rsp), %rsp", "call *(%rsp)", "lea 8(%rsp), %rsp")
    elif kind == 4:
        skip = label()
        emit(f"call {skip}")
        raw(f"{skip}:")
        emit(f"pop {f.reg()}")
    elif kind == 5:
        emit("push $1", "push %rdi", "call leaf_ret16")
    elif kind == 6:
        emit(f"lea {to}_ptr-64(%rip), %r11", "mov $8, %r10d",
             "call *(%r11,%r10,8)")
    else:
        emit(f"call {to}")


def forward(f):
    skip = label()
    if R.random() < .15 and "rcx" not in f.keep:
        emit(f"jrcxz {skip}" if R.random() < .5 else f"jecxz {skip}")
    else:
        emit(f"j{R.choice(CONDS)} {skip}")
    for _ in range(R.randrange(1, 4)):
        simple(f)
    raw(f"{skip}:")


def loop(f):
    c = "rcx" if R.random() < .5 else "rbx"
    if c in f.keep:
        return
    top = label()
    emit(f"mov ${R.randrange(1, 5)}, %{NAMES[c].split()[0]}")
    raw(f"{top}:")
    f.keep.add(c)
    for _ in range(R.randrange(1, 4)):
        simple(f)
    f.keep.remove(c)
    if c == "rcx":
        emit(R.choice([f"loop {top}", f"addr32 loop {top}",
                       f"dec %ecx\n\tjnz {top}"]))
    else:
        emit("dec %rbx", f"jg {top}")


def switch(f):
    global marking
    if {"rdx", "rcx"} & f.keep:
        return
    table, end = label(), label()
    cases = [label() for _ in range(4)]
    inline = R.random() < .4
    emit("mov %r14d, %ecx" if R.random() < .5 else "and $3, %ecx",
         f"lea {table}(%rip), %rdx", "movslq (%rdx,%rcx,4), %rcx",
         "add %rdx, %rcx", R.choice(["jmp *%rcx", "notrack jmp *%rcx",
                                     "rex.W jmp *%rcx", "bnd jmp *%rcx"]))
    raw("" if inline else "\t.section .rodata", "\t.balign 4", f"{table}:")
    raw(*[f"\t.long {c} - {table}" for c in cases])
    # What is behind data cannot be told from data.
    marking = marking and not inline
    raw("" if inline else "\t.text")
    R.shuffle(cases)
    for c in cases:
        raw(f"{c}:")
        for _ in range(R.randrange(1, 3)):
            simple(f)
        if c != cases[-1]:
            emit(f"jmp {end}")
    raw(f"{end}:")


SIMPLE = [alu] * 8 + [prefixed, unary, shift, bits, multiply, exchange, flags, vector,
                      pad, high_byte] * 2 + [convert] * 6 + [divide, odd]
LARGE = [stack, call, forward, loop, switch, string, call, forward]


def simple(f):
    R.choice(SIMPLE)(f)


def frame_open(f):
    f.kind = R.choice(["red", "push", "frame", "sub", "none"])
    f.red = f.kind == "red"
    if f.kind == "push":
        f.saved = R.sample(f.regs() if R.random() < .3 else
                           ["rbx", "rbp", "r12"], R.randrange(1, 4))
        emit(*[f"push %{r}" for r in f.saved])
        f.depth = 8 * len(f.saved)
    elif f.kind == "frame":
        emit("push %rbp", "mov %rsp, %rbp", "sub $32, %rsp")
        f.keep.add("rbp")
        f.depth = 32
    elif f.kind == "sub":
        f.size = R.choice([24, 40, 200])
        emit(f"sub ${f.size}, %rsp")
        f.depth = min(f.size, 40)
    if f.kind in ("frame", "sub"):  # nobody reads what he has not written
        emit(*[f"movq ${i}, {i}(%rsp)" for i in range(0, f.depth, 8)])


def frame_close(f):
    if f.kind == "push":
        emit(*[f"pop %{r}" for r in reversed(f.saved)])
    elif f.kind == "frame":
        emit("leave")
    elif f.kind == "sub":
        emit(f"add ${f.size}, %rsp")


def leave(f, i):
    """The last instruction: a ret, or a jump to somewhere that has one.  leaf1
    reads its return address, which a jump's return probe exchanges."""
    to = R.choice(["leaf0", "leaf2"])
    kind = R.randrange(12)
    if kind == 0 and i:
        f.leaves = True
        emit(f"jmp f{R.randrange(i)}")
    elif kind == 1:
        emit(f"jmp {to}")
    elif kind == 2:
        emit(R.choice([f"jmp *{to}_ptr(%rip)",
                       f"notrack jmp *{to}_ptr(%rip)"]))
    elif kind == 3 and "r11" not in f.keep:
        emit(f"lea {to}(%rip), %r11", R.choice(["jmp *%r11", "bnd jmp *%r11"]))
    elif kind == 4:
        emit(f"j{R.choice(CONDS)} {to}", "ret")
    elif kind == 5 and "r10" not in f.keep:
        emit(f"mov {to}_ptr(%rip), %r10", "mov %r10, -32(%rsp)",
             "jmp *-32(%rsp)")
    elif kind == 6 and "r10" not in f.keep:
        emit(f"lea {to}_ptr-8(%rip), %r10", "jmp *8(%r10)")
    else:
        emit(R.choice(["ret", "ret", "repz ret", "rex.W ret", "bnd ret"]))


def function(i):
    global marking
    marking = True
    f = Func(f"f{i}")
    raw("\t.balign 16" if R.random() < .7 else "", f"\t.globl {f.name}",
        f"\t.type {f.name}, @function", f"{f.name}:", "\t.cfi_startproc")
    if R.random() < .3:
        raw("\tendbr64")
    raw(f".Lentry{i}:")
    short = R.random() < .15
    if short:  # a few bytes, and what makes the next one follow at once
        f.kind, f.red = "none", R.random() < .5
        for _ in range(R.randrange(0, 3)):
            simple(f)
    else:
        frame_open(f)
        for _ in range(R.randrange(2, 14)):
            R.choice(SIMPLE * 2 + LARGE * 4)(f)
        if f.kind == "push" and R.random() < .3:
            shared_tail(f, i)
        frame_close(f)
        if R.random() < .3:
            emit("decl turns(%rip)", f"jg .Lentry{i}")
    leave(f, i)
    raw("\t.cfi_endproc", f"\t.size {f.name}, . - {f.name}")
    return f.red and not f.leaves


tails = {}  # what is pushed -> a label in front of the pops of some function


def shared_tail(f, i):
    """Either the end of another function, or an end for others."""
    known = tuple(f.saved)
    if known in tails and R.random() < .8:
        emit(f"j{R.choice(CONDS)} {tails[known]}")
        simple(f)
    raw(f".Ltail{i}:")
    tails[known] = f".Ltail{i}"


raw("\t.text")
raw(""
    "leaf0:\tlea 1(%r10,%r11), %r10\n\tadd $3, %rax\n\tret\n"
    "leaf1:\tadd (%rsp), %rdx\n\tmov %edi, %r11d\n\tret\n"
    "leaf2:\tpush %rbx\n\txor %ebx, %ebx\n\tadd %rbx, %rsi\n\tpop %rbx\n\tret\n"
    "leaf_ret16:\tmov 8(%rsp), %r10\n\tadd %r10, 8(%r15)\n\tret $16")
leaves = [function(i) for i in range(N)]
raw("\t.section .data.rel.ro, \"aw\"", "\t.balign 8")
raw(*[f"{n}_ptr: .quad {n}" for n in ("leaf0", "leaf1", "leaf2")])
raw("\t.globl functions, nfunctions", "functions:")
raw(*[f"\t.quad f{i}, {int(red)}" for i, red in enumerate(leaves)])
raw(f"nfunctions: .quad {N}")
raw("\t.section .note.GNU-stack, \"\", @progbits")
print("\n".join(out))
