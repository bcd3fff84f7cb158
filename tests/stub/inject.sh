#!/usr/bin/env bash
# Every system call of arming fails, with each of several errors, and at each a
# process is killed: the target runs with some region, the file is whole for the
# next process, and nothing is left beside it.
. "$(dirname "$0")/common-stub.sh"
need strace
target entry -static -Wl,-e,weld_entry
target lazy -static
strace -o /dev/null true 2> /dev/null || skip "strace cannot trace here"
R=$t/d/region
export BPFWELD_REGION=$R
ran="*gate 1, hits 3, state 1, data 807060504030201"
fresh() { rm -rf $t/d; mkdir $t/d; }
# injected WHAT PROGRAM
injected() { strace -o /dev/null -e inject=$1 $t/$2 hit 3 > $t/out; }
whole() { # the next process finds a region or makes one
	local got hits
	[ -z "$(ls -A $t/d | grep -vx region)" ] || die "$1: left $(ls -A $t/d)"
	hits=$([ ! -e $R ] || od -An -tu8 -j384 -N8 $R | tr -d ' ')
	got=$($t/entry hit 3)
	[[ $got == *"gate 1, hits $((${hits:-0} + 3)), state 1, data"* ]] ||
		die "$1: then $got"
}
# What arming does, from a trace of it.
fresh
strace -o $t/trace $t/entry hit 3 > /dev/null
calls="$(sed -nE 's/^([a-z0-9]+)\(.*/\1/p' $t/trace |
	sed '/brk/,$d' | sort -u) fchmod prctl unlinkat gettid"
[ $(wc -w <<< "$calls") -ge 12 ] || die "a short trace: $calls"

n=0
for call in $calls; do
	[ $call = execve ] && continue
	for error in ENOSYS ENOMEM EINTR; do
		for program in entry lazy; do
			# It reads where its region is to be: the default one.
			[ $program,$call = lazy,read ] && continue
			fresh
			what=$call:error=$error
			injected $what $program || die "$program, $what: $?"
			[[ $(cat $t/out) == $ran ]] || die "$what: $(cat $t/out)"
			[ $call = unlinkat ] || whole "$program, $what"
			n=$((n + 1))
		done
	done
	for when in 1 2 3; do
		fresh
		what=$call:signal=SIGKILL:when=$when
		(injected $what entry || true) 2> /dev/null
		whole $what
		n=$((n + 1))
	done
done
[ $n -gt 100 ] || die "only $n runs"
