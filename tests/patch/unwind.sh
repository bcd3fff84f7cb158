#!/usr/bin/env bash
# SPDX-License-Identifier: MIT
# From every instruction of a welded program that is run, trampolines and stub
# included, the callers are found: the frame descriptions follow the stack
# pointer through saves, displaced pushes and the pushed return address.  And a
# C++ exception passes through functions all of which are welded.
. "$(dirname "$0")/../common.sh"
need g++

bpf "$here/patch/progs.bpf.c"

# The program steps through itself by the trap flag; the handler unwinds.
cat > "$t/calls.c" <<'END'
#define _GNU_SOURCE
#include <link.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <ucontext.h>
#include <unistd.h>
#include <unwind.h>
#define NOINLINE __attribute__((noinline, noclone))
static unsigned long lo = -1ul, hi, steps, lost;
static volatile long sink;
NOINLINE long leaf(long a, long b) { return a * 3 + b; }
NOINLINE long saves(long a, long b)
{
	long x = leaf(a, b), y = leaf(b, x), z = leaf(y, a);

	return leaf(x, y) + z;
}
NOINLINE long frame(long a)
{
	volatile long v[20] = { a };

	return saves(v[0], v[1]) + 1;
}
NOINLINE long through(long (*f)(long), long a) { return f(a) + sink; }
NOINLINE long top(void) { return through(frame, 3) + 1; }
int main(void);
static _Unwind_Reason_Code look(struct _Unwind_Context *c, void *found)
{
	unsigned long ip = _Unwind_GetIP(c);

	if (_Unwind_FindEnclosingFunction((void *)(ip - 1)) == (void *)main)
		*(int *)found = 1;
	return _URC_NO_REASON;
}
static void step(int sig, siginfo_t *si, void *uc)
{
	unsigned long ip = ((ucontext_t *)uc)->uc_mcontext.gregs[REG_RIP];
	int found = 0;

	if (ip < lo || ip >= hi)
		return;
	steps++;
	_Unwind_Backtrace(look, &found);
	if (!found && lost++ < 5)
		printf("no way to main from %#lx\n", ip - lo);
}
static int extent(struct dl_phdr_info *i, size_t n, void *arg)
{
	for (int k = 0; k < i->dlpi_phnum; k++) {
		const ElfW(Phdr) *p = &i->dlpi_phdr[k];

		if (p->p_type != PT_LOAD)
			continue;
		if (i->dlpi_addr + p->p_vaddr < lo)
			lo = i->dlpi_addr + p->p_vaddr;
		if (i->dlpi_addr + p->p_vaddr + p->p_memsz > hi)
			hi = i->dlpi_addr + p->p_vaddr + p->p_memsz;
	}
	return 1; /* the program itself is the first */
}
int main(void)
{
	struct sigaction sa = { .sa_sigaction = step, .sa_flags = SA_SIGINFO };
	long (*volatile call)(void) = top;

	dl_iterate_phdr(extent, NULL);
	sigaction(SIGTRAP, &sa, NULL);
	asm volatile("pushfq; orq $0x100, (%%rsp); popfq" ::: "memory", "cc");
	sink = call();
	asm volatile("pushfq; andq $~0x100, (%%rsp); popfq" ::: "memory", "cc");
	printf("%lu steps, %lu lost, result %ld\n", steps, lost, sink);
	return lost != 0;
}
END

step() {
	$W weld "$t/calls" "$t/progs.bpf.o" -o "$t/calls.w" "$@" > "$t/log"
	"$t/calls.w" > "$t/out" || die "$(cat "$t/out")"
	[ "$(sed 's/.*result//' "$t/out")" = "$result" ] || die "wrong result"
	echo "$(grep -c . "$t/log") $(cat "$t/out")"
}

# Entries, and every call: what stands at a call is displaced with it.
for flags in "-O2" "-O0" "-O2 -fno-omit-frame-pointer -no-pie" \
	"-O2 -fcf-protection"; do
	echo "gcc $flags"
	# shellcheck disable=SC2086
	$CC $flags -w -o "$t/calls" "$t/calls.c"
	result=$("$t/calls" | sed 's/.*result//')
	sites=()
	for f in leaf saves frame through top; do
		sites+=(-p "stack=uprobe:$f")
	done
	step "${sites[@]}"
	sites=()
	while read -r site; do
		sites+=(-p "look=uprobe:$site")
	done < <(for f in saves frame through top; do
		objdump -d --no-show-raw-insn --disassemble=$f "$t/calls" |
			awk -v f=$f '/>:$/ { sub(/^0+/, "", $1); base = $1 }
				$2 ~ /^call/ { sub(":", "", $1); print f, base, $1 }'
	done | while read -r f base at; do
		printf '%s+0x%x\n' "$f" $((0x$at - 0x$base))
	done)
	step "${sites[@]}"
done

cat > "$t/throw.cc" <<'END'
#include <cstdio>
#include <stdexcept>
struct guard { int &n; ~guard() { n++; } };
[[gnu::noinline]] int deep(int n)
{
	if (n == 0)
		throw std::runtime_error("deep");
	return deep(n - 1) + 1;
}
[[gnu::noinline]] int middle(int n, int &unwound)
{
	guard g{ unwound };
	return deep(n) * 2;
}
int main()
{
	int unwound = 0, caught = 0;
	for (int i = 0; i < 100; i++)
		try {
			middle(i, unwound);
		} catch (const std::runtime_error &e) {
			caught++;
		}
	printf("%d %d\n", caught, unwound);
}
END
for flags in "-O0" "-O2" "-O2 -fcf-protection -static" "-O2 -no-pie"; do
	# shellcheck disable=SC2086
	g++ $flags -o "$t/throw" "$t/throw.cc"
	$W weld "$t/throw" "$t/progs.bpf.o" -o "$t/throw.w" \
		-p 'count=uprobe:*' > "$t/log" 2>&1 || die "$(cat "$t/log")"
	"$t/throw.w" | grep -x '100 100' || die "throw, $flags"
done
