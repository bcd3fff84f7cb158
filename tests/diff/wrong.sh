#!/usr/bin/env bash
# The judge can say no: a bpfweld whose stub has the names of some helpers
# exchanged (tests/CMakeLists.txt makes it; no code of the product differs) is
# told apart from the kernel, with map, key and field.
. "$(dirname "$0")/common-diff.sh"
need python3
W=$BUILD/tests/bpfweld-wrong
$CC -O2 -o $t/words $SOURCE/samples/words.c
helpers_build

# finds REGEX LINES ARGS...: exit 1, and the report has that line
finds() {
	local want=$1 status=0; shift
	$W diff "$@" > $t/verdict 2>&1 || status=$?
	[ $status != 77 ] || skip "kernel uprobes cannot be used here"
	[ $status = 1 ] || die "exit $status, not 1: $(cat $t/verdict)"
	grep -qE "^$want" $t/verdict || die "no '$want': $(cat $t/verdict)"
}
finds 'seen\[\{"text":"or"\}\]: only in the kernel.s run: \{"count":1,"bytes":2\}$' \
	$t/words $O/words.bpf.o -- $t/words be or be
finds 'hash_results\[0\]: only in the kernel.s run: \{"any":0,' \
	$t/helpers $O/helpers.bpf.o "${helpers[@]}" -- $t/helpers
grep -qx '[0-9]* values equal, 8 masked, [1-9][0-9]* different.*' \
	$t/verdict || die "$(tail -1 $t/verdict)"

# What does not use these helpers is right as ever.
$CC -O2 -o $t/count $SOURCE/samples/count.c
$W diff $t/count $O/count.bpf.o -- $t/count

# The same for programs.
exits 1 $W diff -j $t/words $O/words.bpf.o -- $t/words be or be > $t/verdict
python3 - $t/verdict <<'END'
import json, sys
d = json.load(open(sys.argv[1]))
assert d["equal"] == 0 and d["different"] == 2 and d["hits"] == 3, d
assert d["differences"][0] == {"map": "seen", "object": "words",
	"key": {"text": "be"}, "kernel": {"count": 2, "bytes": 4},
	"welded": None}, d["differences"][0]
END
