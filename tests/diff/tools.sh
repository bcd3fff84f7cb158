#!/usr/bin/env bash
# SPDX-License-Identifier: MIT
# Tools that others wrote: those of Debian's libbpf-tools that trace user space.
# Their objects are inside of them; they are welded as they are.
. "$(dirname "$0")/common-diff.sh"
need python3
[ -x /usr/sbin/bashreadline ] || skip "libbpf-tools is not installed"
for tool in bashreadline gethostlatency funclatency javagc; do
	python3 $D/tools_objects.py /usr/sbin/$tool $t/$tool.bpf.o
done
cd $t
# The kernel has a perf buffer for each CPU; they are read one after the other.
one_cpu="taskset -c $(taskset -cp $$ | sed 's/.*: *\([0-9]*\).*/\1/')"

# says COMMAND TEXT: what bpfweld answers to who knows nothing yet
says() {
	local text=$1; shift
	"$@" > said 2>&1 || true
	grep -F -e "$text" said >/dev/null || die "no '$text': $(cat said)"
}

# bashreadline: what is typed into an interactive bash.  Its record is on its
# stack only, so that no type tells what it is, and its end is never written.
record=(--type 'u32 pid; char str[80]')
printf '%s\n' 'echo one' 'for i in 1 2 3; do' '	echo "$i"' done '' exit > lines
cat > interactive <<'X'
env HISTFILE= script -qec "$1 --norc --noprofile -i" typescript < lines > screen
X
if ! $W list /bin/bash readline >/dev/null 2>&1; then
	echo "skipped: bash has its readline() in a library"
elif ! command -v script >/dev/null; then
	echo "skipped: script is not installed"
else
	readline=(-p printret=uretprobe:readline)
	says 'add -p printret=uretprobe:readline' \
		$W check /bin/bash bashreadline.bpf.o
	says 'there is no struct str_t' $W diff /bin/bash bashreadline.bpf.o \
		"${readline[@]}" --type str_t -- true
	judge /bin/bash bashreadline.bpf.o "${readline[@]}" "${record[@]}" \
		--text -- sh interactive bash
	grep -F '12 values equal, 6 masked' verdict >/dev/null ||
		die "not six lines of text"
	$W weld /bin/bash bashreadline.bpf.o "${readline[@]}" -o bash
	BPFWELD_REGION=$t/region sh interactive ./bash
	cp region again
	says 'no struct has 84 bytes; --type NAME or' \
		env BPFWELD_REGION=$t/again $W trace --once bash
	BPFWELD_REGION=$t/region $W trace --once bash "${record[@]}" > records
	grep -F '"str":"for i in 1 2 3; do"}' records >/dev/null ||
		die "typed: $(cat records)"
	rm region
fi

# gethostlatency: names and how long they took, of every process that uses libc.
cat > lookup.c <<'X'
#include <netdb.h>
#include <stdio.h>
#include <sys/socket.h>

int main(void)
{
	/* On the stack: the kernel does not read a page that is not there yet. */
	char four[] = "127.0.0.1", six[] = "::1", name[] = "localhost";

	for (int i = 0; i < 3; i++)
		printf("%d %d\n", gethostbyname(four) != NULL,
		       gethostbyname2(six, AF_INET6) != NULL);
	return !gethostbyname(name);
}
X
$CC -o lookup lookup.c
cat > lookups <<'X'
getent ahosts localhost
getent ahosts 127.0.0.1
getent ahosts ::1
./lookup
X
lib=$(ldd lookup | grep -o '/[^ ]*/libc\.so\.6') || skip "no libc.so.6"
gethost=()
for f in getaddrinfo gethostbyname gethostbyname2; do
	gethost+=(-p handle_entry=uprobe:$f -p handle_return=uretprobe:$f)
done
says 'add -p handle_entry=uprobe:FUNCTION -p handle_return=uretprobe:FUNCTION' \
	$W check $lib gethostlatency.bpf.o
judge $lib gethostlatency.bpf.o "${gethost[@]}" -- $one_cpu sh lookups
judge $lib gethostlatency.bpf.o "${gethost[@]}" --set target_pid=1 -- $one_cpu sh lookups

# funclatency: a histogram of times, and a map that only a branch uses which a
# constant switches off.
cat > calls.c <<'X'
#include <stdio.h>
#include <unistd.h>

