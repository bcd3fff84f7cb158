#!/usr/bin/env bash
# SPDX-License-Identifier: MIT
# Any word of a region, of a pinned map's file and of a manifest is changed, before
# they are used and meanwhile: the target's results, its memory and its exit code
# are what they are without; readers answer or say what is wrong.
#   COUNT=100000 SECONDS_EACH=60: for soak runs
. "$(dirname "$0")/../common.sh"
count=${COUNT:-2000} each=${SECONDS_EACH:-1}
seed=${SEED:-$RANDOM}
echo "seed $seed"
H=$BUILD/tests/hostile R=$BPFWELD_REGION P=$t/pin-hostile_pin

$CC -O2 -pthread -I"$SOURCE" -o $t/hostile_target \
	"$SOURCE/tests/e2e/hostile_target.c"
for engine in native vm; do
	$W weld $t/hostile_target $O/hostile.bpf.o --engine=$engine \
		-o $t/$engine > $t/log
	[ "$($W info $t/$engine | grep -c op_)" = 30 ] || die "$(cat $t/log)"
done
fresh() { rm -f $R $P; $t/$1 run 1 50 > $t/out || die "$1 fails"; }
unharmed() { # WHAT COMMAND...: the target does what it always does
	local rc=0 what=$1; shift
	timeout $((120 + each + count / 100)) "$@" > $t/out 2> $t/err || rc=$?
	[ "$rc $(cat $t/out)" = "0 unharmed" ] ||
		die "$what: exit $rc, $(cat $t/out $t/err)"
	cat $t/err
}

# --- The stub.  Words that were wrong before a program runs ...
for engine in native vm; do
	fresh $engine
	unharmed "$engine, seed $seed" \
		$t/$engine cases $R $count $seed
done
# ... and those that are changed meanwhile.
for engine in native vm; do
	fresh $engine
	$t/hostile_target flip $R $((each * 1000)) $seed > $t/flip & one=$!
	$t/hostile_target flip $P $((each * 1000)) $seed > $t/flip & two=$!
	unharmed "$engine beside others, seed $seed" \
		$t/$engine run 2 $((each * 1000))
	wait $one $two
done

# --- The reader: damaged copies in its own process, and beside a writer.
fresh native
printf 12345678 | $W map push $t/native samples
cp $R $t/good; cp $P $t/good.pin
mend() { cp $t/good $R; cp $t/good.pin $P; }
read_all() { # WHAT N SEED
	timeout $((120 + $2 / 20)) $H $1 $t/native $2 $3 ||
		die "$1 $2 $3: exit $?"
}
read_all reader $count $seed
read_all manifest $count $seed
mend
$t/hostile_target flip $R $((each * 1000)) $seed > $t/flip & one=$!
timeout 300 $H beside $t/native 1500 $seed > $t/out ||
	die "the reader beside a writer: exit $?"
wait $one

# --- The command line: an answer, or one clear line.
clear() { # COMMAND...
	local rc=0
	timeout 60 $W "$@" < /dev/null > $t/out 2> $t/err || rc=$?
	case $rc in
	0) ;;
	1 | 2 | 3) grep -qE '^bpfweld: .|"error"' $t/err $t/out ||
		die "exit $rc, no reason: $*" ;;
	*) die "exit $rc: $* ($t/$n): $(tail -3 $t/err)" ;;
	esac
	said[rc]=$((${said[rc]:-0} + 1))
}
reads() { # FILE
	clear map list $1
	clear map dump $1
	clear map dump -j $1
	clear map lookup $1 hash8 3
	clear map update $1 hash8 3 a=1
	clear map dump $1 chain --folded
	clear probe list $1
	clear probe disable $1 on_array
	clear info $1
	clear info -j $1
	clear trace --once $1
}
# Cut off while it is looked at.
mend
timeout 60 $W trace $t/native > $t/traced 2> $t/err & one=$!
while ! [ -s $t/traced ]; do sleep 0.02; done
truncate -s 0 $R
rc=0; wait $one || rc=$?
[ "$rc $(grep -c 'made shorter' $t/err)" = "1 1" ] ||
	die "trace of a region that was cut off: exit $rc, $(cat $t/err)"

said=()
for ((n = 0; n < ${CLI:-12}; n++)); do
	mend
	for ((k = 0; k < 1 + n % 3; k++)); do
		$H region $R $((seed + n * 10 + k))
		$H region $P $((seed + n * 10 + k))
	done
	reads $t/native
	mend
	$H file $t/native $t/bad $((seed + n))
	reads $t/bad
	clear unweld $t/bad -o $t/back
done
echo "command line: ${said[0]:-0} answers, ${said[1]:-0} errors"
[ ${said[1]:-0} -gt 0 ] || die "nothing was wrong"
