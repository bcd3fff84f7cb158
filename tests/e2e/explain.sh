#!/usr/bin/env bash
# SPDX-License-Identifier: MIT
# check -j and check --explain: a verdict and a reason for every site, the same
# in both; the bytes that are announced are those of the welded file.
. "$(dirname "$0")/../common.sh"
need python3
cd "$t"

cat > fixture.S <<'X'
	.text
	.globl	_start
	.macro	F name
	.globl	\name
	.type	\name, @function
\name:	.cfi_startproc
	.endm
	.macro	E name
	.cfi_endproc
	.size	\name, . - \name
	.endm
F _start
	call	room
	call	jumped_into
	call	named
	call	tail
	mov	$60, %eax
	xor	%edi, %edi
	syscall
E _start
F room				# five bytes and more
	push	%rbp
	.cfi_adjust_cfa_offset 8
	mov	%rsp, %rbp
	mov	$7, %eax
	pop	%rbp
	.cfi_adjust_cfa_offset -8
	ret
E room
F jumped_into			# a branch from another function
	inc	%eax
.Lin:	dec	%eax
	inc	%ecx
	ret
E jumped_into
	.globl	jumper		# of which nobody knows whether it is code
	.type	jumper, @function
jumper:	test	%edi, %edi
	je	.Lin
	js	.Lleads
	ret
	.size	jumper, . - jumper
F led_along			# and this one can be changed
	inc	%eax
.Lled:	dec	%eax
	inc	%ecx
	ret
E led_along
F leader
	mov	$1, %eax
.Lleads: test	%edi, %edi
	{disp32} je .Lled
	ret
E leader
F named				# a word of data names its second instruction
	inc	%eax
.Lword:	dec	%eax
	inc	%ecx
	ret
E named
F tabled			# a table that reads as a ret, and more
	call	room
	and	$1, %edi
	lea	.Ltable(%rip), %rdx
	movslq	(%rdx,%rdi,4), %rdi
	add	%rdx, %rdi
	jmp	*%rdi
.Ltable: .long	.Lcase - .Ltable, .Lcase - .Ltable, 0xc3c3c3c3
.Lcase:	mov	$5, %eax
	ret
E tabled
F tail				# left by a jump
	mov	$5, %eax
	jmp	room
E tail
	.data
pointer: .quad .Lword
X
$CC -nostdlib -static -o fixture fixture.S
probe=(-p "busy=uprobe:*")
$W check fixture "$O/busy.bpf.o" "${probe[@]}" -j > check.json

cat > look.py <<'X'
import json, subprocess, sys
tool, target, *objects = sys.argv[1:]
probes = json.load(open("check.json"))["probes"]
want = {"jumped_into": "target-branch", "named": "target-pointer"}

def explain(what):
    return json.loads(subprocess.run(
        [tool, "check", target, *objects, "--explain", what, "-j"],
        stdout=subprocess.PIPE, check=True).stdout)

def same(got, want, what):
    if got != want:
        sys.exit(f"FAILED: {what}: {got}, not {want}")

for p in probes:
    name = p["function"]
    same(p["verdict"], "refused" if name in want else "placed", name)
    same(p.get("code"), want.get(name), name)
    for by in name, p["address"]:
        x = explain(by)
        same(x["function"], name, by)
        same(x["placed"], p["placed"], by)
        same(x.get("code"), p.get("code"), by)
        same(x.get("reason"), p.get("reason"), by)
        same(x["tactics"][-1]["taken"], p["placed"], by)
    if p["placed"]:
        same(x["tactic"], p["places"][0]["tactic"], name)
        same(x["trampoline"], p["places"][0]["trampoline"], name)
        same(x["trampoline_bytes"], p["places"][0]["trampoline_bytes"], name)
        same(x["saves"], p["places"][0]["saves"], name)
same(len(probes), 9, "functions")
x = explain("led_along")
same(x["tactic"], "edge", "led_along")
same([j["to"] for j in x["jumps"]], [f"{int(x['address'], 16) + 2:#x}"],
     "jumps into led_along")
x = explain("tabled")["returns"]
same((x["told_by"], x["reason"]),
     ("return address", "data may stand among its code"), "tabled")
x = explain("tail")["returns"]
same([e["kind"] for e in x["exits"]], ["jump"], "tail's exits")
same(x["told_by"], "exits", "tail")
same(explain("room+1")["cfa_offset"], 16, "the frame at room+1")
X
python3 look.py "$W" fixture "$O/busy.bpf.o" "${probe[@]}"

# C++ exceptions do not forbid that a return address is exchanged.
cat > throws.cc <<'X'
int g(int);
int f(int x) { return x ? g(x - 1) : 0; }
__attribute__((noinline)) int g(int x)
{
	asm volatile("");
	if (x == 99)
		throw 1;
	return x * 2;
}
int main() { try { return f(3); } catch (...) { return 9; } }
X
g++ -O2 -o throws throws.cc
$W check throws --explain _Z1fi > log
grep -q 'left at .*(jump)' log || die "f is not left by a jump: $(cat log)"
! grep -q 'not watched' log || die "$(grep 'not watched' log)"

