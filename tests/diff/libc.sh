#!/usr/bin/env bash
# Every entry of the C library and of the dynamic loader, which run before, below
# and behind everything, in a workload with forks, pipes and locales.
. "$(dirname "$0")/common-diff.sh"
libraries=$(ldd /bin/bash | grep -oE '/[^ ]*/(libc\.so\.6|ld-linux-x86-64\.so\.2)')
[ -n "$libraries" ] || skip "bash is not linked to glibc"

cat > $t/script <<'END'
for i in 1 2 3; do echo $i | cat; done
printf '%s\n' {1..20} | sort -rn | tail -2
LC_ALL=C ls /
END
for lib in $libraries; do
	judge $lib $O/entries.bpf.o -p 'entry=uprobe:*' -- bash $t/script
done
