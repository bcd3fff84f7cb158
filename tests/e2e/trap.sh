#!/usr/bin/env bash
# SPDX-License-Identifier: MIT
# --allow-trap: sites with room for one byte only.  Off unless it is asked for;
# refused where a site could be hit before its handler is there.  Where it is
# there, every hit counts, and no other SIGTRAP of the target changes.
. "$(dirname "$0")/../common.sh"
need objcopy
E=$SOURCE/tests/e2e
cd "$t"
trapping=(lone named calls loops leaves calls+1)
probes=(-p leave=uretprobe:lone_too)
for f in "${trapping[@]}"; do probes+=(-p "entry=uprobe:$f"); done

welds() { # FROM TO ARGUMENTS...
	$W weld "$1" $O/entries.bpf.o -o "$2" "${@:3}" "${probes[@]}"
}

# --- what is placed ------------------------------------------------------------

cat > early.c <<'C'
#define _GNU_SOURCE
#include <setjmp.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <ucontext.h>

static void show(int sig, siginfo_t *info, void *context)
{
	ucontext_t *uc = context;
	unsigned char *ip = (void *)uc->uc_mcontext.gregs[REG_RIP];
	sigset_t now;

	sigprocmask(SIG_SETMASK, NULL, &now);
	printf("handler: %d, code %d, %s, mask", sig, info->si_code,
	       ip[-1] == 0xcc ? "at an int3" : "elsewhere");
	for (int i = 1; i < 32; i++)
		if (sigismember(&now, i))
			printf(" %d", i);
	putchar('\n');
}

static void plain(int sig)
{
	printf("handler: %d\n", sig);
}

static sigjmp_buf out;
static void jumps(int sig)
{
	siglongjmp(out, sig);
}

void early_jump(void (*f)(void))
{
	if (!sigsetjmp(out, 1))
		f();
	else
		puts("jumped");
}

/* EARLY=KIND[,FLAGS]: what was there before the program's entry point */
__attribute__((constructor)) static void begin(void)
{
	char *kind = getenv("EARLY"), *flags;
	struct sigaction a = { 0 };

	if (!kind)
		return;
	flags = strchr(kind, ',');
	a.sa_flags = flags ? strtol(flags + 1, NULL, 0) : 0;
	switch (*kind) {
	case 's': a.sa_sigaction = show; a.sa_flags |= SA_SIGINFO; break;
	case 'p': a.sa_handler = plain; break;
	case 'j': a.sa_handler = jumps; break;
	case 'i': a.sa_handler = SIG_IGN; break;
	}
	sigaddset(&a.sa_mask, SIGUSR1);
	sigaction(SIGTRAP, &a, NULL);
}
C
$CC -O2 -shared -fPIC -o libearly.so early.c
build() { # NAME FLAGS...
	$CC -O2 -pthread -o "$1" $E/trap.c $E/trap.S "${@:2}"
}
build pie -pie -Wl,-rpath,"$t" -Wl,--no-as-needed libearly.so
build exec -no-pie -fno-pie
build static -static
build static-pie -static-pie

# --- what is placed ------------------------------------------------------------

# In two kinds there is no room for hops beside these functions, as libc is in
# the others.
for k in pie exec; do
	exits 4 welds $k none 2> log
	[ ! -e none ]
	exits 4 $W check -j $k $O/entries.bpf.o "${probes[@]}" > log
	[ "$(grep -o '"refused"' log | wc -l)" = 7 ] || die "$k: $(cat log)"
	welds $k $k.weld --allow-trap --strict > out 2> log
	grep -q "^bpfweld: warning: 7 sites of $k are traps (int3): .*; it \
calls \(sigaction\|sigprocmask\), " log || die "$k: $(cat log)"
	[ "$(wc -l < log)" = 1 ] || die "$k: $(cat log)"
	$W check $k $O/entries.bpf.o "${probes[@]}" --allow-trap > log
	grep -qx '7 of 7 probes placed (100.00%), 7 trap' log ||
		die "$k: $(cat log)"
	[ "$($W info $k.weld | grep -c ' trap  ')" = 7 ]
	welds $k n -n -j --allow-trap 2> log | has '"traps":7' || die "$k"
	$W unweld $k.weld -o back
	cmp $k back
