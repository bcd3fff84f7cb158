#!/usr/bin/env bash
# Random programs that the verifier accepts touch nothing but their objects,
# hold in their registers what it says, and do the same in all engines.
# PROVE_COUNT and PROVE_SEED choose others than the usual ones.
. "$(dirname "$0")/../common.sh"
"$BUILD/tests/prove" ${PROVE_COUNT:-3000} ${PROVE_SEED:-1} | tee "$t/out"
accepted=$(sed -n 's/^accepted  *\([0-9]*\).*/\1/p' "$t/out")
made=$(sed -n 's/^made  *\([0-9]*\).*/\1/p' "$t/out")
[ $((accepted * 2)) -gt "$made" ] || die "too few are accepted to say much"
