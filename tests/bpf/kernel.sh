#!/usr/bin/env bash
# Random programs that the kernel's verifier accepts give the same result and
# the same maps in the kernel as in all engines.
# KERNEL_COUNT and KERNEL_SEED choose others than the usual ones.
. "$(dirname "$0")/../common.sh"
"$BUILD/tests/bpf_plugin" --kernel=${KERNEL_COUNT:-2000},${KERNEL_SEED:-1}
