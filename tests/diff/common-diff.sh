# SPDX-License-Identifier: MIT
# Sourced by the diff tests: what they judge, and how.
. "$(dirname "${BASH_SOURCE[0]}")/../common.sh"
unset BPFWELD_REGION
D=$SOURCE/tests/diff

# judge ARGS...: clean, in both engines, something compared, probes hit
judge() {
	local engine status
	for engine in native vm; do
		status=0
		$W diff --engine=$engine "$@" > $t/verdict 2>&1 || status=$?
		cat $t/verdict
		[ $status != 77 ] || skip "kernel uprobes cannot be used here"
		[ $status = 0 ] || die "differs ($engine): $1"
		if grep -E 'no probe was hit|nothing was compared' $t/verdict
		then die "says nothing ($engine): $1"; fi
	done
}
# The program that helpers.bpf.c and places.bpf.c probe, with its probes.
helpers=(-p identity=uprobe:site,cookie=0 -p identity=uprobe:known,cookie=1
	-p regs=uprobe:known,cookie=1 -p regs=uprobe:known+0xb,cookie=2
	-p regs=uprobe:site,cookie=3 -p regs=uprobe:leaf+0xd,cookie=4)
places=(-p cookies=uprobe:one_a,cookie=1 -p cookies=uprobe:one_b,cookie=2
	-p cookies=uprobe:leaf+0xd,cookie=3 -p optional=uprobe:twice
	--set step=3 --set label=set --set wide=true)
helpers_build() {
	$CC -O2 "$@" -o $t/helpers $D/helpers.c $D/helpers.S
}
