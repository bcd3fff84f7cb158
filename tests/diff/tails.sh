#!/usr/bin/env bash
# Tail calls as under the kernel: where they lead, the limit, what comes back.
. "$(dirname "$0")/common-diff.sh"
$CC -O2 -pthread -o $t/calls $D/calls.c
judge $t/calls $O/tails.bpf.o -- $t/calls
bpf $D/tails.bpf.c -mcpu=v3
judge $t/calls $t/tails.bpf.o -p entered=uprobe:other,cookie=7 -- $t/calls

# Where the probe was: its arguments are found by the cookie, as ever.
if $CC -E -xc - <<< '#include <sys/sdt.h>' > $t/log 2>&1; then
	cat > $t/usdt.c <<'E'
#include <sys/sdt.h>
__attribute__((noinline)) long f(long a, int b)
{
	DTRACE_PROBE2(app, hit, a, b);
	return a * b;
}
__attribute__((noinline)) long g(int b, long a)
{
	DTRACE_PROBE2(app, hit, a * 3, b + 1);
	return a + b;
}
int main(void)
{
	volatile long s = 0;
	for (int i = 0; i < 50; i++)
		s += f(i, i + 2) + g(i, i);
	return 0;
}
E
	$CC -O2 -o $t/usdt $t/usdt.c
	judge $t/usdt $O/tails_usdt.bpf.o -- $t/usdt
else
	echo "skipped: no sys/sdt.h (systemtap-sdt-dev)"
fi

# What is in a map of programs, by their names.
export BPFWELD_REGION=$t/region
$W weld $t/calls $O/tails.bpf.o -o $t/w > /dev/null
$t/w
$W map dump $t/w jumps | tr -d ' \t\n' > $t/jumps
grep -q '{"key":1,"value":"second"},{"key":2,"value":"last"}' $t/jumps ||
	die "jumps: $(cat $t/jumps)"
$W map dump -j $t/w table |
	has '"formatted":{"key":2,"value":"in_both"}' ||
	die "table: $($W map dump -j $t/w table)"
$W map list $t/w | has 'jumps  *prog_array  *4  *4  *8  *5$' ||
	die "list: $($W map list $t/w)"
exits 1 $W map update $t/w jumps 1 last 2> $t/err
has 'jumps of type prog_array has no such operation' $t/err ||
	die "update: $(cat $t/err)"