__attribute__((noinline)) int work(int n)
{
	volatile int sum = 0;

	for (int i = 0; i < n; i++)
		sum += i;
	return sum;
}
__attribute__((noinline)) void rest(void)
{
	usleep(20000);
	__asm__ volatile("");
}
int main(int argc, char **argv)
{
	int sum = 0;

	for (int i = 0; argc > 1 && i < 4; i++)
		rest();
	for (int i = 0; i < 1000; i++)
		sum += work(i & 15);
	printf("%d\n", sum);
}
X
$CC -O2 -o calls calls.c
latency=(-p dummy_kprobe=uprobe:work -p dummy_kretprobe=uretprobe:work)
judge calls funclatency.bpf.o "${latency[@]}" --mask .bss.hist -- ./calls
judge calls funclatency.bpf.o "${latency[@]}" --set targ_tgid=1 -- ./calls
# Milliseconds: four calls of 16 to 31, whoever does it.
judge calls funclatency.bpf.o --set units=2 -p dummy_kprobe=uprobe:rest \
	-p dummy_kretprobe=uretprobe:rest -- ./calls rest
says 'helper bpf_current_task_under_cgroup' \
	$W check calls funclatency.bpf.o "${latency[@]}" --set filter_cg=true
says 'did you mean units' \
	$W check calls funclatency.bpf.o "${latency[@]}" --set unit=1
$W weld calls funclatency.bpf.o "${latency[@]}" -o calls.weld
BPFWELD_REGION=$t/region ./calls.weld
BPFWELD_REGION=$t/region $W map dump calls.weld funclate.bss > histogram
[ $(($(grep -o '\[[0-9,]*\]' histogram | tr -d '[]' | tr , +))) = 1000 ] ||
	die "not a thousand calls: $(cat histogram)"
rm region

# javagc: collections, by USDT probes; in a program that has the same, and in
# Java.
probes=()
for p in gc_start=gc__begin gc_end=gc__end mem_pool_gc_start=mem__pool__gc__begin \
	mem_pool_gc_end=mem__pool__gc__end; do
	probes+=(-p handle_${p%=*}=usdt:hotspot:${p#*=})
done
if [ -e /usr/include/x86_64-linux-gnu/sys/sdt.h ]; then
	cat > collect.c <<'X'
#include <stdint.h>
#include <stdio.h>
#include <sys/sdt.h>

__attribute__((noinline)) void collect(uint64_t n, const char *pool)
{
	DTRACE_PROBE1(hotspot, gc__begin, n & 1);
	DTRACE_PROBE8(hotspot, mem__pool__gc__begin, "m", 1, pool, 4, n, n + 1,
		      n + 2, n + 3);
	DTRACE_PROBE8(hotspot, mem__pool__gc__end, "m", 1, pool, 4, n, n - 1,
		      n - 2, n - 3);
	DTRACE_PROBE(hotspot, gc__end);
}
int main(void)
{
	for (int i = 0; i < 20; i++)
		collect(i, i % 2 ? "young" : "old");
}
X
	$CC -O2 -o collect collect.c
	judge collect javagc.bpf.o "${probes[@]}" \
		--type data_t --mask perf_map.ts -- $one_cpu ./collect
	says '4 programs have no target' $W check collect javagc.bpf.o
	judge collect javagc.bpf.o "${probes[@]:0:4}" \
		-p handle_mem_pool_gc_start=none \
		-p handle_mem_pool_gc_end=none \
		--type data_t --mask perf_map.ts -- $one_cpu ./collect
else
	echo "skipped: systemtap-sdt-dev is not installed"
fi
jvm=$(echo /usr/lib/jvm/java-17-openjdk-*/lib/server/libjvm.so)
java=${jvm%/lib/server/*}/bin
if [ -e "$java/javac" ]; then
	cat > J.java <<'X'
public class J {
	public static void main(String[] a) {
		for (int i = 0; i < 5; i++)
			System.gc();
	}
}
X
	$java/javac J.java
	judge $jvm javagc.bpf.o "${probes[@]}" \
		--type data_t --mask perf_map.ts -- $one_cpu \
		$java/java -Xint -XX:+UseSerialGC -cp . J
else
	echo "skipped: Java is not installed"
fi
