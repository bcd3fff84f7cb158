#!/usr/bin/env bash
# SPDX-License-Identifier: MIT
# Every way out of a function: the same events as under the kernel's uretprobes,
# with the same ip, sp, ax, dx, func_ip and cookie, and stated below; and where the
# kernel breaks the target or loses returns, what it does and what is right.
#   returns.sh [all]   all: with every compiler at every level (as in the soak)
. "$(dirname "$0")/common-diff.sh"
need python3
need g++
need clang++
setarch -R true 2>/dev/null || skip "the address layout cannot be fixed"
cd "$t"
cp "$O/returns.bpf.o" .

# CASE    EVENTS (> entered, < returned, .1 by the second program)
# What C++ calls tail calls are calls or jumps, as the compiler likes it: the
# events are the same.
equal="
tail      >tail_f >tail_g <tail_g <tail_f >tail_f >tail_g <tail_g <tail_f
indirect  >indirect_register >indirect_a <indirect_a <indirect_register \
>indirect_memory >indirect_b <indirect_b <indirect_memory \
>indirect_index >indirect_a <indirect_a <indirect_index \
>indirect_index >indirect_b <indirect_b <indirect_index
label     >label_goto <label_goto >label_goto <label_goto \
>label_switch <label_switch >label_switch <label_switch \
>label_switch <label_switch >label_switch <label_switch \
>label_switch <label_switch >label_switch <label_switch
plt       >plt_upper <plt_upper >plt_environment <plt_environment
args      >args_f >args_g <args_g <args_f
mutual    >mutual_even >mutual_odd >mutual_even >mutual_odd >mutual_even \
>mutual_odd >mutual_even >mutual_odd >mutual_even >mutual_odd \
<mutual_odd <mutual_even <mutual_odd <mutual_even <mutual_odd \
<mutual_even <mutual_odd <mutual_even <mutual_odd <mutual_even
depth     >deep_down*61 <deep_down*61
jump      >jump_f >jump_g >jump_f >jump_g >jump_f >jump_g >jump_f >jump_g \
<jump_g <jump_f
again     >again_g*3 <again_g >again_g <again_g
noreturn  >noreturn_f >noreturn_die >noreturn_f <noreturn_f
exit      >exit_f >exit_late <exit_late
exec      >exec_f >exec_g <exec_g >exec_f <exec_f
value     >value_two_tail >value_two <value_two <value_two_tail \
>value_many <value_many >value_complex <value_complex >value_long \
<value_long >value_double <value_double >value_float >value_double \
<value_double <value_float >value_varargs <value_varargs \
>value_wide <value_wide
seldom    >seldom_f <seldom_f >seldom_f >seldom_run <seldom_run \
>seldom_run <seldom_run <seldom_f
signal_same >signal_f >signal_handler >signal_h <signal_h <signal_handler \
<signal_f >signal_f >signal_handler >signal_h <signal_h \
<signal_handler <signal_f
signal_below >signal_f >signal_handler >signal_h <signal_h \
<signal_handler <signal_f >signal_f >signal_handler >signal_h \
<signal_h <signal_handler <signal_f
leap      >leap_f >leap_handler
context   >context_whole >context_g <context_g <context_whole >context_g \
<context_g
fork      >fork_g >fork_f <fork_f <fork_g <fork_f <fork_g
vfork     >vfork_f >vfork_h <vfork_h <vfork_f >vfork_h <vfork_h
clone     >clone_f >clone_thread >clone_g <clone_g <clone_thread <clone_f \
>clone_g <clone_g
thread    >thread_f >thread_start >clone_g <clone_g <thread_start <thread_f \
>clone_g <clone_g
end       >end_f >end_exit
cancel    >cancel_f >cancel_g
within    >within_f <within_f >within_f <within_f
rets      >rets_rep <rets_rep >rets_bnd <rets_bnd >rets_imm <rets_imm \
>rets_lone <rets_lone >rets_two <rets_two >rets_two <rets_two \
>rets_target <rets_target >rets_target <rets_target \
>rets_target <rets_target
out       >out_direct >out_leaf <out_leaf <out_direct >out_chain \
>out_direct >out_leaf <out_leaf <out_direct <out_chain >out_jcc \
>out_leaf <out_leaf <out_jcc >out_jcc >out_second <out_second \
<out_jcc >out_jcc <out_jcc >out_register >out_second <out_second \
<out_register >out_memory >out_leaf <out_leaf <out_memory \
>out_stack >out_second <out_second <out_stack >out_notrack \
>out_second <out_second <out_notrack >out_table >out_leaf \
<out_leaf <out_table >out_table >out_second <out_second \
<out_table >out_frame >out_leaf <out_leaf >out_second \
<out_second <out_frame
thunk     >thunk_goto <thunk_goto >thunk_goto <thunk_goto \
>thunk_frame <thunk_frame >thunk_tail <thunk_tail \
>thunk_either <thunk_either >thunk_either <thunk_either \
>thunk_either <thunk_either >thunk_call <thunk_call
popped    >popped_jump <popped_jump
pushed    >pushed_ret <pushed_ret
carry     >carry_flag <carry_flag >carry_flag <carry_flag
loop      >loop_entry <loop_entry >loop_entry*3 <loop_entry*3
fall      >fall_into >fall_behind <fall_behind <fall_into >fall_behind \
<fall_behind
common    >common_shared_a <common_shared_a >common_shared_b <common_shared_b
middle    >middle_a <middle_a >middle_b <middle_b
part      >part_f <part_f >part_f <part_f
order     >order_f.1 >order_f <order_f.2 <order_f.1 <order_f
first     >first_resolver <first_resolver >first_constructor \
<first_constructor >first_chosen <first_chosen
"

