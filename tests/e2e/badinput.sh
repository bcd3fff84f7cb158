#!/usr/bin/env bash
# Whatever it is given, weld ends with one line that says what is wrong, the
# right exit code, nothing written, nothing left behind and its inputs as they
# were.  Then the same for the other commands.
. "$(dirname "$0")/../common.sh"
mkdir $t/d && cd $t/d
B=$O/count.bpf.o
nobody="setpriv --reuid=65534 --regid=65534 --clear-groups"

# All there is in the directory, and what is in it.
state() {
	find . -type d -printf '%p %m %U\n' -o \
		-printf '%p %y %m %U %s %T@ %l\n' | sort
	find . -type f ! -name 'locked*' -exec cksum {} + | sort
}

# bad CODE TEXT ARGUMENTS...: bpfweld ARGUMENTS ends with CODE and says TEXT
bad() {
	local code=$1 text=$2 got=0 before; shift 2
	before=$(state)
	${AS:-} timeout 20 $W "$@" > $t/stdout 2> $t/stderr < /dev/null ||
		got=$?
	[ $got = $code ] || die "exit $got, not $code: $*: $(cat $t/stderr)"
	[ ! -s $t/stdout ] || die "wrote to standard output: $*"
	[ "$(wc -l < $t/stderr)" = 1 ] || die "not one line: $(cat $t/stderr)"
	grep -q '^bpfweld: .' $t/stderr && grep -qF -- "$text" $t/stderr ||
		die "does not say '$text': $*: $(cat $t/stderr)"
	[ "$(state)" = "$before" ] ||
		die "changed: $*: $(diff <(echo "$before") <(state))"
}
welds() { # CODE TEXT ARGUMENTS...: the same of `weld ARGUMENTS -o out`
	local code=$1 text=$2; shift 2
	bad $code "$text" weld "$@" -o out
}
section() { # FILE REGEX: file offsets of the sections that match
	readelf -SW $1 | sed -n 's/^ *\[ *[0-9]*\] //p' |
		awk -v re="$2" '$1 ~ re { print "0x" $4 }'
}
poke() { # FILE OFFSET BYTES: a copy of count with bytes changed
	cp count $1
	printf "$3" | dd of=$1 bs=1 seek=$2 conv=notrunc status=none
}

# --- Targets.

$CC -O2 -o count $SOURCE/samples/count.c
welds 1 "missing: No such file" missing $B
welds 1 "'': No such file" '' $B
welds 3 "not a regular file" . $B
welds 3 "not a regular file" /dev/null $B
mkfifo pipe; welds 3 "not a regular file" pipe $B
: > empty; welds 3 "empty" empty $B
echo 'echo hello' > script; welds 3 "not an ELF file" script $B
printf '\x7fELF' > four; welds 1 "truncated" four $B
ln -s loop loop; welds 1 "symbolic links" loop $B

poke c32 4 '\x01'; welds 3 "not a 64-bit ELF" c32 $B
poke big 5 '\x02'; welds 3 "not a little-endian" big $B
poke arm 18 '\xb7'; welds 3 "machine 183, not x86-64" arm $B
welds 3 "a BPF object, not an x86-64 program or library; TARGET comes first" \
	$B count
poke core 16 '\x04'; welds 3 "core dump" core $B
poke type 16 '\x09'; welds 3 "ELF type 9" type $B
poke noload 56 '\x00'; welds 3 "no LOAD segment" noload $B
poke phsize 54 '\x20'; welds 1 "program headers of 32 bytes" phsize $B
poke phoff 32 '\xff\xff\xff\xff\xff\xff\xff\xff'
welds 1 "truncated in its program headers" phoff $B
$CC -c -o count.o $SOURCE/samples/count.c
welds 3 "relocatable object" count.o $B
echo 'int _start;' | $CC -m32 -nostdlib -xc -c -o i386.o - &&
	ld -m elf_i386 -o i386 i386.o && welds 3 "not a 64-bit ELF" i386 $B
$CC -g -O2 -o count.g $SOURCE/samples/count.c
objcopy --only-keep-debug count.g count.debug
welds 3 "separate debug file" count.debug $B

