#!/usr/bin/env bash
# Files with two more segments run, and still do after strip and its relatives;
# elflint and readelf find nothing that they did not find in the original.
. "$(dirname "$0")/../common.sh"
add=$BUILD/tests/unit-emit
[ -x "$add" ] || skip "unit-emit is not built"
for tool in eu-strip eu-elflint llvm-strip-14 patchelf; do need $tool; done
cd "$t"

cat > a.c <<'X'
#include <stdio.h>
#include <stdlib.h>
static int order(const void *a, const void *b) { return *(int *)a - *(int *)b; }
int main(void)
{
	int v[] = { 3, 1, 2 };
	qsort(v, 3, sizeof(*v), order);
	return printf("%d %d %d\n", v[0], v[1], v[2]) < 0;
}
X
cat > b.cc <<'X'
#include <cstdio>
#include <stdexcept>
int main()
{
	try { throw std::runtime_error("caught"); }
	catch (std::exception &e) { puts(e.what()); }
}
X

# same COMMAND: prints what $want says
same() {
	local got
	got=$("$@" 2>&1) || true
	[ "$got" = "$want" ] || die "$* after ${tool:-welding}: $got"
}

# lint ORIGINAL NEW: no complaint that ORIGINAL does not draw
lint() {
	local new
	new=$(diff <(complaints "$1") <(complaints "$2") | grep '^>' || true)
	[ -z "$new" ] || die "eu-elflint $2: $new"
	[ -z "$(readelf -lSWs "$2" 2>&1 >/dev/null)" ] || die "readelf $2"
}
complaints() { eu-elflint --gnu-ld "$1" 2>&1 | sed 's/\[ *[0-9]*\]//g'; }
build_id() { readelf -nW "$1" 2>&1 | grep 'Build ID' || true; }

tools=("strip" "eu-strip" "llvm-strip-14" "objcopy --strip-debug"
	"llvm-objcopy-14" "patchelf --set-rpath /no/$(printf 'x%.0s' {1..99})")

# try FILE ARG...: weld FILE, compare `FILE ARG...` with the original's output
try() {
	local f=$1 tool=; shift
	want=$("./$f" "$@" 2>&1)
	"$add" "$f" "$f.w" > said
	same "./$f.w" "$@"
	lint "$f" "$f.w"
	for tool in "${tools[@]}"; do
		cp "$f" old; cp "$f.w" new
		# A tool that breaks the original proves nothing.
		$tool old 2>/dev/null && [ "$(./old "$@" 2>&1)" = "$want" ] ||
			continue
		$tool new || die "$tool $f.w"
		same ./new "$@"
		[ "$(build_id new)" = "$(build_id old)" ] ||
			die "$tool $f.w: build-id"
	done
	echo "ok $f: $(cat said)"
}

gcc -g -o pie a.c && try pie
gcc -no-pie -o exec a.c && try exec
gcc -static -o static a.c && try static
gcc -static-pie -o static-pie a.c && try static-pie
gcc -fcf-protection=full -Wl,-z,noseparate-code -o cet a.c && try cet
gcc -Wl,--emit-relocs,--hash-style=both,--build-id=none -o odd a.c && try odd
gcc -Wl,-z,max-page-size=0x200000 -o large-pages a.c && try large-pages
g++ -o throw b.cc && try throw
if command -v ld.lld >/dev/null; then
	clang-14 -fuse-ld=lld -o lld a.c && try lld
fi
if command -v musl-gcc >/dev/null; then
	musl-gcc -o musl a.c && try musl
	musl-gcc -static -no-pie -o musl-static a.c && try musl-static
fi
cp "$(command -v bash)" . && try bash -c 'x=(1 2); echo ${x[1]}'

# library PATH COMMAND...: COMMAND is the same with a welded PATH
library() {
	local so=$1 name=${1##*/}; shift
	[ -e "$so" ] || return 0
	mkdir -p lib; rm -f lib/*
	want=$("$@" 2>&1)
	"$add" "$so" whole > said
	lint "$so" whole
	for tool in true "${tools[@]}"; do
		cp whole "lib/$name"
		$tool "lib/$name" || die "$tool $name"
		LD_LIBRARY_PATH=$t/lib same "$@"
	done
	echo "ok $name: $(cat said)"
}
dir=/usr/lib/x86_64-linux-gnu
library $dir/libcrypto.so.3 openssl dgst -sha256 a.c
library $dir/libstdc++.so.6 ./throw
library $dir/libc.so.6 ./pie
library $dir/libz.so.1 git --version

# What code may address stays: here the table itself has to move.
cat > first.ld <<'X'
PHDRS { headers PT_PHDR PHDRS; all PT_LOAD FILEHDR PHDRS FLAGS(5); }
SECTIONS {
	. = 0x400000 + SIZEOF_HEADERS;
	.rodata : { *(.rodata*) } :all
	.text : { *(.text*) } :all
}
X
printf '.globl _start; _start: mov $60,%%eax; mov v(%%rip),%%edi; syscall
	.section .rodata,"a"; v: .long 9
' | gcc -c -xassembler -o r.o -
ld -T first.ld -o rodata-first r.o 2>/dev/null
exits 9 ./rodata-first
"$add" rodata-first rodata-first.w | has moved
exits 9 ./rodata-first.w