# CASE    KERNEL (what diff says of it)                OURS
broken="
deep      totals\[.*\].count:.kernel.64,.welded.200    >deep_down*200 <deep_down*200
twice     command:.output.differs                      >twice_set <twice_set \
>again_g >twice_jump >again_g >twice_jump >again_g <again_g >again_g <again_g
signal_above command:.exit.status:.kernel.1[0-9]*,.welded.0 \
>signal_f >signal_handler >signal_h <signal_h <signal_handler <signal_f \
>signal_f >signal_handler >signal_h <signal_h <signal_handler <signal_f
swap      command:.exit.status:.kernel.1[0-9]*,.welded.0   >swap_out >swap_in \
<swap_out >swap_out <swap_in >swap_in <swap_out >swap_out <swap_in <swap_out
hand      command:.exit.status:.kernel.1[0-9]*,.welded.0   >hand_out >hand_in \
<hand_out >hand_out <hand_in >hand_in <hand_out >hand_out <hand_in <hand_out
caller    command:.output.differs                      >caller_of <caller_of \
>caller_f >caller_frames <caller_frames <caller_f >caller_frames <caller_frames
throw     command:.exit.status:.kernel.134,.welded.0   >throw_f >throw_g \
<throw_g <throw_f >throw_f >throw_g >throw_f >throw_g <throw_g <throw_f \
>throw_f >throw_g >throw_f >throw_g <throw_g <throw_f >throw_f >throw_g
rethrow   command:.exit.status:.kernel.134,.welded.0   >rethrow_tail \
>rethrow_down*11 <rethrow_down*6 <rethrow_tail
unwound   command:.output.differs                      >unwound_f \
>unwound_tail >unwound_g
method    command:.exit.status:.kernel.134,.welded.0   >method_call \
<method_call >method_thunk <method_thunk >method_thunk
"
# CASE    TOTALS (f:ENTRIES/RETURNS), where the order is chance, or long
added_up="
crowd     crowd_down:8979/8979 crowd_start:1000/1000 crowd_tail:1000/1000
"
# 3000 jumps from tail to tail: nobody counts all of their returns.
forth="forth_ping:1501/33 forth_pong:1500/32"

# The probed functions of a case.
functions() {
	case $1 in
	depth | deep) echo deep_down ;;
	twice) echo 'again_*' 'twice_*' ;;
	signal_*) echo signal_f 'signal_h*' ;;
	thread) echo 'thread_*' 'clone_*' ;;
	*) echo "$1_*" ;;
	esac
}
probes() { # CASE...: sets `probe`
	local f c
	probe=()
	for f in $(for c in "$@"; do functions "$c"; done | sort -u); do
		[ "$f" = 'order_*' ] || probe+=(-p "enter=uprobe:$f,cookie=1"
			-p "leave=uretprobe:$f,cookie=2")
		[ "$f" != 'order_*' ] || probe+=(-p enter=uprobe:order_f
			-p leave=uretprobe:order_f,cookie=3
			-p enter_too=uprobe:order_f,cookie=4
			-p leave_too=uretprobe:order_f,cookie=5
			-p leave_last=uretprobe:order_f)
	done
}
run_of() { case $1 in twice) echo again ;; *) echo "$1" ;; esac; }
chosen() { [[ -z ${ONLY-} || " $ONLY " = *" $1 "* ]]; }
failures=0
bad() {
	echo "FAILED: $how: $*"
	failures=$((failures + 1))
}

# stated MAP CASE WORDS: what the welded run has
stated() {
	local map=$1 c=$2 want=$3 got names
	probes "$c"
	rm -f region
	"$W" weld returns returns.bpf.o "${probe[@]}" -o welded >log 2>&1 ||
		{ bad "$c: $(cat log)"; return; }
	BPFWELD_REGION=$t/region setarch -R ./welded "$(run_of "$c")" >log 2>&1 ||
		{ bad "$c: exit $?: $(tail -1 log)"; return; }
	mapfile -t names < <(functions "$c" | tr ' ' '\n')
	got=$(BPFWELD_REGION=$t/region "$W" map dump -j welded "$map" |
		python3 "$D/returns.py" welded "$map" "${names[@]}")
	[ "$got" = "$want" ] ||
		bad "$c: not as stated:"$'\n'"  want $want"$'\n'"  got  $got"
}

