#!/usr/bin/env bash
# SPDX-License-Identifier: MIT
# run.sh BUILD MINUTES [NAME...] - every fuzzer of a fuzz build (or the named
# ones) for so long, two at a time, at the lowest priority.
#
#   BUILD/fuzz-corpus/NAME/   what each has found interesting: kept, so that
#                             the next run goes on from there
#   BUILD/fuzz-findings/      inputs that crash, hang or eat memory
#   BUILD/fuzz-NAME.log       what it printed
#
# Seeds are small files of all kinds, made on the fly.  Exit 1 on a finding,
# new or still there from an earlier run.
set -euo pipefail
usage() { echo "usage: run.sh BUILD MINUTES [NAME...]" >&2; exit 2; }
[ $# -ge 2 ] && [[ $2 =~ ^[1-9][0-9]*$ ]] || usage
BUILD=$(cd "$1" && pwd) MINUTES=$2
shift 2
SOURCE=$(cd "$(dirname "${BASH_SOURCE[0]}")/../.." && pwd)
CORPUS=$BUILD/fuzz-corpus FINDINGS=$BUILD/fuzz-findings
t=$(mktemp -d "${TMPDIR:-/tmp}/bpfweld-fuzz.XXXXXX")
trap 'kill $(jobs -p) 2>/dev/null || true; rm -rf "$t"' EXIT
has() { command -v "$1" >/dev/null; }

# --- Seeds.

cat > $t/tiny.c <<'X'
int table(int x)
{
	switch (x) {
	case 1: return 10; case 2: return 7; case 3: return -1;
	case 4: return 33; case 5: return 2; case 6: return 12;
	}
	return x;
}
__attribute__((noinline)) int work(int x) { return x * 3 + table(x & 7); }
void _start(void)
{
	int sum = 0;
	for (int i = 0; i < 100; i++)
		sum += work(i);
	__asm__ volatile("syscall" :: "a"(60), "D"(sum & 1) : "rcx", "r11");
	__builtin_unreachable();
}
X
cat > $t/throw.cc <<'X'
#include <stdexcept>
struct clean { ~clean() { __asm__ volatile("nop"); } };
int work(int x) { clean c; if (x & 1) throw std::runtime_error("x"); return x; }
int main() { try { return work(3); } catch (std::exception &) { return 0; } }
X

# seed NAME COMMAND...: COMMAND -o a file that becomes a seed of fuzz-image
seed() {
	local name=$1; shift
	has "$1" || return 0
	"$@" -o "$CORPUS/image/seed-$name" 2>/dev/null ||
		echo "no seed $name: $*"
}

seeds_image() {
	local n="-nostdlib -ffreestanding"
	local s="-Wl,-z,noseparate-code,-z,max-page-size=4096"
	for cc in gcc clang; do
		seed $cc-tiny $cc -O2 -static $n $s $t/tiny.c
		seed $cc-pie $cc -O2 -fPIE -pie $n $s $t/tiny.c
		seed $cc-so $cc -O2 -fPIC -shared $n $s $t/tiny.c
		seed $cc-bare $cc -O2 -static -s $n $s \
			-fno-asynchronous-unwind-tables $t/tiny.c
		seed $cc-debug $cc -O2 -g -static $n $s $t/tiny.c
		seed $cc-relr $cc -O1 -fPIC -shared $n $s $t/tiny.c \
			-Wl,-z,pack-relative-relocs,--hash-style=both
	done
	seed libc gcc -O2 $s "$SOURCE/samples/count.c"
	seed cet gcc -O2 -fcf-protection=full -no-pie $s \
		"$SOURCE/samples/words.c"
	seed lld clang -O2 -fuse-ld=lld $s "$SOURCE/samples/filter.c"
	seed musl musl-gcc -O2 $s "$SOURCE/samples/count.c"
	seed usdt gcc -O2 $s "$SOURCE"/tests/diff/usdt.[cS]
	seed throw g++ -O2 -fcf-protection=none $s $t/throw.cc
	seed musl-static musl-gcc -O2 -static -s "$SOURCE/samples/count.c"
	strip -o "$CORPUS/image/seed-stripped" "$CORPUS/image/seed-libc"
}

seeds_object() {
	local o=$CORPUS/object
	cp "$BUILD"/obj/*.bpf.o "$o/"
	for f in "$SOURCE"/samples/*.bpf.c; do
		for flags in "-mcpu=v1" "-mcpu=v3 -g0" "-mbig-endian"; do
			# shellcheck disable=SC2086
			clang -target bpf -O2 -g -D__TARGET_ARCH_x86 $flags \
				-isystem /usr/include/x86_64-linux-gnu -c "$f" \
				-o "$o/$(basename "$f")${flags// /}" \
				2>/dev/null || true
		done
	done
}

# Its input is a few bytes about functions, code, and a quarter of data.
seeds_window() {
	local o=$CORPUS/window
	for f in "$CORPUS"/image/seed-*; do
		objcopy -O binary --only-section=.text "$f" $t/text
		{ printf '\x01\x03\x00\xf0\x03\x20\xff\x01\x40\x80\x02'
		  head -c 1800 $t/text; } > "$o/text-${f##*/}"
		{ printf '\x02\x02\x00\xff\x03\x30\xff\x0b'
		  tail -c 1200 $t/text; } > "$o/tail-${f##*/}"
	done
}

