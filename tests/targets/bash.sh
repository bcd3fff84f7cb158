# SPDX-License-Identifier: MIT
# A workload for bash, and itself the script that bash runs: arrays, functions,
# expansions, arithmetic, redirections, subshells, pipes, traps, globs.
# bash bash.sh DIRECTORY [TIMES]
rm -rf "$1/work"
mkdir -p "$1/work"
cd "$1/work" || exit 1
times=${2:-1}
LC_ALL=C
shopt -s extglob nullglob

declare -A count
declare -a list
declare -i sum=0

words() {
	local w
	for w in "$@"; do
		w=${w,,}
		w=${w//[^a-z]/}
		[[ -n $w ]] && ((count[$w] += 1))
	done
}

fib() { # recursion, locals, arithmetic
	local -i n=$1
	if ((n < 2)); then
		REPLY=$n
		return
	fi
	fib $((n - 1))
	local a=$REPLY
	fib $((n - 2))
	REPLY=$((a + REPLY))
}

sort_list() { # an insertion sort
	local -i i j
	local v
	for ((i = 1; i < ${#list[@]}; i++)); do
		v=${list[i]}
		for ((j = i; j > 0 && list[j - 1] > v; j--)); do
			list[j]=${list[j - 1]}
		done
		list[j]=$v
	done
}

for ((round = 0; round < times; round++)); do
	while read -r -a line; do
		words "${line[@]}"
	done <<-'TEXT'
		It was the best of times, it was the worst of times,
		it was the age of wisdom, it was the age of foolishness,
		it was the epoch of belief, it was the epoch of incredulity
	TEXT
	list=()
	for i in {1..12}; do list+=($((i * 7919 % 101))); done
	sort_list
	fib 6
	sum+=$REPLY
done
echo "${list[*]}" "$sum"
for w in it was the of wisdom absent; do
	printf '%-8s %3d\n' "$w" "${count[$w]:-0}"
done

# Strings
path=/usr/local/lib/libexample.so.1.2
echo "${path##*/}" "${path%/*}" "${path/local/share}" "${#path}" \
	"${path: -3}" "${path:5:5}" "${unset:-default}" "${path@Q}"
[[ $path =~ lib([a-z]+)\.so\.([0-9.]+) ]] && echo "${BASH_REMATCH[@]}"
case $path in
	*.@(a|o)) echo object ;;
	*.so*) echo library ;;
esac
printf -v hex '%x ' 1 10 100 1000
echo "$hex" $((0x1f ^ 3)) $((2 ** 20)) $((7 / 2)) $((-7 % 3))

# Files, redirections, globs, substitutions
for i in 1 2 3; do echo "file $i" >"file.$i"; done
cat_all() { local f; for f in file.*; do echo "$f: $(<"$f")"; done; }
cat_all >all
exec 5<all
while read -r -u 5 line; do echo "<$line>"; done
exec 5<&-
echo "nested: $(echo "one $(echo "two $(echo three)")")"
(cd / && echo "in $PWD"; exit 3) || echo "subshell: $?"
mapfile -t lines <all
echo "${#lines[@]} lines, last ${lines[-1]}"
echo "globs:" file.[12] !(file.*)

# Pipes
printf '%s\n' b a c | sort | tr a-z A-Z
seq 1 20 | while read -r n; do ((n % 10)) || echo -n "$n "; done
echo

# Traps, errors, here-documents, eval, select by name
trap 'echo "usr1"' USR1
kill -USR1 $$
trap 'echo "err $?"' ERR
false
trap - ERR
eval 'indirect=list; declare -n ref=$indirect; echo "${ref[0]}"'
command -v nothing_of_that_name || echo "not found"
set -- -a -b value rest
while getopts ab: o; do echo "$o ${OPTARG-}"; done
set +e
let 'x = 5, y = x << 2'
echo "$x $y ${!BASH_VERS*}"
history -c
help test >/dev/null
type words | sed -n 1,2p >/dev/null
trap 'echo bye' EXIT
