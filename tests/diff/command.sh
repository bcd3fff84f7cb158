#!/usr/bin/env bash
# bpfweld diff around its judgement: what CMD may be, what is said and when,
# and that nothing is left behind.
. "$(dirname "$0")/common-diff.sh"
need python3
need setpriv
export TMPDIR=$t/tmp # whatever diff leaves would be here
mkdir -m 1777 $TMPDIR
cd $t
$CC -O2 -o count $SOURCE/samples/count.c
$CC -O2 -o words $SOURCE/samples/words.c
cp $O/count.bpf.o $O/words.bpf.o .

# says WANT EXIT ARGS...: diff exits so, and prints a line with WANT
says() {
	local want=$1 exit=$2 status=0; shift 2
	$W diff "$@" > out 2>&1 || status=$?
	[ $status != 77 ] || [ $exit = 77 ] ||
		skip "kernel uprobes cannot be used here"
	[ $status = $exit ] || die "exit $status, not $exit: $* $(cat out)"
	grep -qF -- "$want" out || die "no '$want': $* $(cat out)"
	[ -z "$(ls -A $TMPDIR)" ] || die "left behind: $(ls $TMPDIR)"
}
# json EXPRESSION ARGS...: the result as JSON d, of which the expression holds
json() {
	local want=$1; shift
	$W diff -j "$@" > out || true
	python3 -c "import json; d = json.load(open('out'))
assert ($want), d" || die "not $want: $*"
}
clean='(1000 hits, 3 runs)'

# --- what CMD may be: the target by path, relative, by a link, through PATH, as
# a library, somewhere below.
says "$clean" 0 count count.bpf.o -- ./count
says "$clean" 0 ./count count.bpf.o -- $t/count
says "$clean" 0 $t/count count.bpf.o -- sh -c 'cd / && exec '$t'/count'
ln -s count link
says "$clean" 0 count count.bpf.o -- ./link
says "$clean" 0 link count.bpf.o -p count=uprobe:work -- ./count
mkdir bin
ln -s ../count bin/found
PATH=$t/bin:$PATH says "$clean" 0 count count.bpf.o -- found
PATH=$t/bin:$PATH says "$clean" 0 count count.bpf.o -- sh -c 'found | cat'
$CC -O2 -fPIC -shared -Dmain=run -o libcount.so $SOURCE/samples/count.c
echo 'int run(void); int main(void) { return run(); }' |
	$CC -o app -xc - -L. -lcount -Wl,-rpath,$t
says "$clean" 0 libcount.so count.bpf.o -p count=uprobe:work -- ./app

# --- what the kernel refuses: which program, and its last words.
cat > refused.bpf.c <<'C'
#include <linux/bpf.h>
#include <linux/ptrace.h>
#include <bpf/bpf_helpers.h>
#include <bpf/bpf_tracing.h>
long n, v[64];
SEC("uprobe/count:work") int fine(struct pt_regs *ctx) { n++; return 0; }
SEC("uprobe/count:work") int guarded(struct pt_regs *ctx)
{
	v[PT_REGS_PARM1(ctx)]++;
	return 0;
}
char LICENSE[] SEC("license") = "GPL";
C
bpf refused.bpf.c
why=$($W check count refused.bpf.o --verify=kernel |
	sed -n 's/^guarded: .*; kernel: refused: //p')
[ -n "$why" ] || die "the kernel takes it"
says "bpfweld: refused.bpf.o: the kernel refuses program guarded: $why" 1 \
	count refused.bpf.o -- ./count

# --- a judgement about nothing says so.
says 'warning: no probe was hit' 0 count count.bpf.o -- true
says 'warning: no probe was hit before the welded run ended by a signal: Segm' 0 \
	count count.bpf.o -- sh -c 'kill -SEGV $$'
says 'warning: nothing was compared: the maps are empty' 0 \
	words words.bpf.o -- ./words
json 'd["hits"] == 0 and len(d["warnings"]) == 2' words words.bpf.o -- ./words
says 'exit status 3 in every run' 0 count count.bpf.o -- sh -c './count; exit 3'
json 'd["hits"] == 1000 and d["equal"] == 1 and not d["warnings"]
	and not d["differences"] and d["runs"] == 3' count count.bpf.o -- ./count

# --- differences of the command: this one looks at its own code.
cat > peek.c <<'END'
#include <stdio.h>
__attribute__((noinline)) int work(int x) { return x * 3 + 1; }
int main(int argc, char **argv)
{
	unsigned char first = *(unsigned char *)work;

	printf("one\ntwo\n%02x\n", first);
	return work(argc) * 0 + (argc > 1 && first == 0xcc);
}
END
$CC -O2 -o peek peek.c
says 'command: output differs in line 3:' 1 \
	peek count.bpf.o -p count=uprobe:work -- ./peek
grep -qx '  kernel: "cc"' out || die "$(cat out)"
grep -qx '  welded: "e9"' out || die "$(cat out)"
if grep -q '^one$' out; then die "the output is not private"; fi
says 'command: exit status: kernel 1, welded 0' 1 \
	peek count.bpf.o -p count=uprobe:work -- ./peek x
json '[x["command"] for x in d["differences"]] == ["status", "output"]
	and d["differences"][1]["line"] == 3' \
	peek count.bpf.o -p count=uprobe:work -- ./peek x
says '1 values equal, 0 masked, 0 different' 0 peek count.bpf.o \
	-p count=uprobe:work --mask 'command.*' -- ./peek x
says '0 values equal, 1 masked' 0 count count.bpf.o --mask 'call*' -- ./count
says 'masked: calls: 1' 0 count count.bpf.o -v --mask calls -- ./count

# --- what cannot be run, or not here.
says 'bpfweld: ./nothing: cannot be run: No such file' 1 \
	count count.bpf.o -- ./nothing
says 'cannot be run: Permission denied' 1 count count.bpf.o -- ./peek.c
says 'no command after --' 2 count count.bpf.o
says 'no command after --' 2 count count.bpf.o --
says "unknown option '--foo'" 2 count count.bpf.o --foo -- ./count
cp $W bpfweld
chmod 755 $t
exits 77 setpriv --reuid 65534 ./bpfweld diff count count.bpf.o -- \
	./count 2> out
[ "$(wc -l < out)" = 1 ] && grep -q '^bpfweld: diff skipped: ' out ||
	die "unprivileged: $(cat out)"
exits 77 setpriv --reuid 65534 ./bpfweld diff -j count count.bpf.o -- \
	./count > out
python3 -c 'import json; assert "root" in json.load(open("out"))["skipped"]'

# --- stopped in the middle: every process of the command ends, nothing stays.
for signal in TERM INT; do
	rm -f pids
	# In a script's background SIGINT would be ignored.
	env --default-signal=INT $W diff count count.bpf.o -- \
		sh -c 'sleep 300 & echo $! $$ > pids.new; mv pids.new pids
			./count; wait' > out 2>&1 &
	diff=$!
	for i in $(seq 200); do [ -e pids ] && break; sleep 0.05; done
	kill -$signal $diff
	status=0
	wait $diff || status=$?
	[ $status = $((128 + $(kill -l $signal))) ] || die "exit $status: $signal"
	for pid in $(cat pids); do
		not kill -0 $pid 2>/dev/null
	done
	[ -z "$(ls -A $TMPDIR)" ] || die "left behind: $(ls $TMPDIR)"
done
[ -z "$(grep -s bpfweld /proc/mounts)" ] || die "a mount stays"
