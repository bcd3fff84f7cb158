# SPDX-License-Identifier: MIT
# Sourced by the tests on Go programs: one program (go.go) that does all that is
# hard for a runtime which reads its own code's addresses, and what has to be
# the same when it is probed everywhere.
. "$(dirname "${BASH_SOURCE[0]}")/../common.sh"
need go
export HOME=$t GOCACHE=$t/cache GO111MODULE=off GOTRACEBACK=all
unset GOFLAGS

# go_build OUT ARGUMENTS...
go_build() {
	go build -trimpath -o "$t/$1" "${@:2}" "$SOURCE/tests/e2e/go.go" ||
		die "go build ${*:2}"
}

every=(-p 'busy=uprobe:*' -p 'busy=uretprobe:*')
work="goroutines=200 stacks=1 panics=200 garbage=10 preempt=10 profile=3
	traceback=10 serve=${REQUESTS:-200} deep=20000 edges=2000"

# all_agree FILE: every counter of busy.bpf.c says the same, and it is much.  A
# thread may be in the middle of the program when the process exits.
all_agree() {
	{ $W map dump "$1"
	  $W info -j "$1" | grep -oE '"(hits|misses)":[0-9]+' | tr : ' '
	} | awk '
		function near(x) { return x - total < 16 && total - x < 16 }
		/^[a-z.]*:$/      { map = $1 }
		/"value": [0-9]/  { n[map] += $2 }
		/"total":/        { total = $2 + 0 }
		/"from_1000":/    { from = $2 - 1000 }
		/"hits"/          { hits += $2 }
		/"misses"/        { misses += $2 }
		END {
			print total, n["calls:"], n["seen:"], from, hits, misses
			exit !(total > 100000 && near(n["calls:"]) &&
			       near(n["seen:"]) && near(from) &&
			       near(hits) && misses == 0)
		}' >"$t/agree" || die "$1: counters differ: $(cat "$t/agree")"
}

# survives KIND [WELD ARGUMENTS...]: $t/KIND with everything probed
survives() {
	local kind=$1; shift
	rm -f "$BPFWELD_REGION"
	$W weld "$t/$kind" "$O/busy.bpf.o" "${every[@]}" -o "$t/$kind.weld" \
		"$@" >"$t/weld.log" 2>&1 || die "$kind: $(tail -1 "$t/weld.log")"
	# shellcheck disable=SC2086
	timeout 250 "$t/$kind.weld" $work >"$t/got" 2>"$t/err" ||
		die "$kind $*: exit $?: $(head -c 2000 "$t/err")"
	cmp "$t/got" "$t/want" || die "$kind $*: another output"
	all_agree "$t/$kind.weld"
}

# has_names KIND: those that Go prints
has_names() {
	local name
	$W list "$t/$1" > "$t/list"
	for name in main.deep 'main.(*node).sum' 'net/http.(*conn).serve' \
		main.stacks.func1; do
		awk -v name="$name" '$NF == name { ok = 1 } END { exit !ok }' \
			"$t/list" || die "$1: no $name"
	done
	$W list "$t/$1" 'main.*' > "$t/list"
	not grep -q ' fn_' "$t/list"
}

# wanted PROGRAM: what the work's output is
wanted() {
	# shellcheck disable=SC2086
	"$t/$1" $work >"$t/want" 2>/dev/null || die "$1: exit $?"
}