# Where nothing can be placed, or --strict wants all, it says why all the same.
for args in "-p busy=uprobe:named" "-p busy=uprobe:* --strict"; do
	# shellcheck disable=SC2086
	exits 4 $W check fixture "$O/busy.bpf.o" $args -j > json
	python3 - <<'X'
import json
d = json.load(open("json"))
codes = {p["function"]: p.get("code") for p in d["probes"]}
assert codes["named"] == "target-pointer", codes
assert "not weldable" in d["error"], d["error"]
X
	# shellcheck disable=SC2086
	exits 4 $W check fixture "$O/busy.bpf.o" $args > log 2> err
	grep -q '^0x.* named+0x0 .*not placed: not weldable' log || die "$args"
	[ "$(wc -l < err)" = 1 ] || die "$args: $(cat err)"
done

# Where it comes from.
$W check fixture --explain jumped_into > log
from=$(nm fixture | awk '$3 == "jumper" { print $1 }')
grep -q "<- branch: j.* at 0x$(printf %x $((0x$from + 2))) (jumper+0x2)" log ||
	die "the branch is not named: $(cat log)"
named=$(nm fixture | awk '$3 == "named" { print $1 }')
data=$(nm fixture | awk '$3 == "pointer" { print $1 }')
$W check fixture --explain named > log
grep -q "0x$(printf %x $((0x$named + 2))) .*<- code pointer: the word at 0x$(printf \
	'%x' "0x$data")" log || die "the word is not named: $(cat log)"

# The bytes: with objects those of the welded file, without all but the address.
$W weld fixture "$O/busy.bpf.o" "${probe[@]}" -o fixture.weld > /dev/null 2>&1
cat > bytes.py <<'X'
import json, struct, sys
x, file = json.load(open(sys.argv[1])), open(sys.argv[2], "rb").read()
at, (phoff,) = int(x["patch"], 16), struct.unpack_from("<Q", file, 32)
for i in range(struct.unpack_from("<H", file, 56)[0]):
    kind, _, off, vaddr, _, size = struct.unpack_from(
        "<IIQQQQ", file, phoff + 56 * i)
    if kind == 1 and vaddr <= at < vaddr + size:
        got = file[at - vaddr + off:]
for i, b in enumerate(x["bytes"]):
    if b is not None and int(b, 16) != got[i]:
        sys.exit(f"FAILED: byte {i}: {got[i]:#x}, not {b}")
same = x["bytes"].count(None) == int(sys.argv[3])
sys.exit(None if same else f"FAILED: {x['bytes']}")
X
for f in room tail _start; do
	$W check fixture --explain $f -j > x.json
	python3 bytes.py x.json fixture.weld 4
	$W check fixture "$O/busy.bpf.o" "${probe[@]}" --explain $f -j > x.json
	python3 bytes.py x.json fixture.weld 0
done
echo "ok fixture"

# A real library: what is refused in a run of all entries is refused here.
libc=$(ldd /bin/sh | awk '/libc.so.6/ { print $3 }')
$W check "$libc" "$O/busy.bpf.o" "${probe[@]}" -j > check.json
cat > real.py <<'X'
import json, subprocess, sys
tool, target = sys.argv[1:]
probes = json.load(open("check.json"))["probes"]
for p in probes:
    if p["verdict"] not in ("placed", "refused") or \
            (p["verdict"] == "refused") != ("code" in p):
        sys.exit(f"FAILED: {p}")
pick = [p for p in probes if not p["placed"]][:8] + probes[::500]
for p in pick:
    x = json.loads(subprocess.run(
        [tool, "check", target, "--explain", p["address"], "-j"],
        stdout=subprocess.PIPE, check=True).stdout)
    if (x["placed"], x.get("code")) != (p["placed"], p.get("code")):
        sys.exit(f"FAILED: {p}: {x}")
print(f"ok {target}: {len(pick)} of {len(probes)} entries")
X
python3 real.py "$W" "$libc"

# The manual knows all codes.
sed -n 's/.*\[REASON_.*= "\([a-z-]*\)".*/\1/p' \
	"$SOURCE/rewriter/patch/reason.c" > codes
[ "$(wc -l < codes)" -ge 20 ] || die "$(wc -l < codes) codes"
while read -r code; do
	grep -q "^\\\\fB${code//-/\\\\-}\\\\fP" "$SOURCE/docs/bpfweld.1" ||
		die "$code is not in the manual"
done < codes

# Wrong input.
bad() { # EXIT WORDS ARGUMENTS...
	local want=$1 words=$2; shift 2
	exits "$want" "$W" "$@" > out 2> err
	grep -qF -- "$words" err || die "$*: $(cat err)"
	[ "$(wc -l < err)" = 1 ] || die "$*: $(cat err)"
}
start=$(nm fixture | awk '$3 == "room" { print $1 }')
bad 1 "the nearest are 0x$(printf %x $((0x$start + 1)))" \
	check fixture --explain room+2
bad 1 "did you mean room" check fixture --explain rom
bad 2 "9 functions match" check fixture --explain '*'
bad 1 "no function is known" check fixture --explain 0x10
bad 2 "check's" weld fixture --explain room -o out
bad 2 "no BPF object" check fixture
echo "ok wrong input"
