#!/usr/bin/env bash
# Every entry of the C library and of the dynamic loader, which run before, below
# and behind everything, in a workload with forks, pipes and locales.
. "$(dirname "$0")/common-diff.sh"
. "$(dirname "$0")/../targets/common.sh"
libraries=$(ldd /bin/bash | grep -oE '/[^ ]*/(libc\.so\.6|ld-linux-x86-64\.so\.2)')
[ -n "$libraries" ] || skip "bash is not linked to glibc"

cat > $t/script <<'END'
for i in 1 2 3; do echo $i | cat; done
printf '%s\n' {1..20} | sort -rn | tail -2
LC_ALL=C ls /
END
for lib in $libraries; do
	for engine in native vm; do
		judge_command "${lib##*/}, $engine" $lib --engine=$engine \
			$O/entries.bpf.o -p 'entry=uprobe:*' -- bash $t/script
		! grep -E 'no probe was hit|nothing was compared' $t/diff.err ||
			die "says nothing ($engine): $lib"
	done
done
