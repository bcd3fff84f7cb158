#!/usr/bin/env bash
# SPDX-License-Identifier: MIT
# A welded file is a file as any other: strip and its relatives may have it,
# and still it runs, counts and can tell what is in it; elflint and readelf
# find nothing that they did not find in the original.
. "$(dirname "$0")/../common.sh"
cd "$t"
mkdir lib old

# A tool that is not there, or that breaks the original, proves nothing.
tools=("true" "strip" "strip -g" "strip --strip-unneeded" "eu-strip"
	"llvm-strip-14" "llvm-strip-14 -g" "objcopy --strip-debug" "objcopy"
	"llvm-objcopy-14" "patchelf --set-rpath /no/$(printf 'x%.0s' {1..99})"
	"chrpath -d")
for i in "${!tools[@]}"; do
	command -v "${tools[i]%% *}" > log && continue
	echo "skipped: no ${tools[i]%% *}"
	unset "tools[i]"
done

# complaints FILE: what eu-elflint and readelf have against it
complaints() {
	! command -v eu-elflint > log || eu-elflint --gnu-ld "$1" 2>&1 |
		sed 's/\[ *[0-9]*\]//g' | grep -v 'No errors' || true
	readelf -aW "$1" 2>&1 >/dev/null | sed 's/^readelf: [^ ]*: *//' || true
	readelf -wfl "$1" 2>&1 >/dev/null | sed 's/^readelf: [^ ]*: *//' || true
}
clean() { # ORIGINAL WELDED WHAT
	local new
	new=$(diff <(complaints "$1") <(complaints "$2") | grep '^>') || return 0
	die "$3: new complaints: $new"
}

# survive NAME ORIGINAL WELDED COUNT RUN...: RUN, which uses the file
# `$at/NAME`, prints the same and counts the same whatever a tool does to it.
# COUNT prints, for a welded file, what was counted.
survive() {
	local name=$1 original=$2 welded=$3 count=$4 at want tool n=0 not=
	shift 4
	rm -f lib/* old/*
	cp "$original" "old/$name"
	at=old want=$(at=old "$@" 2>&1) || die "$name: the original fails"
	counted=
	for tool in "${tools[@]}"; do
		cp "$original" "old/$name"
		if ! $tool "old/$name" > log 2>&1 ||
			[ "$(at=old "$@" 2>&1)" != "$want" ]; then
			not+=", not ${tool%% /*}"
			continue
		fi
		cp "$welded" "lib/$name"
		$tool "lib/$name" > log || die "$name: $tool fails: $(cat log)"
		rm -f region
		[ "$(at=lib "$@" 2>&1)" = "$want" ] ||
			die "$name, $tool: prints $(at=lib "$@" 2>&1)"
		: "${counted:=$($count "lib/$name")}"
		[ "$($count "lib/$name")" = "$counted" ] ||
			die "$name, $tool: counted $($count "lib/$name")"
		$W info "lib/$name" > log && grep -q '^probes:' log ||
			die "$name, $tool: info"
		if cmp -s "lib/$name" "$welded"; then
			$W unweld "lib/$name" -o back > log
			cmp "$original" back
		else
			exits 1 $W unweld "lib/$name" -o none 2> log
			grep -q 'was changed after welding' log ||
				die "$name, $tool: unweld: $(cat log)"
			[ ! -e none ] || die "$name, $tool: unweld wrote"
		fi
		clean "old/$name" "lib/$name" "$name, $tool"
		n=$((n + 1))
	done
	[ -n "$counted" ] || die "$name: nothing was counted"
	echo "ok $name: $n tools$not; counted $(echo $counted)"
}

calls() { $W map lookup "$1" calls 0 | tr -d '\n'; }
program() { "$at/$name"; }

kind() { # NAME COMPILER FLAGS...
	local name=$1; shift
	command -v "$1" > log || { echo "skipped: $name: no $1"; return; }
	"$@" -o "$name.old" "$SOURCE/samples/count.c" 2> log ||
		{ echo "skipped: $name: $(head -1 log)"; return; }
	$W weld "$name.old" "$O/count.bpf.o" -o "$name.weld" \
		-p count=uprobe:work > log
	survive "$name" "$name.old" "$name.weld" calls program
	[[ $counted == *1000* ]] || die "$name: $counted"
}

kind pie gcc -g -O2
kind exec gcc -g -O2 -no-pie -fno-pie
kind static gcc -O2 -static
kind static-pie gcc -O2 -static-pie
kind cet gcc -O2 -fcf-protection=full -Wl,-z,ibt,-z,shstk
kind relr gcc -O2 -Wl,-z,pack-relative-relocs
kind relocs gcc -g -O2 -Wl,--emit-relocs,--build-id=none
kind pages gcc -O2 -Wl,-z,max-page-size=0x200000
kind gold gcc -g -O2 -fuse-ld=gold
kind lld clang-14 -g -O2 -fuse-ld=lld
kind clang clang-14 -g -O0
kind stripped gcc -O2 -Wl,-z,noseparate-code -rdynamic -s
kind musl musl-gcc -O2
kind musl-static musl-gcc -O2 -static

# --- programs and libraries as distributions ship them ---------------------------

commands() { $W map dump "$1" .bss; }
script() { "$at/bash" -c 'set -o history; x=(1 2); echo ${x[1]} | cat
	for i in 1 2 3; do echo $((i * i)); done'; }
file=$(readlink -f "$(command -v bash)")
$W weld "$file" "$O/bash_lines.bpf.o" -o bash.weld > log
survive bash "$file" bash.weld commands script

# library NAME OBJECT ARG...: weld the system's
library() {
	local name=$1 object=$2; shift 2
	file=$(readlink -f "$($CC -print-file-name="$name")")
	[ -e "$file" ] || { echo "skipped: no $name"; return 1; }
	$W weld "$file" "$O/$object.bpf.o" -o "$name.weld" "$@" > log 2>&1 ||
		die "$name: $(cat log)"
}
head -c 100000 "$W" > data
digest() { LD_LIBRARY_PATH=$at openssl dgst -sha256 -sha512 data; }
library libcrypto.so.3 digests && command -v openssl > log &&
	survive libcrypto.so.3 "$file" libcrypto.so.3.weld commands digest

cat > throw.cc <<'E'
#include <cstdio>
#include <stdexcept>
int main()
{
	int caught = 0;
	for (int i = 0; i < 500; i++)
		try {
			throw std::runtime_error("odd");
		} catch (std::exception &) {
			caught++;
		}
	printf("%d\n", caught);
}
E
if command -v g++ > log; then
	g++ -O1 -o throw throw.cc
	throw() { LD_LIBRARY_PATH=$at ./throw; }
	library libstdc++.so.6 unwind -p 'light=uprobe:*' &&
		survive libstdc++.so.6 "$file" libstdc++.so.6.weld commands throw
fi

# A setuid bit is not carried over unasked; other modes are.
cp pie.old s; chmod 4711 s
exits 3 $W weld s $O/count.bpf.o -o s.weld -p count=uprobe:work 2> log
[ ! -e s.weld ]
$W weld s $O/count.bpf.o -o s.weld -p count=uprobe:work --allow-setuid > log
[ "$(stat -c %a s.weld)" = 4711 ]
