#!/usr/bin/env bash
# A Go program with its race detector, which is C++ code in the middle of it, and
# every entry and return of both probed.
. "$(dirname "$0")/common-go.sh"

export CGO_ENABLED=1
go_build plain
go_build race -race
wanted plain
survives race
[ ! -s $t/err ] || not grep -q 'DATA RACE' $t/err