seeds_argspec() {
	readelf -n "$CORPUS/image/seed-usdt" |
		sed -n 's/ *Arguments: //p' |
		split -l 1 - "$CORPUS/argspec/probe-"
}

seeds_notes() {
	local o=$CORPUS/notes
	objcopy -O binary --only-section=.note.stapsdt \
		--set-section-flags .note.stapsdt=alloc \
		"$CORPUS/image/seed-usdt" "$o/usdt"
	# One that is in the page of code that there is.
	{ printf '\10\0\0\0\53\0\0\0\3\0\0\0stapsdt\0'
	  printf '\1\20\0\0\0\0\0\0\0\60\0\0\0\0\0\0\0\0\0\0\0\0\0\0'
	  printf 'libx\0begin\0-4@$1\0\0\0'; } > "$o/one"
}

# Types alone are damaged, so the whole has to be small; and quickly verified.
seeds_core() {
	find "$BUILD/obj" -name '*.bpf.o' -size -24k ! -name long.bpf.o \
		-exec cp -t "$CORPUS/core" {} +
}

# What decides how a program is made: any bytes.
seeds_verify() {
	for n in 100 300 600 1200; do
		for f in "$CORPUS"/image/seed-*; do
			head -c $((n * 9)) "$f" | tail -c $n |
				tr '\0' "\\$((n % 7 + 1))" \
				> "$CORPUS/verify/$n-${f##*/}"
		done
	done
}

seeds_region() {
	for n in count words; do
		gcc -O2 -o $t/$n "$SOURCE/samples/$n.c"
		"$BUILD/bpfweld" weld $t/$n "$BUILD/obj/$n.bpf.o" \
			-o $t/$n.weld >/dev/null
		rm -f $t/region
		BPFWELD_REGION=$t/region $t/$n.weld >/dev/null </dev/null || true
		[ ! -s $t/region ] || cp $t/region "$CORPUS/region/$n"
	done
}

seeds_weld() {
	cp "$CORPUS"/image/seed-* "$CORPUS/weld/"
}

seeds_manifest() {
	local o=$CORPUS/manifest
	gcc -O2 -o $t/count "$SOURCE/samples/count.c"
	gcc -O2 -o $t/words "$SOURCE/samples/words.c"
	for n in count words; do
		for engine in native vm; do
			"$BUILD/bpfweld" weld $t/$n "$BUILD/obj/$n.bpf.o" \
				--engine=$engine -o $t/weld >/dev/null
			objcopy --dump-section \
				.bpfweld.manifest="$o/$n-$engine" $t/weld
		done
	done
}

# --- Running.

export ASAN_OPTIONS=${ASAN_OPTIONS:-detect_leaks=1}
[ $# != 0 ] || set -- $(cd "$BUILD/tests" && ls | sed -n 's/^fuzz-//p')
[ $# != 0 ] || { echo "no fuzzers in $BUILD/tests" >&2; exit 2; }
mkdir -p "$FINDINGS" "$CORPUS/image"
seeds_image
for name; do
	mkdir -p "$CORPUS/$name"
	[ "$name" = image ] || ! declare -F "seeds_$name" >/dev/null ||
		"seeds_$name"
done

# A long file is slow and finds no more than a short one does.
most() {
	case $1 in
	image | weld) echo 65536 ;;
	window) echo 2100 ;;
	verify) echo 3000 ;;
	core) echo 49152 ;;
	region) echo 1048576 ;;
	*) echo 16384 ;;
	esac
}
# The verifier keeps up to 512 MiB of states, and the sanitizer as much again.
rss() { [ $1 = verify ] && echo 3000 || echo 1500; }
fuzz() {
	exec nice -n 19 "$BUILD/tests/fuzz-$1" "$CORPUS/$1" \
		-artifact_prefix="$FINDINGS/$1-" -max_len="$(most "$1")" \
		-max_total_time=$((MINUTES * 60)) -timeout=300 \
		-report_slow_units=300 \
		-rss_limit_mb="$(rss "$1")" -malloc_limit_mb=1000 -print_final_stats=1 \
		> "$BUILD/fuzz-$1.log" 2>&1
}
started=0
for name; do
	[ $started -lt 2 ] || wait -n || true
	fuzz "$name" &
	started=$((started + 1))
done
wait

for name; do
	echo "fuzz-$name: $(sed -n 's/^stat::number_of_executed_units: *//p' \
		"$BUILD/fuzz-$name.log") runs, $(ls "$CORPUS/$name" |
		wc -l) inputs"
done
if [ -n "$(ls "$FINDINGS")" ]; then
	echo "findings in $FINDINGS:"
	for f in "$FINDINGS"/*; do
		name=${f##*/} name=${name%%-*}
		echo "  ${f##*/}: $(grep -m1 -E 'ERROR|SUMMARY' \
			"$BUILD/fuzz-$name.log" || echo "see its log")"
	done
	exit 1
fi
