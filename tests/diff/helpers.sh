#!/usr/bin/env bash
# Every helper with its failures, every word of pt_regs, every way to place a
# program, both engines and instruction sets: as under the kernel.
. "$(dirname "$0")/common-diff.sh"
helpers_build

# On one CPU, so that bpf_get_smp_processor_id() is compared, too.
cpu=$(taskset -cp $$ | grep -o '[0-9]*$')
one_cpu=(taskset -c "$cpu")
judge $t/helpers $O/helpers.bpf.o "${helpers[@]}" -- \
	"${one_cpu[@]}" $t/helpers
judge $t/helpers $O/places.bpf.o "${places[@]}" -- $t/helpers
judge --fault=syscall $t/helpers $O/helpers.bpf.o "${helpers[@]}" -- \
	"${one_cpu[@]}" $t/helpers
judge --fault=signal $t/helpers $O/helpers.bpf.o "${helpers[@]}" -- \
	"${one_cpu[@]}" $t/helpers

# What is masked is what varies by nature, and nothing else.
$W diff -v $t/helpers $O/helpers.bpf.o "${helpers[@]}" -- \
	"${one_cpu[@]}" $t/helpers 2>/dev/null | grep '^masked' > $t/masked
diff - $t/masked <<'END' || die "masked: other fields"
masked: who.pid_tgid: 2
masked: who.ktime: 2
masked: who.boot: 2
masked: who.random: 2
END

# 32-bit instructions, both objects at once, another layout.
bpf $D/helpers.bpf.c -mcpu=v3
bpf $D/places.bpf.c -mcpu=v3
helpers_build -no-pie
judge $t/helpers $t/helpers.bpf.o $t/places.bpf.o "${helpers[@]}" \
	"${places[@]}" -p each=uprobe:one_? -- "${one_cpu[@]}" $t/helpers