# Packed: by upx itself where there is one; else what it leaves of a file.
if command -v upx >/dev/null; then
	$CC -O2 -static -o big.static $SOURCE/samples/count.c
	upx -q -o packed big.static >/dev/null
else
	poke packed 40 '\x00\x00\x00\x00\x00\x00\x00\x00'
	printf '\x00\x00\x00\x00' |
		dd of=packed bs=1 seek=60 conv=notrunc status=none
	printf 'UPX!\x0d\x16\x02\x0a' >> packed
fi
welds 3 "packed by UPX" packed $B

$W weld count $B -o welded >/dev/null
welds 3 "already welded" welded $B
strip -o welded.strip welded; welds 3 "already welded" welded.strip $B
llvm-objcopy --strip-sections welded welded.bare
welds 3 "already welded" welded.bare $B
for mode in 4755 2755; do
	cp count set$mode; chmod $mode set$mode
	welds 3 "--allow-setuid" set$mode $B -p count=uprobe:work
	$W weld set$mode $B -p count=uprobe:work --allow-setuid -o s >/dev/null
	[ "$(stat -c %a s)" = $mode ] || die "lost the bits of $mode"
	rm s
done

# Cut off anywhere: without its section headers, which are last, a file is
# damaged; where it never had any, its last segment is.
size=$(stat -c %s count)
cp count noshdr
printf '\0\0\0\0\0\0\0\0' | dd of=noshdr bs=1 seek=40 conv=notrunc status=none
loaded=$(($(readelf -lW count | awk '$1 == "LOAD" { n = $2 "+" $5 }
	END { print n }')))
for n in {1..80..7} 120 {200..2000..300} {3000..20000..1100} $((size - 1)); do
	[ $n -lt $size ] || continue
	head -c $n count > cut
	welds $((n < 4 ? 3 : 1)) "" cut $B
	[ $n -lt $loaded ] && [ $n -gt 64 ] || continue
	head -c $n noshdr > cut
	welds 1 "truncated" cut $B
done

# Any byte of its headers and tables can be wrong: an error, or a weld.
damaged() {
	local got=0
	$W weld damaged $2 -o out > $t/stdout 2> $t/stderr || got=$?
	[ $got -le 4 ] && [ $(wc -l < $t/stderr) -le 1 ] ||
		die "byte $1 damaged: exit $got, $(cat $t/stderr)"
	[ $got = 0 ] || [ ! -e out ] || die "byte $1: failed, and wrote"
	rm -f out
}
tables=$(section count 'dynamic|dynsym|eh_frame|rela|note')
for at in {16..600..13} $tables $(seq $((size - 1900)) 47 $size); do
	poke damaged $((at + 9)) '\xc3'
	damaged $at $B
done

# --- Objects.

welds 1 "missing.o: No such file" count missing.o
welds 1 "extra: No such file or directory: taken for a BPF object" count $B extra
welds 1 "'': No such file" count ''
welds 3 "not a regular file" count .
welds 3 "not a regular file" count pipe
welds 3 "empty file" count empty
welds 3 "not an ELF file" count script
[ "$(tail -c 9 $t/stderr)" = "ELF file" ] || die "$(cat $t/stderr)"
cp $SOURCE/samples/count.bpf.c .
welds 3 "count.bpf.c: not an ELF file: compile it first (clang -target bpf -O2 -g -c)" \
	count count.bpf.c
welds 3 "not a BPF object" count count
welds 3 "not a BPF object" count count.o

prog() { # NAME SECTION BODY [MAPS] [FLAGS]: NAME.o, one program
	cat > $t/$1.c <<-X
	#include <linux/bpf.h>
	#include <bpf/bpf_helpers.h>
	${4:-}
	SEC("$2") int prog(void *ctx) { $3; return 0; }
	char LICENSE[] SEC("license") = "GPL";
	X
	# shellcheck disable=SC2086
	clang -target ${TARGET:-bpf} -O2 ${5--g} -isystem \
		/usr/include/x86_64-linux-gnu -c $t/$1.c -o $1.o
}
work=uprobe/count:work
prog nobtf $work "" "" ""; welds 3 "without BTF" count nobtf.o
TARGET=bpfeb prog eb $work ""; welds 3 "big-endian" count eb.o
for type in SOCKMAP DEVMAP CPUMAP STRUCT_OPS; do
	prog map $work 'bpf_map_delete_elem(&odd, &ctx)' "struct {
		__uint(type, BPF_MAP_TYPE_$type); __uint(max_entries, 4096);
		__uint(key_size, 8); __uint(value_size, 8);
		} odd SEC(\".maps\");"
	welds 3 "odd" count map.o
done
prog helper $work 'bpf_get_current_cgroup_id()'
welds 3 "get_current_cgroup_id" count helper.o
for kind in tracepoint/syscalls/sys_enter_openat xdp; do
	prog kind $kind ""; welds 3 "-p prog=none leaves it out" count kind.o
done
# Tools attach these to functions of programs, too.
prog kind kprobe/do_exit ""
welds 2 "function of the kernel, and those are not probed; add -p prog=uprobe:FUNCTION" \
	count kind.o
prog bare uprobe ""; welds 2 "prog" count bare.o
prog gone uprobe/count:wrok ""
welds 1 "no function 'wrok' (did you mean work?)" count gone.o
welds 1 "'lookup' is for words" count $O/words.bpf.o
prog auto uprobe/libnone.so:f ""; welds 1 "libnone.so" count auto.o

size=$(stat -c %s $B)
for n in {1..64..9} {100..900..160} {1500..9000..700} $((size - 1)); do
	[ $n -lt $size ] || continue
	head -c $n $B > cut.o
	welds $((n < 4 ? 3 : 1)) "cut.o" count cut.o
done
cp count damaged
for at in {16..64..3} {64..900..23} $(seq $((size - 1500)) 67 $size); do
	cp $B hurt.o
	printf '\xff' | dd of=hurt.o bs=1 seek=$at conv=notrunc status=none
	damaged $at hurt.o
done
rm damaged hurt.o

# --- Probes and options.

welds 1 "no function 'wrk' (did you mean work?)" count $B -p count=uprobe:wrk
strip -o bare count
welds 1 "no function 'work': the file is stripped, list has what is left" \
	bare $B -p count=uprobe:work
welds 1 "no function matches 'wo*': the file is stripped" bare $B \
	-p 'count=uprobe:wo*'
for file in bare count; do # stripped or not, it has none
	welds 1 "no function 'printf': it is imported from libc.so.6; weld the library that has it" \
		$file $B -p count=uprobe:printf
	bad 1 "no function matches printf: it is imported from libc.so.6; weld the library that has it" \
		list $file printf
done
bad 1 "no function matches work: the file is stripped" list bare work
welds 1 "not the beginning of an instruction" count $B -p count=uprobe:work+1
welds 1 "past the end of 'work'" count $B -p count=uprobe:work+0x999
welds 1 "no function is known" count $B -p count=uprobe:0x1
welds 1 "no function matches 'zz*'" count $B -p 'count=uprobe:zz*'
welds 2 "no program 'cout' (did you mean count?)" count $B -p cout=uprobe:work
welds 2 "not PROGRAM=PROBE" count $B -p count
welds 2 "names no function" count $B -p count=uprobe:
welds 2 "kind of probe 'krpobe'" count $B -p count=krpobe:work
welds 2 "takes no offset" count $B -p count=uretprobe:work+1
welds 1 "needs a function's entry" count $B -p count=uretprobe:$(printf 0x%x \
	$(($(nm count | awk '$3 == "work" { print "0x" $1 }') + 3)))
welds 2 "is not a cookie" count $B -p count=uprobe:work,cookie=x
cat > tight.s <<'X'
	.section .note.GNU-stack, ""
	.text
	.globl main, tight
tight:	cld
1:	dec %edi
	jns 1b
	ret
main:	call tight
	xor %eax, %eax
	ret
	.type main, @function
	.size main, . - main
	.type tight, @function
	.size tight, main - tight
X
$CC -o tight tight.s
welds 4 "tight" tight $B -p count=uprobe:tight
welds 4 "tight" tight $B -p count=uprobe:tight -p count=uprobe:main --strict

welds 2 "not VAR=VALUE" count $B --set x
welds 2 "no global variable 'x'" count $B --set x=1
F=$O/filter.bpf.o
welds 2 "not a number" count $F --set min_size=one
welds 2 "out of range" count $F --set min_size=4294967296
welds 2 "no map 'x'" count $B --set x.max_entries=1
I=$O/inner.bpf.o
welds 2 "no map 'smal' (did you mean small" count $I --set smal.value_size=1
welds 2 "small.max_entries=: not a number" count $I --set small.max_entries=
welds 2 "not a number" count $I --set small.max_entries=1k
welds 2 "out of range" count $I --set small.value_size=-1
welds 2 "out of range" count $I --set small.max_entries=4294967296
welds 2 "not MAP.max_entries=N" count $I --set small.max_entries
welds 2 "a pattern for maps" count $I --set arrays.inner.max_entries=3
welds 2 "a data section" count $F --set filter.rodata.value_size=3
welds 2 "no global variable '.max_entries'" count $I --set .max_entries=3
welds 2 "no global variable 'small.flags'" count $I --set small.flags=0
welds 1 "values[4] is past its end" count $I --set tables.max_entries=3
welds 1 "is not as the definition says: 'even'" count $I \
	--set even.max_entries=99
welds 2 "native or vm" count $B --engine=jit
welds 2 "no such stage" count $B --dump=everything
welds 2 "unknown option" count $B --bogus
welds 2 "unknown option" count $B -x
bad 2 "needs a value" weld count $B -o out -p
bad 2 "option '-o' needs a value, not '-x'" weld count $B -o -x
bad 2 "native or vm" weld count $B -o out --engine=$(printf 'x%.0s' {1..900})
bad 2 "-o OUT is missing" weld count $B
bad 2 "no BPF object" weld count -o out
bad 2 "no target" weld -o out

# --- Output.

mkdir dir; cp $B obj.o
bad 1 "is the target itself" weld count $B -o count
ln -s count link; bad 1 "is the target itself" weld count $B -o link
bad 1 "is the target itself" weld link $B -o ./dir/../count
bad 1 "is one of the objects" weld count obj.o -o obj.o
bad 1 "not a plain file" weld count $B -o dir
bad 1 "not a plain file" weld count $B -o pipe
bad 1 "not a plain file" weld count $B -o /dev/null
# Links stay what they are: /dev/stdout is one that the whole machine goes by.
echo old > led; ln -s led leads; ln -s nosuch leads_nowhere; ln -s /dev/fd/1 out
for link in leads leads_nowhere out; do
	was=$(readlink $link)
	bad 1 "is a symbolic link: name the file itself" weld count $B -o $link
	[ "$(readlink $link)" = "$was" ] || die "$link is no link any more"
done
[ "$(cat led)" = old ] && [ ! -e nosuch ] || die "a link was followed"
rm led leads leads_nowhere out
bad 1 "No such file" weld count $B -o no/such/dir
bad 1 "Not a directory" weld count $B -o count/x
bad 2 "-o is empty" weld count $B -o ''
bad 2 "-o is empty" weld count $B --output=
bad 2 "-o is empty" unweld welded -o ''
bad 1 "too long" weld count $B -o $(printf 'x%.0s' {1..300})
(ulimit -f 4; bad 1 "too large" weld count $B -o out) || exit 1

# An old output stays whole when the new one fails, and goes when it works.
cp script out
welds 1 "no function" count $B -p count=uprobe:wrk
(ulimit -f 4; welds 1 "too large" count $B) || exit 1
[ "$(cat out)" = 'echo hello' ] || die "the old output is lost"
rm out

# Interrupted at any moment: a whole output or none, and nothing else.
for i in {1..20}; do
	timeout -s INT -k 5 0.00$((i % 8 + 1)) $W weld count $B -o out \
		>/dev/null 2>&1 || true
	[ ! -e out ] || cmp -s out welded || die "half an output"
	[ -z "$(ls -A | grep '^\.bpfweld')" ] || die "left: $(ls -A)"
done
rm -f out

# Nobody may not even get to a checkout in /root: it gets copies.
if [ "$(id -u)" = 0 ] && command -v setpriv >/dev/null; then
	install -m 755 $W $t/tool; install -m 644 $B $t/b.o
	chmod 755 $t $t/d; mkdir open; chmod 777 open
	cp count locked; chmod 600 locked
	cp $B locked.o; chmod 600 locked.o
	chmod 755 count
	find . -maxdepth 1 -name '*.o' ! -name 'l*' -exec chmod 644 {} +
	denied() { W=$t/tool AS=$nobody bad 1 "Permission denied" weld "$@"; }
	denied count $t/b.o -o out
	denied locked $t/b.o -o open/out
	denied count locked.o -o open/out
fi
if [ "$(id -u)" = 0 ] && unshare -m true 2>/dev/null; then
	export -f bad state die; export W B t
	unshare -m bash -euo pipefail -c '
		mount -t tmpfs -o size=16k small dir
		bad 1 "No space left" weld count $B -o dir/out
		echo old > dir/out
		bad 1 "No space left" weld count $B -o dir/out
		umount dir
		mount -t tmpfs -o size=1m small dir
		mount -o remount,ro dir
		bad 1 "Read-only file system" weld count $B -o dir/out
		umount dir' || die "with little room"
else
	echo "skipped: full and read-only file systems (need root)"
fi

# --- The other commands.

bad 2 "unknown command 'wedl' (did you mean weld?)" wedl
bad 2 "unknown option '--bogus'" --bogus
bad 2 "unknown command 'wedl' (did you mean weld?)" help wedl
bad 2 "unknown map command 'dmp' (did you mean dump?)" help map dmp
bad 2 "unknown option '--bogus'" help --bogus
for c in check list; do
	bad 1 "No such file" $c missing $([ $c = list ] || echo $B)
	bad 3 "not an ELF" $c script $([ $c = list ] || echo $B)
	bad 2 "unknown option" $c --bogus
	bad 2 "" $c
done
for c in info "unweld -o out" "map list" "map dump"; do
	bad 1 "not a welded file" $c count
	bad 1 "not a welded file" $c script
	bad 1 "not a welded file" $c empty
	bad 1 "No such file" $c missing
	bad 1 "egular file" $c .
	bad 1 "egular file" $c pipe
	bad 2 "unknown option" $c --bogus
	bad 2 "" $c
done
bad 1 "no function matches" list count 'zz*'
! grep stripped $t/stderr || die "it is not stripped"
bad 2 "no command after --" diff count $B
bad 2 "unknown map command 'dmp' (did you mean dump?)" map dmp welded
bad 2 "the key is missing" map lookup welded calls
bad 1 "has not run yet" map dump welded
bad 1 "No such file" unweld welded -o no/such/dir
bad 2 "version" version now

# A welded file that was damaged afterwards is not restored.
for n in 100 1000 5000 $(($(stat -c %s welded) - 1)); do
	head -c $n welded > cut
	bad 1 "" unweld cut -o out
	bad 1 "" info cut
done
cp welded hurt
at=$(($(section welded '^.text$')))
printf '\xcc' | dd of=hurt bs=1 seek=$at conv=notrunc status=none
bad 1 "was changed after welding" unweld hurt -o out
if [ -w /dev/full ]; then
	exits 1 sh -c "$W list count > /dev/full 2> $t/stderr"
	grep -q "standard output: No space left" $t/stderr
	# What was done stays, and that is said.
	unsaid() { # DONE ARGUMENTS...
		local done=$1; shift
		exits 1 sh -c "$W $* > /dev/full 2> $t/stderr"
		diff - $t/stderr <<-X || die "not in one line: $*"
		bpfweld: standard output: No space left on device; but $done
		X
	}
	for j in '' -j; do
		unsaid "whole is written" weld count $O/count.bpf.o -o whole $j
		$W info whole > /dev/null || die "not whole"
		rm whole
	done
	unsaid "back is written" unweld welded -o back -j
	cmp back count
	./welded > /dev/null
	unsaid "the probes are set" probe disable welded -j
	unsaid "the map is changed" map clear welded -j
	$W unweld welded -o back > /dev/full # it has nothing to say
fi
