# SPDX-License-Identifier: MIT
# A workload for busybox: its shell, and the programs that it is.
# bash busybox.sh DIRECTORY [TIMES]
set -e
rm -rf "$1/work"
mkdir -p "$1/work"
cd "$1/work"
times=${2:-1}
export LC_ALL=C TZ=UTC
cat >script <<'EOF'
b=/bin/busybox
[ -x $b ] || b=/usr/bin/busybox
i=0
while [ $i -lt 3 ]; do
	$b seq 1 200 >f.$i
	i=$((i + 1))
done
f() { local x=$1; [ $x -le 1 ] && echo 1 || echo $((x * $(f $((x - 1))))); }
f 8
$b sort -rn f.0 | $b head -3
$b awk '{ s += $1 } END { printf "%d %s\n", s, toupper("ok") }' f.1
$b sed -n 's/^\(.\)5$/\1-5/p' f.2
$b grep -c '7' f.0
$b tr a-y b-z <<X
hello
X
$b md5sum f.0 && $b sha256sum f.1 && $b cksum f.2
$b tar -cf t.tar f.0 f.1 && $b tar -tf t.tar
$b gzip -c f.0 | $b gunzip -c | $b cmp - f.0 && echo same
$b bzip2 -c f.1 | $b bunzip2 -c | $b wc
$b diff f.0 script | $b head -2
$b expr 3 + 4 '*' 2
$b printf '%05d|%-6s|%x\n' 42 ab 255
$b find . -name 'f.*' | $b sort | $b xargs -n 2 echo
$b date -u -d @86400 +%F
$b od -c f.0 | $b tail -1
$b dc -e '2 3 + p' 2>&1
echo "$(echo a b | $b cut -d' ' -f2)" | $b rev
$b vi 2>/dev/null </dev/null -c q nothing | $b head -c 0
$b sh -c 'trap "echo usr1" USR1; kill -USR1 $$; exit 5'
echo $?
$b test -d / && $b dirname /a/b && $b basename /a/b.c .c
$b nothing 2>&1
echo $?
$b uniq -c <<X | $b sed 's/^ *//'
a
a
b
X
case $- in *i*) echo i ;; *) echo no ;; esac
for n in 1 2 3; do (exit $n) || echo $?; done | $b paste - - -
EOF
sed -i '/ vi 2/d' script
busybox=$(command -v busybox)
for ((i = 0; i < times; i++)); do
	"$busybox" ash script 2>&1 || echo "exit $?"
done
