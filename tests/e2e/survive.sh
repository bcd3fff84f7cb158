#!/usr/bin/env bash
# A welded program is a program as any other: strip and its relatives may have
# it, C++ exceptions and backtraces pass through its trampolines.
. "$(dirname "$0")/../common.sh"
cd "$t"

$CC -g -O2 -o count $SOURCE/samples/count.c
want=$(./count)
$W weld count $O/count.bpf.o -o count.weld > log

for tool in "true" "strip" "strip -g" "eu-strip" "llvm-strip-14" \
	"objcopy --strip-debug" "llvm-objcopy-14" "patchelf --set-rpath /no" \
	"chrpath -d"; do
	command -v ${tool%% *} >/dev/null || { echo "skipped: $tool"; continue; }
	cp count.weld w; cp count c
	$tool c >/dev/null 2>&1 || { echo "skipped: $tool"; continue; }
	$tool w >/dev/null || die "$tool"
	rm -f region
	[ "$(./w)" = "$want" ] || die "$tool: other output"
	$W map lookup count.weld calls 0 | grep -qw 1000 ||
		die "$tool: probes are lost"
done

# Thrown through a welded function, whose frame is in a trampoline where the
# exception passes; and not even its landing pads have moved.
cat > throw.cc <<'X'
#include <cstdio>
#include <stdexcept>
static int cleaned;
struct clean { ~clean() { cleaned++; } };
extern "C" __attribute__((noinline)) int work(int x)
{
	clean c;
	if (x % 2)
		throw std::runtime_error("odd");
	return x;
}
int main()
{
	int caught = 0;
	for (int i = 0; i < 1000; i++)
		try { work(i); } catch (std::exception &) { caught++; }
	printf("%d %d\n", caught, cleaned);
	return 0;
}
X
g++ -O1 -o throw throw.cc
rm -f region
$W weld throw $O/count.bpf.o -o throw.weld -p count=uprobe:work > log
[ "$(./throw.weld)" = "500 1000" ]
$W map lookup throw.weld calls 0 | grep -qw 1000

# Nothing to complain about that was not there before.
complaints() {
	eu-elflint --gnu-ld "$1" 2>&1 | grep -v 'No errors' |
		sed 's/\[ *[0-9]*\]//g' | grep -v "owner name 'bpfweld'" || true
}
need eu-elflint
for f in count throw; do
	diff <(complaints $f) <(complaints $f.weld) || die "eu-elflint $f.weld"
	[ -z "$(readelf -lSWs $f.weld 2>&1 >/dev/null)" ] || die "readelf"
done

# A setuid bit is not carried over unasked; other modes are.
cp count s; chmod 4711 s
exits 3 $W weld s $O/count.bpf.o -o s.weld -p count=uprobe:work 2> log
[ ! -e s.weld ]
$W weld s $O/count.bpf.o -o s.weld -p count=uprobe:work --allow-setuid > log
[ "$(stat -c %a s.weld)" = 4711 ]

# gdb stops at the old function and sees who called it.
need gdb
gdb -nx -batch -ex 'break main' -ex run -ex 'break work' -ex continue -ex bt \
	./count.weld > log 2>&1
grep -q '#1 .* main' log || die "gdb: $(cat log)"
