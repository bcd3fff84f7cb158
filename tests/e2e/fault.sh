#!/usr/bin/env bash
# SPDX-License-Identifier: MIT
# Programs that read through bad pointers do nothing to their target, whatever it
# does with signals: the same output, the same end, in each way of --fault; and
# each read says what it should.
. "$(dirname "$0")/../common.sh"
S=$SOURCE/tests/e2e
ulimit -c 0

build() { # NAME FLAGS...: $t/NAME/fault, and welds of it, MODE.fault
	local dir=$t/$1 mode; shift
	mkdir $dir
	$CC -O2 -pthread "$@" -o $dir/fault $S/fault.c
	for mode in auto signal syscall; do
		$W weld $dir/fault $O/fault.bpf.o -o $dir/$mode.fault \
			--fault=$mode > $dir/$mode.log
	done
}
is() { # NAME MODE TEXT: what info says of its --fault
	$W info $t/$1/$2.fault | has "fault  *$3" ||
		die "$1, $2: $($W info $t/$1/$2.fault | grep fault)"
}
counted() { # FILE -> good bad wrong
	$W map dump -j "$1" .bss | python3 -c 'import json, sys
v = {}
for e in json.load(sys.stdin)[0]["formatted"]["value"][".bss"]: v.update(e)
print(v["good"], v["bad"], v["wrong"])'
}
# same NAME MODE SCENARIO [VISITS]: as the original; 3 good and 6 bad pointers a
# visit, each read twice
same() {
	local dir=$t/$1 file=$t/$1/$2.fault want=0 got=0 a b
	rm -f $BPFWELD_REGION
	a=$(cd $dir; ./fault ${3:-} 2>&1) || want=$?
	b=$(cd $dir; $file ${3:-} 2>&1) || got=$?
	[ "$a" = "$b" ] || die "$1, $2, ${3:-}: '$b', not '$a'"
	[ $got = $want ] || die "$1, $2, ${3:-}: exit $got, not $want"
	[ $# -lt 4 ] || [ "$(counted $file)" = "$((6 * $4)) $((12 * $4)) 0" ] ||
		die "$1, $2, $3: $(counted $file) of $4 visits"
}
everywhere() { # NAME MODES
	local mode
	for mode in $2; do
		same $1 $mode plain 100
		same $1 $mode crash 1
		same $1 $mode general 1
		same $1 $mode bus 1
		same $1 $mode stack 1
		same $1 $mode child 6
		same $1 $mode killed 1
		same $1 $mode raised 1
		same $1 $mode small 40
	done
}
modes="auto signal syscall"

# Nothing to do with signals: they are caught, and nobody is asked.
build quiet
is quiet auto "signal: nothing in it"
is quiet syscall "syscall: as told"
everywhere quiet "$modes"
for mode in $modes; do same quiet $mode threads; done

# With handlers of its own.
build signals -DSIGNALS
is signals auto "syscall: it imports "
is signals signal "signal: as told"
everywhere signals "$modes"
for mode in $modes; do
	for early in "" 1; do
		export EARLY=$early
		[ "$early" ] || unset EARLY
		same signals $mode own 13
		same signals $mode once 12
		same signals $mode nodefer 12
		same signals $mode altstack 12
		same signals $mode blocked 6
		same signals $mode chained $([ "$early" ] && echo 3 || echo 2)
		same signals $mode restored
		same signals $mode ignored 100
	done
	unset EARLY
done
for mode in $modes; do same signals $mode queued 1; done
same signals signal threads

# Its own system calls, however they are written and wherever they are.
cat > $t/own.c <<'X'
#ifdef ELSEWHERE
__asm__(".text; .globl own; own: mov $39, %eax; syscall; ret");
#elif defined OLD
long own(void) { long a = 20; __asm__ volatile("int $0x80" : "+a"(a)); return a; }
#else
long own(void) { return 0x050f; }
#endif
int main(void) { extern long own(void); return !own(); }
X
for way in "signal -O2" "syscall -O2 -DELSEWHERE" "syscall -O2 -DOLD" \
	"syscall -O2 -DOLD -fno-asynchronous-unwind-tables"; do
	# shellcheck disable=SC2086
	$CC ${way#* } -o $t/own $t/own.c
	$W weld $t/own $O/fault.bpf.o -p reads=uprobe:main -p reads_go=none \
		-o $t/own.w 2>&1 |
		has -- "--fault=${way%% *}" || die "own calls: $way"
done

# Static: nothing is known of it.
build static -DSIGNALS -static
is static auto "syscall: it is static"
everywhere static "auto signal"
for scenario in own altstack blocked chained restored ignored; do
	same static signal $scenario
done
same static signal threads

# Locked in so that nothing but read, write and the return from a handler is
# allowed.  A known address is no call in any way.
build strict -DSECCOMP
is strict auto "signal: nothing in it"
same strict auto strict 101
same strict auto crash_strict
rm -rf $t/strict

# Who is preloaded may take the signals later, whatever was proved.
cat > $t/preload.c <<'X'
#include <signal.h>
#include <unistd.h>
static void mine(int n) { (void)n; _exit(9); }
int ftruncate(int fd, off_t n) /* the program calls it before it visits */
{
	signal(SIGSEGV, mine);
	signal(SIGBUS, mine);
	return syscall(77, fd, n);
}
X
$CC -O2 -D_GNU_SOURCE -shared -fPIC -o $t/preload.so $t/preload.c
# (bpfweld itself, if it is made with ASan, does not start behind another library.)
if ! ldd "$W" | has libasan; then
	export LD_PRELOAD=$t/preload.so
	for mode in $modes; do
		same quiet $mode plain 100
		same quiet $mode crash 1
	done
	unset LD_PRELOAD
fi

# Neither may others than what was looked at.  The program says which signals are
# caught (4 and 400: SIGBUS and SIGSEGV), and in the end is told of a bad pointer.
cat > $t/caught.c <<'X'
#include <stdio.h>
#include <string.h>
int other(int);
__attribute__((noinline)) long site(const char *p)
{
	__asm__ volatile("" : "+r"(p) : : "memory");
	return (long)p * 3 + 1;
}
int main(void)
{
	FILE *f = fopen("/proc/self/status", "r");
	char line[100];
	while (fgets(line, sizeof(line), f))
		if (!strncmp(line, "SigCgt", 6))
			fputs(line, stdout);
	fflush(stdout);
	other(1);
	return site((char *)4096) != 4096 * 3 + 1;
}
X
mkdir $t/one $t/two $t/noid
$CC -shared -fPIC -o $t/one/libother.so -xc - <<< 'int other(int x) { return x; }'
$CC -shared -fPIC -o $t/noid/libother.so -Wl,--build-id=none -xc - \
	<<< 'int other(int x) { return x; }'
$CC -shared -fPIC -o $t/two/libother.so -xc - <<'X'
#include <signal.h>
#include <unistd.h>
static void mine(int n) { (void)n; _exit(9); }
int other(int x) { signal(SIGSEGV, mine); signal(SIGBUS, mine); return x; }
X
$CC -shared -fPIC -o $t/audit.so -xc - \
	<<< 'unsigned la_version(unsigned v) { return v; }'
$CC -O2 -o $t/caught $t/caught.c -L$t/one -lother -Wl,-rpath,$t/one \
	-Wl,--build-id=none # its own id is not asked for
# caught MODE MASK [VARIABLE=VALUE]
caught() {
	local got
	got=$(env ${3:-} $t/caught.$1) || die "caught, $1, ${3:-}: exit $?"
	[[ $got == SigCgt:*00$2 ]] || die "caught, $1, ${3:-}: $got"
}
for mode in auto signal; do
	rm -f $BPFWELD_REGION
	$W weld $t/caught $O/fault.bpf.o -o $t/caught.$mode --fault=$mode \
		-p reads=uprobe:site > $t/log
	$W info $t/caught.$mode | has "fault  *signal: nothing in it" ||
		die "caught: $(cat $t/log)"
	caught $mode 440
done
for other in LD_LIBRARY_PATH=$t/two LD_LIBRARY_PATH=$t/noid \
	GCONV_PATH=/nowhere LD_PRELOAD=$t/two/libother.so \
	LD_AUDIT=$t/audit.so; do
	rm -f $BPFWELD_REGION
	caught auto 000 $other
	rm -f $BPFWELD_REGION
	caught signal 440 $other
done
caught auto 440 LD_PRELOAD=$t/one/libother.so # nothing else than before

# What the C library loads nobody has looked at; nor what has no build id.
loads() { # WHY SOURCE FLAGS...
	local why=$1 source=$2; shift 2
	$CC -O2 -w -o $t/loads -xc - -xnone "$@" <<< "
#include <stdio.h>
long site(long a) { return a * 12345 + 678; }
int main(void) { $source; return site(1) == 1; }"
	$W weld $t/loads $O/fault.bpf.o -o $t/loads.weld -p reads=uprobe:site \
		> $t/log
	$W info $t/loads.weld | has "fault  *$why" ||
		die "$why: $($W info $t/loads.weld | grep fault)"
}
loads "signal: nothing in it" 'fopen("/", "r")'
loads "syscall: it imports getpwnam" 'getpwnam("root")'
loads "syscall: it imports getaddrinfo" 'getaddrinfo("a", "b", 0, 0)'
loads "syscall: it imports iconv_open" 'iconv_open("EUC-JP", "UTF-8")'
loads "syscall: it imports fopen" 'fopen("/", "r,ccs=EUC-JP")'
loads "syscall: .*libother.so has no build id" 'other(1)' $t/noid/libother.so

# A library is asked about; it does not leave handlers in whoever loads it.
$CC -O2 -shared -fPIC -o $t/lib.so $S/fault.c
$W weld $t/lib.so $O/fault.bpf.o -o $t/lib.weld -p reads=uprobe:site > $t/log
$W info $t/lib.weld | has 'fault  *syscall: it is a library' || die "library"
exits 3 $W weld $t/lib.so $O/fault.bpf.o -o $t/x -p reads=uprobe:site \
	--fault=signal 2> $t/log
grep -q 'a library that can be unloaded' $t/log || die "$(cat $t/log)"
$CC -O2 -shared -fPIC -Wl,-z,nodelete -o $t/lib.so $S/fault.c
$W weld $t/lib.so $O/fault.bpf.o -o $t/lib.weld -p reads=uprobe:site \
	--fault=signal > $t/log

exits 2 $W weld $t/quiet/fault $O/fault.bpf.o -o $t/x --fault=maybe 2> $t/log
[ "$(cat $t/log)" = "bpfweld: --fault=maybe: auto, signal or syscall" ] ||
	die "$(cat $t/log)"
[ ! -e $t/x ] || die "wrote something"

# What the summary says, and only where a program reads.
grep -q -- ', --fault=signal$' $t/quiet/auto.log || die "$(cat $t/quiet/auto.log)"
grep -q -- ', --fault=syscall$' $t/signals/auto.log || die "summary"
$W weld $t/quiet/fault $O/busy.bpf.o -p busy=uprobe:site -o $t/x > $t/log
not grep -q fault= $t/log
$W info -j $t/quiet/auto.fault | has '"fault":"signal"' || die "info -j"

# Go: its runtime owns the signals, its stacks move and are freed.
command -v go > $t/log || { echo "skipped: no go"; exit 0; }
mkdir $t/go
cat > $t/go/go.go <<'X'
package main

import (
	"fmt"
	"sync"
)

var sink uintptr

//go:noinline
func site(p uintptr) uintptr {
	sink = p*3 + 1
	return sink
}

//go:noinline
func recovered(p *int) (s string) {
	defer func() { s = fmt.Sprint(recover()) }()
	*p = 1
	return
}

func main() {
	var wg sync.WaitGroup
	for g := 0; g < 8; g++ {
		wg.Add(1)
		go func() {
			defer wg.Done()
			for i := 0; i < 2000; i++ {
				for _, p := range []uintptr{0, 4095, 1 << 47, 1 << 63, 0xffffffff81000000} {
					site(p)
				}
				if i%100 == 0 {
					recovered(nil)
				}
			}
		}()
	}
	wg.Wait()
	fmt.Println(recovered(nil))
}
X
(cd $t/go && HOME=$t GOCACHE=$t/cache GO111MODULE=off go build -o go go.go) ||
	die "go build"
cp $t/go/go $t/go/fault
for mode in $modes; do
	$W weld $t/go/go $O/fault.bpf.o -o $t/go/$mode.fault --fault=$mode \
		> $t/log
	same go $mode
	[ "$(counted $t/go/$mode.fault)" = "0 160000 0" ] ||
		die "go, $mode: $(counted $t/go/$mode.fault)"
done
is go auto "syscall: it is a Go program"
