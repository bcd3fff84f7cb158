#!/usr/bin/env bash
# SPDX-License-Identifier: MIT
# Maps that are pinned by name have the kernel's values; nothing is pinned there,
# and what is pinned here is the run's own.
. "$(dirname "$0")/common-diff.sh"
cd "$t"
$CC -O2 -pthread -o one "$SOURCE/tests/e2e/pin.c"
pins() { ls -d /sys/fs/bpf/{shared,sums,events} /dev/shm/bpfweld-*/pin-* 2> log || true; }
before=$(pins)
for what in "add 1 300" "tell 5 30" "ask 3"; do
	judge -v one "$O/pin.bpf.o" -p add=uprobe:work -p look=uprobe:ask \
		-p tell=uprobe:event -- ./one $what
done
[ "$(pins)" = "$before" ] || die "left behind: $(pins)"