done
for k in static static-pie; do
	welds $k $k.weld --allow-trap --engine=vm > out 2> log
	grep -q '^bpfweld: warning: [3-7] sites of' log || die "$k: $(cat log)"
	$W unweld $k.weld -o back
	cmp $k back
done

# Bytes behind the first stay; --explain knows them, and why others are none.
$W check pie --explain lone --allow-trap > log
grep -q ' trap  *taken' log && grep -qx '  bytes  *cc ' log || die "$(cat log)"
exits 4 $W check pie $O/entries.bpf.o --allow-trap -p entry=uprobe:unsure > log \
	2>&1
$W check pie --explain unsure --allow-trap > log
grep -q ' trap  *it is not certain that an instruction begins' log ||
	die "$(cat log)"
$W check pie --explain lone > log
not grep -q ' trap ' log
for f in pie pie.weld; do objcopy -O binary -j .text $f $f.text; done
patched=$(cmp -l pie.text pie.weld.text | awk '{ print $3 }' | xargs) || true
[ "$patched" = "314 314 314 314 314 314 314" ] || die "became: $patched"

# Nobody pays for what he has not got.
$W weld pie $O/entries.bpf.o -o untrapped --allow-trap -p entry=uprobe:noise \
	2> log > out
[ ! -s log ] || die "$(cat log)"
not grep -q weld_trap <(nm untrapped)

# --- where it cannot be ---------------------------------------------------------

refused() { # FILE WORDS
	exits 3 $W weld "$1" $O/entries.bpf.o -o none --allow-trap \
		-p 'entry=uprobe:*' 2> log
	grep -q -- "--allow-trap: .*$2" log || die "$1: $(cat log)"
	exits 3 $W check "$1" --explain _start --allow-trap 2> log
	[ ! -e none ]
}
refused libearly.so 'library may be called before'
refused "$(readlink -f "$($CC -print-file-name=libc.so.6)")" library
refused "$(readlink -f "$($CC -print-file-name=ld-linux-x86-64.so.2)")" library
build shows -rdynamic
refused shows 'exports functions'
cat > first.c <<'C'
static void first(void) { }
__attribute__((section(".preinit_array"), used)) static void (*p)(void) = first;
C
build first first.c
refused first PREINIT
cat > ifunc.c <<'C'
static void one(void) { }
static void *choose(void) { return one; }
static void it(void) __attribute__((ifunc("choose")));
void (*take(void))(void) { return it; }
C
build ifunc ifunc.c
refused ifunc IFUNC
build ifunc-static -static ifunc.c
welds ifunc-static n -n --allow-trap > out 2> log
exits 2 $W weld pie $O/entries.bpf.o -o none --allow-traps 2> log
grep -q 'did you mean --allow-trap' log || die "$(cat log)"
exits 2 $W weld pie $O/entries.bpf.o -o none --allow-trap=yes 2> log
exits 2 $W weld pie -o none --usdt-nop5 --allow-trap 2> log
[ ! -e none ]

# --- that it works ----------------------------------------------------------------

# counted FILE "PROBES HITS MISSES"
counted() {
	local got
	got=$($W info $1 | awk '/ trap / { print $(NF - 1), $NF }' |
		sort | uniq -c | xargs)
	[ "$got" = "$2" ] || die "$1: $got, not $2"
	rm -f "$BPFWELD_REGION"
}
# same KIND MODE...: prints what the original does, and ends as it does
outcome() { local s=0; "$@" 2>&1 < /dev/null || s=$?; echo "status $s"; }
same() {
	local k=$1 want got; shift
	want=$(outcome ${UNDER:-} ./$k "$@")
	got=$(outcome ${UNDER:-} ./$k.weld "$@")
	[ "$got" = "$want" ] || die "$k, ${EARLY:-}, $*: '$got', not '$want'"
	[[ $want == *"${SHOWS-status 0}" ]] || die "$k, $*: $want"
}

