#!/usr/bin/env bash
# SPDX-License-Identifier: MIT
# A program whose states are large, and many, does not take all memory; where
# there is not enough for us, that is said, and nothing is written.
. "$(dirname "$0")/../common.sh"
cd $t

# Eight frames, 62 slots in each; below them a loop that is walked through.
awk -v n=62 '
function body(name, inner,   k, s) {
	s = "r6 = r1;"
	for (k = 0; k < n; k++)
		s = s sprintf("r2 = *(u64 *)(r6 + %d); *(u64 *)(r10 - %d) = r2;",
			k % 20 * 8, 8 * (k + 1))
	s = s inner "r0 = 0;"
	for (k = 0; k < n; k++)
		s = s sprintf("r2 = *(u64 *)(r10 - %d); r0 += r2;", 8 * (k + 1))
	printf "%s\n{\n\tasm volatile(\"%sexit;\");\n}\n", name, s
}
BEGIN {
	print "#include <linux/ptrace.h>\n#include <bpf/bpf_helpers.h>"
	print "#define SUB static __attribute__((naked, noinline, used)) int"
	loop = "r7 = 0; r8 = *(u64 *)(r6 + 0); 1: r7 += 1; if r8 == r7 goto 2f;"
	loop = loop "r9 = r7; r9 += 1; r9 += 1; r9 += 1; r9 += 1; r9 += 1;"
	loop = loop "if r8 == r9 goto 2f; 2: if r7 < 60000 goto 1b;"
	body("SUB f7(struct pt_regs *ctx)", loop)
	for (i = 6; i; i--)
		body("SUB f" i "(struct pt_regs *ctx)",
			"r1 = r6; call f" i + 1 ";")
	body("SEC(\"uprobe//proc/self/exe:main\") __attribute__((naked))\n" \
		"int large(struct pt_regs *ctx)", "r1 = r6; call f1;")
	print "char _license[] SEC(\"license\") = \"GPL\";"
}' > large.bpf.c
bpf large.bpf.c
$CC -o app -xc - <<< 'int main(void) { return 0; }'

# with KBYTES: weld it with no more room than that
with() { (ulimit -v $1 && exec $W weld app large.bpf.o -o out) > log 2>&1; }

ldd $W | has libasan && skip "a sanitizer needs more addresses than that"
with 1200000 || grep 'BPF program is too large' log > /dev/null ||
	die "with room enough: $(cat log)"
rm -f out
exits 1 with 200000
[ "$(cat log)" = "bpfweld: out of memory" ] || die "says $(cat log)"
[ ! -e out ] || die "written all the same"
