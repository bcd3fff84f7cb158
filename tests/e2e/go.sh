#!/usr/bin/env bash
# Go programs with every entry and every return probed: goroutines, stacks that
# grow and shrink, panics, collections, profiles, preemption, an HTTP server.
# Static, stripped, without sections, with C and another linker.
. "$(dirname "$0")/common-go.sh"

export CGO_ENABLED=0
go_build static
go_build stripped -ldflags='-s -w'
CGO_ENABLED=1 go_build cgo -ldflags=-linkmode=external
# No section headers: e_shoff, e_shnum and e_shstrndx are 0.
cp $t/stripped $t/bare
printf '\0\0\0\0\0\0\0\0' | dd of=$t/bare bs=1 seek=40 conv=notrunc status=none
printf '\0\0\0\0' | dd of=$t/bare bs=1 seek=60 conv=notrunc status=none
wanted static

for kind in static stripped bare cgo; do
	survives $kind
done
survives static --engine=vm

# The function table has the names that Go prints, in whatever is left.
for kind in static stripped bare cgo; do
	has_names $kind
done
# Neither the padding behind a function nor what the runtime exchanges.
size=$($W list $t/stripped main.deep | awk '{ print $2 }')
[ $size = $($W list $t/static main.deep | awk '{ print $2 }') ] ||
	die "main.deep has $size bytes when it is stripped"
$W check $t/stripped $O/count.bpf.o -p count=uprobe:runtime.goexit \
	-p count=uprobe:main.main | has \
	"runtime.goexit+0x0.*not placed.*goroutines return to its second byte" ||
	die "runtime.goexit is placed"

# What stays where it is: code that can fault, the jump that rewindmorestack()
# decodes.  A load is moved from an entry only, as the first thing done there.
refused() { # REASON FUNCTION PATTERN: the function's first such instruction
	local off
	off=$(objdump -d --no-show-raw-insn $t/static --disassemble="$2" |
		awk -v want="$3" '
			/^[0-9a-f]+ </ { sub(/^0+/, "", $1); start = $1 }
			$0 ~ want && !at { at = $1; sub(/:/, "", at) }
			END { print start, at }')
	off=$(( 16#${off#* } - 16#${off% *} ))
	exits 4 $W check $t/static $O/count.bpf.o -p count="uprobe:$2+$off" \
		> $t/log 2>&1
	grep -q "not weldable: $1" $t/log || die "$(cat $t/log), not $1"
}
placed() {
	$W check $t/static $O/count.bpf.o -p count="uprobe:$1" > $t/log 2>&1 ||
		die "$(cat $t/log)"
}
refused 'what can fault' 'main.(*node).later' 'mov .*\(%r[a-d]x\),%r[a-d]x$'
refused 'the jump behind a call of morestack' main.main 'jmp .*<main.main>$'
placed 'main.(*node).first'
placed main.deep

# The runtime takes padding for the function before, whose tables do not cover
# it: nothing is ever run there.
cat > $t/padding.py <<'E'
import json, subprocess, sys
tool, old, new, obj = sys.argv[1:]
def run(*args):
    out = subprocess.run([tool, *args], check=True, stdout=subprocess.PIPE)
    return json.loads(out.stdout)
a, b = open(old, "rb").read(), open(new, "rb").read()
funcs = run("list", "-j", old)
funcs = funcs if isinstance(funcs, list) else funcs["functions"]
funcs = sorted((int(f["addr"], 0), f["size"]) for f in funcs)
ours = set()
for p in run("check", old, obj, "-p", "busy=uprobe:*", "-p",
             "busy=uretprobe:*", "-j")["probes"]:
    for x in p.get("places", []):
        at = int(x["patch"], 0)
        ours.update(range(at, at + len(x["original"])))
base = 0x400000 # of a static Go program
changed = gaps = 0
for (at, size), (next, _) in zip(funcs, funcs[1:]):
    for i in range(at + size, next):
        gaps += 1
        changed += a[i - base] != b[i - base] and i not in ours
assert gaps > 1000, gaps
assert not changed, changed
E
$W weld $t/static $O/busy.bpf.o "${every[@]}" -o $t/static.weld > /dev/null 2>&1
python3 $t/padding.py $W $t/static $t/static.weld $O/busy.bpf.o ||
	die "something stands in padding"

# A call is counted again when it has made the stack grow, as the kernel counts
# it; --go-once counts calls, and so do returns.
hits() { # ARGUMENTS...
	rm -f "$BPFWELD_REGION"
	$W weld $t/static $O/count.bpf.o -o $t/once "$@" > /dev/null
	$t/once deep=50000 > /dev/null
	$W map dump $t/once | awk '/"value"/ { print $2 }'
}
[ $(hits -p count=uprobe:main.deep) -gt 50005 ] || die "no call counted twice"
n=$(hits -p count=uprobe:main.deep --go-once)
[ $n = 50001 ] || die "--go-once: $n calls of 50001"
n=$(hits -p count=uretprobe:main.deep)
[ $n = 50001 ] || die "$n returns of 50001"

# Programs that want much or little of a stack, at entries and at returns, where
# there may be none left: what they see is right.
rm -f "$BPFWELD_REGION"
$W weld $t/static $O/words.bpf.o -p 'lookup=uprobe:*' -o $t/words > /dev/null 2>&1
# shellcheck disable=SC2086
$t/words $work > $t/got 2>/dev/null || die "words: exit $?"
cmp $t/got $t/want

# A debugger finds the goroutine's frames from within a program, which has another
# stack.  (libdw and perf have no table of Go's own functions to go on with.)
if command -v gdb > /dev/null; then
	rm -f "$BPFWELD_REGION"
	$W weld $t/static $O/busy.bpf.o -o $t/one -p busy=uprobe:main.deep \
		> /dev/null
	gdb -q -nx -batch -ex "x/30i 'main.deep.weld'" $t/one > $t/log 2>&1
	at=$(awk '/lea .*\(%r12\),%rsp/ { on = 1; next }
		  on && !at { at = $1 } END { print at }' $t/log)
	gdb -q -nx -batch -ex "break *$at" -ex run -ex 'x/i $pc' -ex bt \
		--args $t/one deep=1 > $t/log 2>&1 || true
	grep -q '^#1 .* main\.main' $t/log || die "$(tail -5 $t/log)"
fi

# The file is still Go's.
[ "$(go version $t/static.weld | cut -d' ' -f2)" = \
	"$(go version $t/static | cut -d' ' -f2)" ] || die "go version differs"
$W unweld $t/static.weld -o $t/again
cmp $t/again $t/static

# What is no Go program, and what is one that cannot be read.
exits 2 $W weld /bin/true $O/count.bpf.o --go-once -n \
	-p count=uprobe:main 2> $t/log
grep -q -- '--go-once: /bin/true is no Go program' $t/log
cp $t/stripped $t/damaged
at=$(readelf -SW $t/damaged | sed 's/\[ */[/' |
	awk '/gopclntab/ { print $5 }')
printf '\x55' | dd of=$t/damaged bs=1 seek=$((16#$at)) conv=notrunc status=none
exits 3 $W list $t/damaged 2> $t/log
grep -q 'a Go program of go1.* whose function table cannot be read' $t/log