# A mode's last line takes four of the functions once more.
for k in pie exec static static-pie; do
	rm -f "$BPFWELD_REGION"
	for mode in "hits 100" "threads 20000" "fork 10" "vfork 10" \
		"chained 15" "moment 10" "altstack 10"; do
		same $k ${mode% *}
		got=$($W info $k.weld | awk '/ lone  /{ print $(NF - 1) }')
		[ "$got" = "${mode#* }" ] || die "$k, $mode: $got"
		rm -f "$BPFWELD_REGION"
	done
	same $k nested
	rm -f "$BPFWELD_REGION"
	BPFWELD_REGION=private same $k hits threads fork vfork nested
	BPFWELD_REGION=off same $k hits threads fork vfork nested
	[ ! -e "$BPFWELD_REGION" ]
done
./pie.weld hits > out
counted pie.weld "2 100 0 5 101 0"
./pie.weld crowd > out # over a million of them
counted pie.weld "2 200000 0 5 200001 0"

# Whatever else comes as SIGTRAP goes where it did: status and core, too.
export SHOWS="status 133"
for k in pie static; do
	for modes in "hits raise" "own" "chained own" "threads raise"; do
		same $k $modes
	done
done
export EARLY
for EARLY in none s s,0x40000000 s,0x50000000 s,0x80000000 p p,0x80000000 j i
do
	SHOWS=
	for modes in "hits raise raise hits" "own own" "jump jump" \
		"chained own"; do
		same pie $modes
	done
	case $EARLY in
	[sp]) SHOWS="status 0"; same pie own raise hits ;;
	j) SHOWS="status 0"; same pie jump hits jump ;;
	i) SHOWS="status 0"; same pie raise; SHOWS="status 133"; same pie own ;;
	esac
done
# From others, while sites are hit: 20000 and not one of them.
rm -f "$BPFWELD_REGION"
EARLY=i ./pie.weld shower > out
counted pie.weld "2 20000 0 5 20001 0"
unset EARLY SHOWS

# A mask and an ignored signal come through exec: a site would kill.
if command -v python3 > log; then
	cat > under.py <<'P'
import os, signal, sys
if sys.argv[1] == "block":
    signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGTRAP, signal.SIGUSR2})
else:
    signal.signal(signal.SIGTRAP, signal.SIG_IGN)
os.execv(sys.argv[2], sys.argv[2:])
P
	for how in block ignore; do
		UNDER="python3 under.py $how" same pie hits threads
		UNDER="python3 under.py $how" same static hits threads
	done
	[ "$(python3 under.py block ./pie mask | head -1)" = "blocked: 1" ]
	[ "$(python3 under.py block ./pie.weld mask | head -1)" = "blocked: 0" ]
fi

# But who blocks it is killed, as limits.md says.
for k in pie static; do
	[[ $(outcome ./$k hits block hits) == *"status 0" ]]
	[[ $(outcome ./$k.weld hits block hits) == *"status 133" ]]
done

# Very many, by their table.
{
	echo '	.text'
	for i in $(seq 2000); do
		printf '\t.globl r_%d\n\t.type r_%d, @function\nr_%d:\t' $i $i $i
		printf '.cfi_startproc\n\tret\n\t.cfi_endproc\n'
		printf '\t.size r_%d, . - r_%d\n' $i $i
	done
	printf '\t.globl all\nall:\tsub $8, %%rsp\n'
	for i in $(seq 2000); do echo "	call r_$i"; done
	printf '\tadd $8, %%rsp\n\tret\n'
	echo '	.section .note.GNU-stack, "", @progbits'
} > many.S
echo 'void all(void); int main(void) { all(); all(); return 0; }' > many.c
$CC -o many many.c many.S
rm -f "$BPFWELD_REGION"
for engine in native vm; do
	$W weld many $O/entries.bpf.o -o many.weld --allow-trap --strict \
		--engine=$engine -p 'entry=uprobe:r_*' > out 2> log
	./many.weld
	counted many.weld "2000 2 0"
done
