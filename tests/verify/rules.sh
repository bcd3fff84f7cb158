#!/usr/bin/env bash
# SPDX-License-Identifier: MIT
# Every program of *.bpf.c beside this script is judged as the line in front of
# it says (rules.h), by us and, where that can be asked, by the kernel.
. "$(dirname "$0")/../common.sh"
V=$BUILD/tests/verdict
tab=$'\t'

# said FILE: NAME, WHOSE, VERDICT and TEXT of each program
said() {
	awk -v OFS='\t' '
	/^\/\/ / {
		sub(/^\/\/ /, "")
		whose = sub(/^ours: /, "") ? "ours" : "both"
		verdict = text = $0
		sub(/:.*/, "", verdict)
		sub(/^[a-z]*:? ?/, "", text)
	}
	/^(RULE|NAKED|SESSION) / {
		name = $2
		sub(/\(.*/, "", name)
		print name, whose, verdict, text
		verdict = "nothing"
	}' "$1"
}

# wrong WANT TEXT VERDICT MESSAGE: what is wrong, or nothing
wrong() {
	case $1 in
	accepted) [ "$3" = accept ] || echo "$3: $4" ;;
	guards) [ "$3" = "guards $2" ] || echo "$3: $4" ;;
	refused)
		if [ "$3" != refuse ]; then
			echo "$3"
		elif [[ $4 != *"$2"* ]]; then
			echo "refused for another reason: $4"
		fi ;;
	*) echo "what of it?" ;;
	esac
}

# of NAME FILE: its verdict and message
of() { awk -F'\t' -v n="$1" '$2 == n { print $3 "\t" $6 }' "$2"; }

n=0 bad=0
complain() { echo "$*" >&2; bad=$((bad + 1)); }
kernel=1
for source in "$here"/verify/*.bpf.c; do
	name=$(basename "$source" .bpf.c)
	bpf "$source" -Werror
	$V "$t/$name.bpf.o" > $t/ours
	$V --kernel "$t/$name.bpf.o" > $t/kernel 2> $t/why || kernel=
	while IFS=$tab read -r prog whose verdict text; do
		n=$((n + 1))
		IFS=$tab read -r is message < <(of $prog $t/ours)
		say=$(wrong "$verdict" "$text" "$is" "$message")
		[ -z "$say" ] || complain "$name: $prog is not $verdict: $say"
		[ "$kernel" ] && [ $whose = both ] || continue
		IFS=$tab read -r is message < <(of $prog $t/kernel)
		[ $verdict = accepted ] && want=accept || want=refuse
		[ $is = $want ] ||
			complain "$name: $prog: the kernel says $is: $message"
	done < <(said "$source")
done
[ "$kernel" ] || echo "the kernel was not asked: $(cat $t/why)"
[ $n -ge 50 ] || die "only $n programs"
[ $bad = 0 ] || die "$bad of $n"
