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
