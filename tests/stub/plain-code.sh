#!/usr/bin/env bash
# The stub's object uses general registers only, no string instruction, and
# little stack; it names nothing but what the welder defines.
. "$(dirname "$0")/common-stub.sh"
need objdump
objdump -d "$STUB" > $t/dis
not grep -E '%[xyz]mm|%mm[0-7]|%st\b|\bf(ld|st|x)|\b(repn?[ze]? |movs[bwlq] +%ds|stos|lods|scas)' $t/dis
nm -u "$STUB" | awk '{ print $2 }' | sort > $t/undefined
printf '%s\n' weld_clock_use weld_fault_arm weld_info weld_libs_seen \
	weld_orig_entry weld_orig_init weld_own weld_pins_map weld_pins_tell \
	weld_region weld_returns weld_room_for weld_stacks |
	cmp - $t/undefined || die "undefined: $(cat $t/undefined)"
readelf -rW "$STUB" | awk '$3 ~ /^R_/ { print $3 }' | sort -u > $t/relocs
printf '%s\n' R_X86_64_PC32 R_X86_64_PLT32 | cmp - $t/relocs ||
	die "relocations: $(cat $t/relocs)"
# No function but the interpreter has a frame of more than 400 bytes, which is
# what an update of a hash map has, with all that is inlined.
sed -nE 's/^[0-9a-f]+ <(.*)>:$/\1/p; s/.*sub +\$(0x[0-9a-f]+),%rsp.*/\1/p' \
	$t/dis | while read -r word; do
	case $word in
	0x*) [ $((word)) -le 400 ] || [ "$name" = run ] ||
		die "$name takes $((word)) bytes of stack" ;;
	*) name=$word ;;
	esac
done
