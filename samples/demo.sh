#!/bin/sh
# SPDX-License-Identifier: MIT
# demo.sh BUILD - the main job on a real program: weld two probes into bash, run
# the result as an ordinary user would, read what they counted.
set -eu
build=$1
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
export BPFWELD_REGION="$work/region"

show() { printf '\n$ %s\n' "$*"; "$@"; }

cat >"$work/script" <<'EOF'
set -o history
greet() { echo "hello, $1"; }
for i in 1 2 3; do greet "$i"; done
greet world
greet world
EOF
cd "$build"
show ./bpfweld weld /bin/bash obj/bash_lines.bpf.o -o "$work/bash"
show "$work/bash" "$work/script"
show ./bpfweld map dump "$work/bash" lines
show ./bpfweld map dump "$work/bash" .bss
show ./bpfweld info "$work/bash"
show ./bpfweld unweld "$work/bash" -o "$work/bash.orig"
show cmp /bin/bash "$work/bash.orig"
echo "(identical to the original)"
