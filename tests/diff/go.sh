#!/usr/bin/env bash
# Entries of a Go program's own functions, counted as the kernel counts them: a
# call that makes the stack grow is counted twice by both.  So is one whose
# goroutine is to make way for another after 10 ms: it all takes less.
. "$(dirname "$0")/common-diff.sh"
need go
export HOME=$t GOCACHE=$t/cache GO111MODULE=off CGO_ENABLED=0 GOMAXPROCS=1
go build -o $t/all $SOURCE/tests/e2e/go.go || die "go build"

judge $t/all $O/entries.bpf.o -p 'entry=uprobe:main.*' -- \
	$t/all deep=300 panics=3
grep -q '[0-9] values equal' $t/verdict

# Chains of callers, in which Go keeps frame pointers.
cat >$t/calls.go <<'END'
package main
//go:noinline
func leaf(x int) int { return x * 3 }
//go:noinline
func middle(x int) int { return leaf(x) + 1 }
//go:noinline
func upper(x int) int {
	if x == 0 {
		return middle(x)
	}
	return upper(x-1) + 1
}
func main() {
	for i := 0; i < 5; i++ {
		println(upper(i))
	}
}
END
go build -o $t/calls $t/calls.go || die "go build"
judge $t/calls $O/stack.bpf.o -p walk=uprobe:main.leaf,cookie=1 \
	-p walk=uprobe:main.middle,cookie=2 \
	-p walk=uretprobe:main.middle,cookie=3 \
	-p build_ids=uprobe:main.upper,cookie=4 -- $t/calls
