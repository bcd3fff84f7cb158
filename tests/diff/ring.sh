#!/usr/bin/env bash
# SPDX-License-Identifier: MIT
# Ring and perf buffers, record by record as the kernel's: lengths, order, what
# is thrown away, what finds no room.
. "$(dirname "$0")/common-diff.sh"
cd "$t"
sed -n "/^cat > ring.c/,/^X/p" "$SOURCE/tests/e2e/ring.sh" | sed '1d; $d' > ring.c
$CC -O1 -pthread -o ring ring.c
cp "$O/ring.bpf.o" .
judge -v ring ring.bpf.o -- ./ring 40 1 30
judge -v ring ring.bpf.o -- ./ring 700 1 600
cp "$O/perf.bpf.o" .
judge -v ring perf.bpf.o -- ./ring 40 1 500
