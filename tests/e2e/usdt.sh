#!/usr/bin/env bash
# USDT probes of our own making: every form of operand has the value that it
# should have, asked for by a constant or not, in both engines; semaphores are
# on for welded sites and for no others; what cannot be had is refused by name.
. "$(dirname "$0")/../common.sh"
need python3
D=$SOURCE/tests/diff
probes=(regs consts floats memory sib symbols local edge nothing lone pair
	nop5 nop10 tight behind)
each=()
for i in "${!probes[@]}"; do
	each+=(-p "ask=usdt:forms:${probes[i]},cookie=$i"
		-p "loop=usdt:forms:${probes[i]},cookie=$i")
done

# "NAME: ARGUMENT..." as the program found them, E and an errno for errors.
seen() { # WELDED MAP
	$W map dump -j $1 $2 | python3 -c '
import json, sys
names = sys.argv[1:]
for e in json.load(sys.stdin):
	f = e["formatted"]
	v = f["value"]
	if not v["hits"]:
		continue
	assert v["cookie"] == f["key"], v
	assert v["err"][v["count"]:] == [-2] * (12 - v["count"]), v
	assert not any(v["arg"][v["count"]:]), v
	found = ["E%d" % -r if r else "%x" % (a & 2**64 - 1)
		for a, r in zip(v["arg"], v["err"])]
	assert all(a == 0 for a, r in zip(v["arg"], v["err"]) if r), v
	print(names[f["key"]] + ":", *found[:v["count"]])' "${probes[@]}"
}
cat > $t/want <<'X'
regs: 807060504030201 fffffffff5f6f7f8 2d18 88 2 17 fffffffffffffffb a5a6a7a8 c7c8 ffffffffffffff98 ffffffff85161788 3
consts: 5 fffffffffffffff7 2c ffffffffffffffff 7fffffffffffffff ffffffffffffffff ffffffff ffffffffffff8000
floats: 400921fb54442d18 54442d18 716a635c554e4740 716a635c
memory: b1aaa39c958e8780 ffffffffb1aaa39c 4740 47 71 716a a9a29b948d867f78 e1dad3ccc5beb7b0 64 4d
sib: 190 64 4e 6a 0
symbols: fffffffffffffb2e 1111222233334444 5555666677778888 55556666 9999 12c
local: ffffffffffffffb3 ffffffffffffffb3 7172737475767778 7374 XXXX71727374
edge: f9f2ebe4 fffffffffffffff9 E14 f9f2ebe4ddd6cfc8 E14
nothing:
lone: 807060504030201
pair: f1f2f3f4f5f6f7f8
nop5: 1112131485161788
nop10: 400921fb54442d18
tight: 2
behind: 2
X

for kind in -pie -no-pie -static -static-pie; do
	$CC -O2 $kind -o $t/forms $D/usdt.c $D/usdt.S
	for engine in native vm; do
		rm -f $t/region
		$W weld $t/forms $O/usdt.bpf.o "${each[@]}" -o $t/welded \
			--engine=$engine -p fifth=usdt:forms:wrong >/dev/null
		# one of lone, two of pair, none of unused
		$t/welded | grep -x 'semaphores 120' >/dev/null ||
			die "$kind: $($t/welded)"
		for map in asked looped; do
			# 2 bytes of this one are the linker's
			seen $t/welded $map | sed -r '/^local/s/[^ ]*(71727374)$/XXXX\1/' \
				> $t/got
			diff $t/want $t/got || die "$kind, $engine, $map"
		done
		$W map dump $t/welded .bss | grep '"last": 2232817544$' >/dev/null ||
			die "$kind, $engine: an argument behind wrong ones"
		$W unweld $t/welded -o $t/back
		cmp $t/forms $t/back
	done
done
[ "$($t/forms)" = 'semaphores 0' ]

# A link is a probe; a glob may have many.
$W weld $t/forms $O/usdt.bpf.o -p 'ask=usdt:f?rms:l*' -o $t/welded >/dev/null
$W info $t/welded | awk '/ usdt:/ { print $3, $4 }' | sort > $t/got
printf '%s\n' 'usdt:forms:local ask' 'usdt:forms:lone ask' | diff - $t/got

# By name: what is not there, and what cannot be had.
says() { # EXIT TEXT ARGUMENTS...
	local code=$1 text=$2; shift 2
	exits $code $W weld $t/forms $O/usdt.bpf.o "$@" -o $t/no 2> $t/err
	grep -F "$text" $t/err >/dev/null || die "not '$text': $(cat $t/err)"
	[ ! -e $t/no ] || die "wrote a file"
}
says 1 "no USDT probe 'forms:regz' (did you mean forms:regs" -p ask=usdt:forms:regz
says 2 "is not usdt:PROVIDER:NAME" -p ask=usdt:regs
says 3 "argument 2 of forms:wrong is '8@%xmm0': %xmm0 is not in pt_regs" \
	-p ask=usdt:forms:wrong
says 3 "reads __bpf_usdt_specs by itself, which cannot say '8@%fs:tl@tpoff' of forms:local" \
	$O/usdt_new.bpf.o -p look=usdt:forms:local

# list shows them with their arguments, and what is wrong with those.
$W list --usdt $t/forms 'forms:[!l]*' > $t/list
has 'forms:regs' < $t/list || die "a glob of sets: $(cat $t/list)"
not has 'forms:l' < $t/list
[ "$($W list --usdt $t/forms | wc -l)" = 21 ] || die "list"
$W list --usdt $t/forms 'forms:lone' |
	grep -Ex '0x[0-9a-f]{12}        - usdt   forms:lone 8@%rax \(semaphore\)' \
	>/dev/null || die "list: $($W list --usdt $t/forms forms:lone)"
$W list -j --usdt $t/forms forms:wrong |
	grep -F '"unreadable":"%xmm0 is not in pt_regs"' >/dev/null
$W list $t/forms forms:lone | grep usdt >/dev/null

# An object whose BTF puts a member of the specs outside of them: nothing is written
# there.
cat > $t/lie.py <<'P'
import struct, sys
b, member, off = bytearray(open(sys.argv[1], "rb").read()), sys.argv[3], int(sys.argv[4], 0)
table, = struct.unpack_from("<Q", b, 40)
count, names = struct.unpack_from("<HH", b, 60)
head = lambda i: struct.unpack_from("<IIQQQQ", b, table + 64 * i)
text = lambda at: bytes(b[at:b.index(0, at)]).decode()
btf = next(h[4] for h in map(head, range(count))
	if text(head(names)[4] + h[0]) == ".BTF")
size, types, ntypes, strings = struct.unpack_from("<IIII", b, btf + 4)
at = b.index(b"\0" + member.encode() + b"\0", btf + size + strings) + 1
name = struct.pack("<I", at - (btf + size + strings))
found = b.index(name, btf + size + types, btf + size + types + ntypes)
struct.pack_into("<I", b, found + 8, off)
open(sys.argv[2], "wb").write(b)
P
for lie in "usdt_cookie 0x7ffffff8" "usdt_cookie 0xffff8" "arg_cnt 0xfffffff8" \
	"val_off 0x80000000" "reg_off 0x100000c0"; do
	python3 $t/lie.py $O/usdt_new.bpf.o $t/lie.bpf.o $lie
	says 3 "layout that is not libbpf's" $t/lie.bpf.o -p look=usdt:forms:lone
done
