#!/usr/bin/env bash
# SPDX-License-Identifier: MIT
# Probes on thousands of instructions all over bash, whatever they are: a script
# has the same output, and the probes were hit.  Each round takes other
# instructions and a program that needs more of a frame.
. "$(dirname "$0")/../common.sh"
need objdump
target=$(readlink -f "$(command -v bash)")

bpf "$here/patch/progs.bpf.c"

cat > "$t/script" <<'END'
f() { local x=$1; ((s += x % 7)); }
for ((i = 0; i < 3000; i++)); do f $i; done
echo $s
a=(); for k in $(seq 300); do a+=("$k:$((k * k))"); done
printf '%s\n' "${a[@]}" | sort | cksum
[[ foo =~ ^f(o+)$ ]] && echo "${BASH_REMATCH[1]}"
(exit 3) || echo $?
trap 'echo bye' EXIT
shopt -s extglob; v=abc123; echo "${v//+([a-z])/X}" "${v^^}" "$((2 ** 40))"
trap 'echo usr1' USR1; kill -USR1 $$; :
END
"$target" "$t/script" > "$t/want"

objdump -d -j .text --no-show-raw-insn "$target" |
	awk '/^ +[0-9a-f]+:\t/ && $2 !~ /nop|xchg|int3|data16|^cs$/ {
		sub(":", "", $1); print $1 }' > "$t/insns"

# sites ROUND: addresses at least 24 bytes apart, other ones each round
sites() {
	awk -v r="$1" 'function hex(s, i, v) {
			for (i = 1; i <= length(s); i++)
				v = v * 16 + index("0123456789abcdef",
						   substr(s, i, 1)) - 1
			return v }
		(NR + r * 3) % 11 < 2 { v = hex($1)
			if (v - last >= 24) { print $1; last = v } }' "$t/insns"
}

# The linear sweep of objdump is wrong about a few; bpfweld stops at each.
weld_sites() {
	local tries bad
	for tries in $(seq 40); do
		if sed "s/.*/-p\n$1=uprobe:0x&/" "$t/sites" |
			xargs -x -s 2000000 "$W" weld "$target" \
				"$t/progs.bpf.o" -o "$t/bash" \
				> "$t/log" 2> "$t/errors"; then
			return
		fi
		bad=$(sed -n '1s/^bpfweld: [^:]*:0x\([0-9a-f]*\): .*/\1/p' \
			"$t/errors")
		[ -n "$bad" ] || break
		sed -i "/^$bad\$/d" "$t/sites"
	done
	die "$1, try $tries: $(head -1 "$t/errors")"
}

round=0
for prog in count look stack copy; do
	round=$((round + 1))
	sites $round > "$t/sites"
	weld_sites $prog
	cat "$t/log"
	rm -f "$BPFWELD_REGION"
	"$t/bash" "$t/script" > "$t/got" || die "$prog: exit $?"
	cmp "$t/want" "$t/got" || die "$prog"
	$W info "$t/bash" | awk '$NF == 0 && $(NF - 1) > 0 { n++ }
		END { print n " of the probes were hit"; exit n < 500 }' ||
		die "hardly a probe was hit"
done
