#!/usr/bin/env bash
# SPDX-License-Identifier: MIT
# run.sh BUILD [ROUNDS] - build the bench's target, run the bench; the table is
# shown, the JSON is kept in BUILD/bench.json.
set -euo pipefail
build=$1
here=$(cd "$(dirname "$0")" && pwd)
gcc -O2 -pthread -o "$build/target" "$here/target.c"
"$build/bench" "$build/target" "$build/obj/rows.bpf.o" "$build/obj/ops.bpf.o" \
	"$build/bpfweld" \
	/bin/bash "$build/obj/bash_lines.bpf.o" "${2:-400}" \
	>"$build/bench.json"
echo "JSON: $build/bench.json"
