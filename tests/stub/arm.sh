#!/usr/bin/env bash
# The region comes to be: where BPFWELD_REGION says, by whichever way in, for
# many threads and processes at once, and never to the target's harm.
. "$(dirname "$0")/common-stub.sh"
DATA=807060504030201
says() { # says TEXT COMMAND...
	local want=$1 got; shift
	got=$("$@") || die "exit $?: $*"
	[[ $got == $want ]] || die "'$got', not '$want': $*"
}

target lazy
target entry -Wl,-e,weld_entry
target static -static -Wl,-e,weld_entry
target init -Wl,-init,weld_init
R=$BPFWELD_REGION

# Every way in finds the path; the file holds the hits of all of them.
says "before 0, gate 1, hits 5, state 1, data $DATA" $t/lazy hit 5
says "before 1, gate 1, hits 8, state 1, data $DATA" $t/entry hit 3
says "before 1, gate 1, hits 9, state 1, data $DATA" $t/static hit 1
says "before 1, gate 1, hits 11, state 1, data $DATA" $t/init hit 2
[ "$(stat -c %a,%s $R)" = 600,16384 ] || die "$(stat -c %a,%s $R)"
[ "$(ls -A $t | grep -c '^\.')" = 0 ] || die "leftovers: $(ls -A $t)"

# A disabled probe stays so; the file is the switch.
printf '\0' | dd of=$R bs=1 seek=256 conv=notrunc status=none
says "before 0, gate 0, hits 11, state 1, data $DATA" $t/lazy hit 4
rm $R

# off, private, a relative path, one without end.
for p in lazy entry static init; do
	BPFWELD_REGION=off says "before 0, gate 0, hits 0, state 2, data 0" \
		$t/$p hit 3
	BPFWELD_REGION=private says "*gate 1, hits 3, state 1, data $DATA" \
		$t/$p hit 3
	(cd $t && BPFWELD_REGION=rel says "*gate 1, hits 3, *" ./$p hit 3)
	[ -f $t/rel ] || die "$p: no relative region"
	rm $t/rel
	BPFWELD_REGION=/$(printf 'x%.0s' {1..3000}) \
		says "*gate 1, hits 3, *" $t/$p hit 3
done
[ ! -e $R ] || die "a region nobody asked for"

# Not ours to use: another weld's, short, a directory, a FIFO, a link, a
# directory that is not there.  The target runs on with a region of its own.
own="*gate 1, hits 3, state 1, data $DATA"
target other -UID -DID=2
$t/other hit 1 > /dev/null
says "$own" $t/lazy hit 3; rm $R
head -c 100 /dev/zero > $R; says "$own" $t/lazy hit 3; rm $R
head -c 16384 /dev/zero > $R; says "$own" $t/lazy hit 3; rm $R
mkdir $R; says "$own" $t/lazy hit 3; rmdir $R
mkfifo $R; says "$own" $t/lazy hit 3; rm $R
ln -s $t/elsewhere $R; says "$own" $t/lazy hit 3; rm $R
[ ! -e $t/elsewhere ] || die "followed a link"
BPFWELD_REGION=$t/no/such says "$own" $t/lazy hit 3
(ulimit -n 3; exec $t/static hit 3) > $t/out
says "$own" cat $t/out
[ ! -e $R ] || die "made a region without descriptors"

# What would kill the target, or spoil the file for all: a limit on file sizes
# (SIGXFSZ), a umask that takes our own rights away.
(ulimit -f 4; says "$own" $t/lazy hit 3)
[ ! -e $R ] || die "a region larger than ulimit -f"
(umask 0777; says "*gate 1, hits 3, *" $t/lazy hit 3)
[ "$(stat -c %a $R)" = 600 ] || die "umask: mode $(stat -c %a $R)"
(ulimit -f 4; says "*gate 1, hits 6, *" $t/lazy hit 3)
rm $R

# Without unnamed files, or any way to name one, a temporary name serves; without
# the new way to name one, /proc does.
if command -v strace > /dev/null; then
	strace -o /dev/null -e inject=linkat:error=ENOENT:when=1..2 \
		$t/lazy hit 3 > $t/out
	says "*gate 1, hits 3, *" cat $t/out
	[ -e $R ] || die "a temporary name did not serve"
	rm $R
	strace -o /dev/null -e inject=linkat:error=ENOENT:when=1 \
		$t/lazy hit 3 > $t/out
	[ -e $R ] || die "a name by way of /proc did not serve"
	[ "$(ls -A $t | grep -c '^\.')" = 0 ] || die "leftovers: $(ls -A $t)"
	rm $R
fi

# Everybody at once: one file, no hit lost, nothing left over.
for i in {1..12}; do
	$t/lazy hit 1000 4 > /dev/null &
done
wait
[ "$(od -An -tu8 -j384 -N8 $R | tr -d ' ')" = 48000 ] ||
	die "hits: $(od -An -tu8 -j384 -N8 $R)"
[ "$(ls -A $t | grep -c '^\.')" = 0 ] || die "leftovers: $(ls -A $t)"
rm $R
# Descriptors for some threads and not for others: they agree on one way, and
# nobody fills what is shared (here .data, whose first byte is 1 when fresh).
$t/lazy hit 1 > /dev/null
printf '\377' | dd of=$R bs=1 seek=4096 conv=notrunc status=none
for i in {1..150}; do
	(ulimit -n $((5 + i % 2)); exec $t/lazy hit 10 16) > /dev/null
	[ "$(od -An -tx1 -j4096 -N1 $R)" = " ff" ] || die "refilled a region"
done
# And the one is the file: descriptors that the other threads hold come back.
for i in {1..100}; do
	rm $R
	(ulimit -n $((5 + i % 2)); exec $t/lazy hit 10 16) > /dev/null
	n=$(od -An -tu8 -j384 -N8 $R | tr -d ' ')
	[ "$n" = 160 ] || die "$n of 160 hits in the file"
done
rm $R
$t/lazy hit 1 > /dev/null
printf '\377' | dd of=$R bs=1 seek=4096 conv=notrunc status=none
# One that stands still when it has mapped the file, and another one that has begun
# before and waits for it in vain: that does without, and fills no mapped file.
if command -v strace > /dev/null; then
	target late -static
	strace -f -o /dev/null -e trace=mmap,sched_yield \
		-e inject=mmap:delay_enter=200000:delay_exit=2000000 \
		-e inject=sched_yield:delay_enter=200000:when=1 \
		$t/late late > $t/out
	says "gate 1, state 1" cat $t/out
	[ "$(od -An -tx1 -j4096 -N1 $R)" = " ff" ] || die "filled what is mapped"
fi
rm $R
for i in {1..30}; do
	BPFWELD_REGION=private says "*hits 8000, *" $t/lazy hit 1000 8
done
for i in {1..40}; do
	says "1 4800" $t/lazy storm; rm $R
	BPFWELD_REGION=private says "1 4400" $t/lazy storm
	says "1 0" $t/lazy alarm; rm $R
	BPFWELD_REGION=private says "1 0" $t/lazy alarm
done
says 11 $t/lazy fork; rm $R
BPFWELD_REGION=private says 1 $t/lazy fork

# Nothing of the target's is touched, whatever happens.
for want in $R private off; do
	BPFWELD_REGION=$want exits 0 $t/lazy regs
done
exits 0 $t/lazy init
