#!/usr/bin/env bash
# Programs with guards end where they shall in all engines (guards.c).
. "$(dirname "$0")/../common.sh"
"$BUILD/tests/bpf_plugin" --guards
