#!/usr/bin/env bash
# The bpf_conformance suite through all engines: at most one case (callx, which
# no compiler emits) may be refused.
. "$(dirname "$0")/../common.sh"
suite=${CONFORMANCE:-$SOURCE/../shared/conformance}
[ -x "$suite/run" ] || skip "no conformance suite in $suite"
need python3
for engine in native inline vm; do
	out=$("$suite/run" "$BUILD/tests/bpf_plugin" --engine=$engine) ||
		die "$engine: $out"
	echo "$engine: ${out##*$'\n'}"
done