# compared ENGINE CASE...: no difference
compared() {
	local status=0 engine=$1; shift
	probes "$@"
	"$W" diff --engine="$engine" ${unordered:+--mask 'events*'} \
		"${mask[@]}" returns returns.bpf.o "${probe[@]}" -- ./returns "$@" >log 2>&1 || status=$?
	[ $status != 77 ] || skip "kernel uprobes cannot be used here"
	[ $status = 0 ] && ! grep -q 'no probe was hit\|not placed' log
}
# All cases in one run; where they differ, one by one.
compared_all() {
	local engine=$1 c; shift
	! compared "$engine" "$@" || return 0
	for c in "$@"; do
		compared "$engine" "$c" ||
			bad "$c ($engine): $(head -5 log)"
	done
}

# at_odds CASE PATTERN: the kernel does what PATTERN says
at_odds() {
	probes "$1"
	"$W" diff -v returns returns.bpf.o "${probe[@]}" \
		-- ./returns "$(run_of "$1")" >log 2>&1 || [ $? = 1 ] ||
		bad "$1: $(cat log)"
	grep -q "$2" log || bad "$1: not as the kernel has it: $(head -5 log)"
}

# build COMPILER FLAGS
build() {
	local cc=$1 cxx=g++ f; shift
	[ "$cc" = gcc ] || cxx=clang++
	how="$cc $*"
	for f in returns returns_stacks; do
		$cc "$@" -c "$D/$f.c" -o $f.o
	done
	$cxx "$@" -o returns "$D/returns.cc" "$D/returns.S" returns.o \
		returns_stacks.o -pthread
}

# Everything, of one build.
judge_build() {
	local c rest kernel all=()
	build "$@"
	while read -r c rest; do
		chosen "$c" || continue
		stated events "$c" "$rest"
		all+=("$c")
	done <<<"$equal"
	while read -r c rest; do
		chosen "$c" || continue
		stated totals "$c" "$rest"
		unordered=yes compared native "$c" || bad "$c: $(head -5 log)"
	done <<<"$added_up"
	[ ${#all[@]} = 0 ] || compared_all native "${all[@]}"
	[ ${#all[@]} = 0 ] || compared_all vm "${all[@]}"
	while read -r c kernel rest; do
		chosen "$c" || continue
		stated events "$c" "$rest"
		[ "$odds" = no ] || at_odds "$c" "$kernel"
	done <<<"$broken"
	if [ "$odds" = yes ] && chosen forth; then
		stated totals forth "$forth"
		at_odds forth 'totals.*count: kernel 32, welded 33'
	fi
	odds=no # what the kernel breaks does not depend on the compiler
}

equal=$(awk NF <<<"$equal") broken=$(awk NF <<<"$broken")
added_up=$(awk NF <<<"$added_up") odds=yes mask=()
judge_build gcc -O2 -no-pie -fno-pie
judge_build clang -O2 -fPIE
only=${ONLY-}
ONLY=${only:-tail indirect label plt args mutual jump thunk}
judge_build gcc -O2 -mindirect-branch=thunk -fjump-tables -fPIE
judge_build gcc -O2 -mindirect-branch=thunk -mfunction-return=thunk-inline
judge_build clang -O2 -mretpoline
if chosen label; then # thunks of a library
	for r in ax bx cx dx si di bp $(seq 8 15); do
		echo "$r" | sed 's/.*/	.globl __x86_indirect_thunk_r&\
__x86_indirect_thunk_r&: jmp *%r&/'
	done | gcc -shared -nostdlib -Wl,-z,noexecstack -o libthunks.so -xassembler -
	gcc -O2 -mindirect-branch=thunk-extern -c "$D/returns.c" -o returns.o
	how=thunk-extern
	g++ -O2 -o returns "$D/returns.cc" "$D/returns.S" returns.o \
		returns_stacks.o -pthread -L. -lthunks -Wl,-rpath,. -Wl,-z,now
	stated events label "$(sed -n 's/^label *//p' <<<"$equal")"
fi
ONLY=$only
if [ "${1-}" = all ]; then
	for o in -O0 -O1 -O3 -Os; do
		judge_build gcc $o -pie -fPIE
		judge_build clang $o -no-pie -fno-pie
	done
	judge_build gcc -O2 -fcf-protection -pie -fPIE
	judge_build gcc -O2 -fno-omit-frame-pointer -fno-plt -pie -fPIE
	judge_build gcc -O2 -mfunction-return=thunk -no-pie -fno-pie
	judge_build clang -O2 -mretpoline -no-pie -fno-pie
	# The kernel's page for uprobes is among the stacks of threads there.
	mask=(--mask '*.sp' --mask '*.ax' --mask '*.dx')
	judge_build gcc -O2 -static -no-pie -fno-pie
	judge_build gcc -O2 -static-pie -fPIE
fi
[ $failures = 0 ] || die "$failures differences"
