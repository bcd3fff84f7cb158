#!/usr/bin/env bash
# SPDX-License-Identifier: MIT
# selftests.sh [all] [-v] [--page FILE] - the programs of the kernel's own
# verifier tests, judged by the running kernel and by us.  Each is loaded as a
# uprobe's program, whatever it was written for, so what it says of itself
# (__success, __failure) may not hold; the kernel's word counts.
#
# They are compiled from Debian's linux-source-6.12, nothing of which is ours;
# what is made of it stays in the build directory.  Without `all`, a few files
# only: those that `./dev test` has time for.
. "$(dirname "$0")/../common.sh"
package=linux-source-6.12
tree=$package
tar=/usr/src/$package.tar.xz
made=$BUILD/selftests
few='and array_access bounds_deduction div0 ldsx loops1 stack_ptr subreg uninit
	value'
# The files whose programs user space can have.
counted='verifier_(and|array_access|bounds.*|bswap|cfg|ctx.*|div.*|gotol|'
counted+='helper_access_var_len|ldsx|loops1|map_ptr|map_ret_val|movsx|'
counted+='raw_stack|reg_equal|ringbuf|sdiv|spill_fill|stack_ptr|subreg|uninit|'
counted+='value.*|xadd|zext)\.o'
# How many programs that count the kernel may accept and we refuse, or refuse
# and we accept without guards; empty: any number.
refused_max=${REFUSED_MAX-0} unsafe_max=${UNSAFE_MAX-}

all= options=()
while [ $# -gt 0 ]; do
	case $1 in
	all) all=1 refused_max=${REFUSED_MAX-} ;;
	--page) options+=(--page "$2"); shift ;;
	*) options+=("$1") ;;
	esac
	shift
done

[ -e $tar ] || skip "$package is not installed"
[ -r /sys/kernel/btf/vmlinux ] || skip "this kernel has no BTF"
need clang-19; need bpftool; need python3; need xz

# unpack: the tests and what they include; the two headers that are generated.
unpack() {
	local of=$1/$tree/tools
	mkdir -p "$1/include/bpf" "$1/obj"
	tar -xJf $tar -C "$1" --wildcards \
		"$tree/tools/testing/selftests/bpf/progs/*" \
		"$tree/tools/testing/selftests/bpf/*.h" \
		"$tree/tools/lib/bpf/*.h" "$tree/tools/include/*" \
		$tree/scripts/bpf_doc.py
	cp "$of"/lib/bpf/*.h "$1/include/bpf"
	python3 "$1/$tree/scripts/bpf_doc.py" --header \
		--file "$of/include/uapi/linux/bpf.h" \
		> "$1/include/bpf/bpf_helper_defs.h"
	bpftool btf dump file /sys/kernel/btf/vmlinux format c \
		> "$1/include/vmlinux.h"
}

# compile FILE.c: to an object in $made/obj, or to nothing, with a word
compile() {
	local of=$made/$tree/tools name
	name=$(basename "$1" .c)
	clang-19 --target=bpf -mcpu=v4 -O2 -g -w -std=gnu11 -fms-extensions \
		-fno-strict-aliasing -D__TARGET_ARCH_x86 -I"$made/include" \
		-I"$of/testing/selftests/bpf" \
		-I"$of/testing/selftests/bpf/progs" -I"$of/include/uapi" \
		-idirafter /usr/include/x86_64-linux-gnu \
		-c "$1" -o "$made/obj/$name.o.new" 2> "$made/obj/$name.err" &&
		mv "$made/obj/$name.o.new" "$made/obj/$name.o" || {
		echo "$name does not compile: $(grep -m1 error: \
			"$made/obj/$name.err")"
	}
}

if ! [ $made/unpacked -nt $tar ]; then
	rm -rf "$made" "$made.new"
	unpack "$made.new"
	mv "$made.new" "$made"
	touch "$made/unpacked"
fi
progs=$made/$tree/tools/testing/selftests/bpf/progs
files=("$progs"/verifier_*.c)
[ -n "$all" ] || files=($(printf "$progs/verifier_%s.c\n" $few))
objects=()
for f in "${files[@]}"; do
	o=$made/obj/$(basename "$f" .c).o
	[ -e "$o" ] || compile "$f"
	[ ! -e "$o" ] || objects+=("$o")
done
[ -n "$all" ] || [ ${#objects[@]} = ${#files[@]} ] || die "not all compile"

V=$BUILD/tests/verdict
status=0
$V --kernel "${objects[@]}" > $t/kernel 2> $t/why || status=$?
[ $status != 77 ] || skip "$(cat $t/why)"
[ $status = 0 ] || die "$(cat $t/why)"
$V "${objects[@]}" > $t/ours
$V --annotated "${objects[@]}" > $t/annotated
cp $t/kernel $t/ours $t/annotated "$made"
python3 $SOURCE/tests/verify/compare.py --counted "$counted" \
	${refused_max:+--refused-max $refused_max} \
	${unsafe_max:+--unsafe-max $unsafe_max} "${options[@]}" \
	$t/kernel $t/ours $t/annotated
