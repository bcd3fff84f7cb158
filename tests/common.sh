# SPDX-License-Identifier: MIT
# Sourced by every shell test: tools, a private directory, and no leftovers.
#   $t  temporary directory, removed at exit    $W  the bpfweld binary
#   $O  directory of compiled BPF objects       $CC  gcc
set -euo pipefail
# Whoever runs us may have left some open; tests of limits count descriptors.
exec 3>&- 4>&- 5>&- 6>&- 7>&- 8>&- 9>&-
here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
: "${SOURCE:=$(dirname "$here")}" "${BUILD:=$SOURCE/build/release}"
W=$BUILD/bpfweld
O=$BUILD/obj
CC=${CC:-gcc}
t=$(mktemp -d "${TMPDIR:-/tmp}/bpfweld-test.XXXXXX")
# Regions of this test only: never the ones of a user's own welded programs.
export BPFWELD_REGION=$t/region
trap 'rm -rf "$t"' EXIT

# forget_default NAME...: the default regions of welds that could not read where theirs
# was to be: /proc/self/environ needs a descriptor.
forget_default() {
	local dir=/dev/shm/bpfweld-$(id -u) name
	for name; do rm -f "$dir/$name"; done
	rmdir "$dir" 2>/dev/null || true
}

skip() { echo "skipped: $*"; exit 77; }
die() { echo "FAILED: $*" >&2; exit 1; }
not() { if "$@"; then die "should have failed: $*"; fi; }
# exits WANT COMMAND...: the command exits with WANT
exits() {
	local want=$1 got=0; shift
	"$@" || got=$?
	[ "$got" = "$want" ] || die "exit $got, not $want: $*"
}
# ... | has GREP-ARGS: grep -q that reads to the end, or the writer may die of a
# closed pipe and be what fails.
has() { [ "$(grep -c "$@")" != 0 ]; }
need() { command -v "$1" >/dev/null || skip "$1 is not installed"; }
# bpf FILE.bpf.c -> object beside it in $t
bpf() {
	clang -target bpf -O2 -g -Wall -D__TARGET_ARCH_x86 \
		-isystem /usr/include/x86_64-linux-gnu -c "$1" \
		-o "$t/$(basename "${1%.c}").o" "${@:2}"
}
