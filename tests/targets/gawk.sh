# SPDX-License-Identifier: MIT
# A workload for gawk: fields, arrays, functions, formats, pipes, redirections.
# bash gawk.sh DIRECTORY [TIMES]
set -e
rm -rf "$1/work"
mkdir -p "$1/work"
cd "$1/work"
times=${2:-1}
export LC_ALL=C TZ=UTC
seq 1 400 | sed 's/.*/key& value& &/' >data
cat >work.awk <<'EOF'
function fib(n) { return n < 2 ? n : fib(n - 1) + fib(n - 2) }
function fill(a, n,   i) { for (i = 1; i <= n; i++) a[i] = (i * 37) % 101 }
BEGIN {
	PROCINFO["sorted_in"] = "@ind_num_asc"
	fill(v, 40)
	n = asort(v)
	print n, v[1], v[40], fib(15), 2 ^ 40, -7 % 3, length("hello")
	print substr("abcdef", 2, 3), index("foobar", "bar"), toupper("x")
	printf "%05d|%-8s|%.3f|%x|%c|%e|%s\n", 42, "ab", 3.14159, 255, 65, 1e9, 1e30
	s = "one two  three"
	print split(s, w), w[2], gsub(/o/, "0", s), s, match("xx123", /[0-9]+/), RSTART
	print gensub(/(.)(.)/, "\\2\\1", "g", "abcd"), strftime("%Y-%m-%d", 86400)
	m["x"]["y"] = 3; m["x"]["z"] = 4
	for (k in m["x"]) t += m["x"][k]
	print t, and(12, 10), strtonum("0x1f"), ("q" in m), typeof(m)
	while (("seq 1 3" | getline line) > 0) sum += line
	close("seq 1 3")
	print sum
	f = "fib"
	print @f(9)
	switch (sum) { case 6: print "six"; break; default: print "other" }
}
$3 % 50 == 0 { c[$3 % 7]++; last = $1; print NR, $2, NF > "out" }
/key3[0-9]$/, /key35/ { range++ }
END {
	for (k in c) printf "%s=%s ", k, c[k]
	print last, range, NR
	print "b\na\nc" | "sort"
	close("sort")
	delete c
	$0 = "a:b:c"; FS = ":"; $0 = $0; $2 = "X"; print; print $1 / none
}
EOF
for ((i = 0; i < times; i++)); do
	gawk -f work.awk data 2>&1 || echo "exit $?"
	cat out
	gawk -F'[ey]+' 'BEGIN { RS = "" } { print $2, NF }' data
	gawk 'BEGIN { print 1' 2>&1 || echo "exit $?"
	gawk -M 'BEGIN { print 2 ^ 100 }' 2>&1 || true
	gawk --pretty-print=/dev/stdout '{ x[$1]++ } END { for (i in x) print i }'
done
