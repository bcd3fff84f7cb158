#!/usr/bin/env bash
# SPDX-License-Identifier: MIT
# coverage.sh [NAME...] - what can be probed in programs of every kind, and that
# they run as before with everything probed at once:
#
#   entries  functions, and how many of their entries can be probed
#   rets     ret instructions, and how many have a probe of their own
#   covered  functions of which every return is seen
#   syscall  syscall instructions, each probed at its address
#
# Then the workload, with all entries and all returns probed: same output, same
# exit status.  And of some functions that it reached, as many as the kernel can
# bear, the counts, as the kernel has them.
#   SHORT=1: short workloads, small samples; as in the suite.
#   TABLE=1: nothing is run.
cd "$(dirname "$0")/.."
export SOURCE=$PWD
. tests/common.sh
. tests/targets/common.sh
need objdump
need python3
many=${SHORT:+40}
many=${many:-300}
arith="python3 $S/coverage.py"

# The file's own idea of where a syscall stands is the disassembler's.
syscalls() {
	objdump -d --no-show-raw-insn "$file" |
		awk '/^ +[0-9a-f]+:\tsyscall/ { sub(":", "", $1)
			print "-p\nentry=uprobe:0x" $1 }' >"$t/syscalls"
	while [ -s "$t/syscalls" ]; do
		xargs -x -s 2000000 "$W" check -j "$file" "$O/entries.bpf.o" \
			<"$t/syscalls" >"$t/calls.json" 2>"$t/errors" &&
			{ echo "$t/calls.json"; return; }
		# Data that looks like one, or nobody knows the function.
		bad=$(sed -n 's/.*"error": *"[^:]*:\(0x[0-9a-f]*\): .*/\1/p' \
			"$t/calls.json")
		[ -n "$bad" ] || die "$name: $(cat "$t/calls.json" "$t/errors")"
		echo "$name: $(cut -d: -f3- "$t/calls.json")" >&2
		sed -i "N; /uprobe:$bad\$/d" "$t/syscalls"
	done
	echo -
}
rets() {
	objdump -d --no-show-raw-insn "$file" |
		sed -nE 's/^ +([0-9a-f]+):.*\bretq?\b.*/\1/p' >"$t/rets"
	echo "$t/rets"
}

# Everything at once, and the workload as it was without.
unchanged() {
	local status=0 again=0 got=0
	run_plain >"$t/want" 2>&1 || status=$?
	run_plain >"$t/again" 2>&1 || again=$?
	"$W" weld "$file" "${both[@]}" -o "$t/welded" >"$t/log" 2>&1 ||
		die "$name: $(cat "$t/log")"
	rm -f "$t/region"
	run_instead "$t/welded" >"$t/got" 2>&1 || got=$?
	[ $got = $status ] || die "$name: exit $got, not $status: $(
		tail -3 "$t/got")"
	cmp -s "$t/want" "$t/again" || { echo "  its output varies"; return; }
	cmp "$t/want" "$t/got" || die "$name: $(diff "$t/want" "$t/got" | head -5)"
}

# Some of the functions that were hit, under the kernel and welded.  Through the
# kernel's return probes no exception gets, and some functions of a stripped
# library cannot be told from clone() or setjmp(): where the program dies by them
# and the welded one does not, only entries are compared.  A return that is
# pending on one stack while another is used kills it, too (docs/limits.md), and
# any function of ruby may be pending in a fiber: its returns are counted
# without fibers, its entries with them.
counted() {
	local what=returns one_stack=
	case $workload in cxx | gdb | rust) what=entries ;; esac
	[ -e "$BPFWELD_REGION" ] || die "$name: its workload does not run it"
	{
		echo '{"hits":'
		"$W" map dump -j "$t/welded" hits
		echo ',"returns":'
		"$W" map dump -j "$t/welded" returns
		echo '}'
	} >"$t/maps"
	case $workload in ruby)
		sampled entries || die "$name: $(head -5 "$t/left")"
		one_stack=1 ;;
	esac
	sampled $what || {
		echo "  the kernel's return probes break it"
		sampled entries || die "$name: $(head -5 "$t/left")"
	}
}
# False: the kernel has broken it.
sampled() {
	local what=$1 try status probes
	$arith sample "$t/check" "$t/maps" "$many" $what >"$t/probes"
	[ -s "$t/probes" ] || { echo "  not reached"; return; }
	mapfile -t probes <"$t/probes"
	for try in 1 2 3 4 5; do
		status=0
		"$W" diff -j "$file" "$O/entries.bpf.o" "${probes[@]}" -- $(work) \
			>"$t/diff" 2>"$t/log" || status=$?
		[ $status = 1 ] || break
		$arith lost "$t/diff" "$t/maps" >"$t/left" && break
	done
	case $status in
	77) echo "  not counted: $(tail -1 "$t/log")"; return ;;
	0 | 1) ;;
	*) die "$name: diff: $(tail -1 "$t/log")" ;;
	esac
	if ! $arith lost "$t/diff" "$t/maps" >"$t/left"; then
		! $arith broken "$t/diff" || return 1
		die "$name: $(head -5 "$t/left")"
	fi
	echo "  $(($(wc -l <"$t/probes") / 2)) probes counted as by the kernel" \
		"$(tail -1 "$t/left")"
}

cover() {
	"$W" check -j "$file" "${both[@]}" >"$t/check"
	printf '%-10s ' "$name"
	"$W" list -j "$file" >"$t/functions"
	$arith row "$t/check" "$(syscalls)" "$t/functions" "$(rets)" "$floors" ||
		die "$name"
	[ -z "${TABLE-}" ] || return 0
	unchanged
	counted
}

# Nothing can be put in the place of a library, then.
unshare -m --propagation private true 2>/dev/null ||
	{ echo "skipped: no mount namespaces: nothing is run"; TABLE=1; }
entries_begin
both=("$O/entries.bpf.o" -p 'entry=uprobe:*' -p 'leave=uretprobe:*')
printf '%-10s %6s %6s %6s %6s %6s %9s\n' program entries % rets % covered syscall
for name in ${*:-$(awk 'NF { print $1 }' <<<"$corpus")}; do
	corpus_find "$name" || continue
	cover
done
