#!/usr/bin/env bash
# info, map and unweld on a welded program: before it ran, afterwards, for
# people and as JSON, and on files that are none of theirs.
. "$(dirname "$0")/../common.sh"
need python3
# says TEXT COMMAND...: prints TEXT, on standard output or error
says() {
	local want=$1 got; shift
	got=$("$@" 2>&1) || true
	[[ $got == *"$want"* ]] || die "does not say '$want': $*: $got"
}
# json EXPRESSION COMMAND...: valid JSON d, of which the expression holds
json() {
	local want=$1 got; shift
	got=$("$@") || true
	python3 -c "import json,sys; d=json.load(sys.stdin)
assert $want, d" <<< "$got" || die "not $want: $*"
}

$CC -O2 -o $t/words $SOURCE/samples/words.c
w=$t/words.weld
$W weld $t/words $O/words.bpf.o -o $w

says "has not run yet" $W info $w
json 'not d["region"]["exists"] and len(d["probes"]) == 1' $W info -j $w
json 'd[0]["name"] == "seen" and "count" not in d[0]' $W map list -j $w
says "has not run yet: no region at $t/region" $W map dump $w seen
exits 1 $W map dump $w seen
json '"has not run yet" in d["error"]' $W map dump -j $w
# There will be none: what the environment says of that, and no word of "yet".
never() { # VALUE TEXT: everybody says TEXT
	local got
	for command in info "map dump" "trace --once" "probe list"; do
		got=$(BPFWELD_REGION=$1 $W $command $w 2>&1) || true
		[[ $got == *"$2"* && $got != *"not run yet"* ]] ||
			die "does not say '$2': $command: $got"
	done
	BPFWELD_REGION=$1 json "'$2' in d['region']['fault']" $W info -j $w
}
never off "BPFWELD_REGION is off in the environment"
never private "BPFWELD_REGION is private in the environment"
never $t/none/region "names a directory that is not there"
# What is there, and cannot be a region: everybody says so, and waits for nothing.
for make in mkfifo mkdir "ln -s /dev/null"; do
	$make $t/region
	why="no regular file, so"
	[ ! -L $t/region ] || why="a symbolic link, which"
	json "d['region']['fault'].startswith('$why')" $W info -j $w
	for command in info "map list" "map dump" trace; do
		says "$why welded programs do not" timeout 60 $W $command $w
	done
	rm -r $t/region
done
BPFWELD_REGION=/dev/null says " bytes, no regular file, so" $W info $w

$w to be or not to be
json 'd["probes"][0]["hits"] == 6' $W info -j $w
json 'd[0]["count"] == 4' $W map list -j $w
# Sorted by key; bytes and values agree.
json '[e["formatted"]["key"]["text"] for e in d] == "be not or to".split()' \
	$W map dump $w seen -j
json 'all(int(e["value"][0], 16) == e["formatted"]["value"]["count"]
	for e in d["seen"])' $W map dump $w -j
json 'd[3] == { "key": { "text": "to" },
	"value": { "count": 2, "bytes": 4 } }' $W map dump $w seen
json 'd["value"]["count"] == 2' $W map lookup $w seen be
json 'd["formatted"]["value"]["count"] == 1' $W map lookup -j $w seen \
	hex 6f 72 0 0 0 0 0 0 0 0 0 0 0 0 0 0
exits 1 $W map lookup $w seen question
says "no such key in map seen" $W map lookup $w seen question
says "did you mean seen?" $W map dump $w sen
exits 2 $W map lookup $w seen hex 1

# The region of one weld is not read as another's.
$W weld $t/words $O/words.bpf.o -o $t/vm --engine=vm
for command in info "map dump" "trace --once" "probe list"; do
	says "the region of another weld, so programs of this one do not use it: let BPFWELD_REGION, which names it, name another path" \
		$W $command $t/vm
done
exits 1 $W map dump $t/vm

# Whole, in place, and not when something was changed.
$W unweld $w -o $t/back
cmp $t/back $t/words
cp $w $t/same && chmod 711 $t/same && $W unweld $t/same -o $t/same
cmp $t/same $t/words
[ "$(stat -c %a $t/same)" = 711 ] || die "unweld changed the mode"
cp $w $t/stripped && strip $t/stripped
says "was changed after welding" $W unweld $t/stripped -o $t/none
[ ! -e $t/none ]
says "seen" $W info $t/stripped
says "not a welded file" $W info $t/words
exits 1 $W unweld $t/words -o $t/none

exits 2 $W
exits 2 $W wled
says "did you mean weld?" $W wled
says "did you mean --json?" $W info --jsn $w
exits 2 $W map lookup $w seen
exits 1 $W info /nonexistent
if [ -w /dev/full ]; then
	not sh -c "$W version > /dev/full 2>/dev/null"
fi

# Variables by their names: global, static and settings.
cat > $t/vars.bpf.c <<'C'
#include <linux/bpf.h>
#include <bpf/bpf_helpers.h>
int hits;
static long total;
const volatile char label[8] = "abc";
enum state { IDLE, BUSY } state = BUSY;
SEC("uprobe/words:lookup") int count(void *ctx)
{
	hits++;
	total += 10;
	state = label[0] == 'x' ? IDLE : BUSY;
	return 0;
}
char LICENSE[] SEC("license") = "GPL";
C
bpf $t/vars.bpf.c
$W weld $t/words $t/vars.bpf.o -o $w --set label=xyz
rm $t/region
$w to be
json '{ k: v for e in d[0]["value"][".bss"] for k, v in e.items() } == {
	"hits": 2, "total": 20 }' $W map dump $w .bss
json 'd[0]["value"] == { ".rodata": [{ "label": "xyz" }] }' \
	$W map dump $w vars.rodata
json 'd["value"] == { ".data": [{ "state": "IDLE" }] }' \
	$W map lookup $w .data 0

# Two objects of one name, and one that was given twice: each has its own.
mkdir $t/other
cp $O/words.bpf.o $t/other
$W weld $t/words $O/words.bpf.o $t/other/words.bpf.o $O/words.bpf.o -o $w \
	2> $t/said
cat > $t/want <<END
bpfweld: note: $t/other/words.bpf.o: 'words' is $O/words.bpf.o already; maps of this one are 'words_2:NAME'
bpfweld: note: $O/words.bpf.o: 'words' is $O/words.bpf.o already; maps of this one are 'words_3:NAME'
END
diff $t/want $t/said
rm $t/region
$w to be
$W map delete $w words_2:seen be
json 'len(d) == 2' $W map dump -j $w words:seen
json 'len(d) == 1' $W map dump -j $w words_2:seen
json 'len(d) == 2' $W map dump -j $w words_3:seen
says "3 maps are called 'seen': say 'words:seen' or 'words_2:seen' or 'words_3:seen'" \
	$W map dump $w seen
