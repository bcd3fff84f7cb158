#!/usr/bin/env bash
# A position-independent Go program: its function table's addresses are in
# relocations.  (Apart from go.sh: the whole library is compiled for it.)
. "$(dirname "$0")/common-go.sh"

export CGO_ENABLED=0
go_build static
go_build pie -buildmode=pie -ldflags='-s -w'
wanted static
survives pie
survives pie --engine=vm
has_names pie
