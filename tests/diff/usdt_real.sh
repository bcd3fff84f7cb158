#!/usr/bin/env bash
# All USDT probes of real programs: hits and arguments as under the kernel.
# libstdc++ and Python are there with the packages of ./dev test; as `all`, for
# ./dev soak, PHP, Ruby, PostgreSQL and Java are judged where they are installed.
. "$(dirname "$0")/common-diff.sh"
every=($O/usdt_all.bpf.o -p 'all=usdt:*:*')

# placed FILE PERCENT: so many of its sites at least
placed() {
	local line
	line=$($W check $1 "${every[@]}" | tail -1)
	echo "${1##*/}: $line"
	awk -v min=$2 -F'[(%]' '{ exit !($2 >= min) }' <<< "$line" ||
		die "$1: less than $2%"
}
# missing FILE WHAT: said aloud, true when it is not there
missing() {
	[ ! -e "$1" ] || return 1
	echo "skipped: $2 is not installed"
}

lib=/usr/lib/x86_64-linux-gnu/libstdc++.so.6
cat > $t/throw.cc <<'X'
#include <cstdio>
#include <stdexcept>
int main()
{
	int n = 0;
	for (int i = 0; i < 100; i++)
		try {
			try {
				throw std::runtime_error("x");
			} catch (...) {
				n++;
				throw;
			}
		} catch (const std::exception &) {
			n += 2;
		}
	printf("%d\n", n);
}
X
g++ -O2 -o $t/throw $t/throw.cc
placed $lib 100
judge $lib "${every[@]}" -- $t/throw
$W diff $lib "${every[@]}" -- $t/throw | grep -F '(400 hits' >/dev/null ||
	die "100 throws, 100 rethrows, 200 catches"

python=$(readlink -f /usr/bin/python3)
if ! $W list --usdt $python python:line >/dev/null; then
	echo "skipped: $python has no USDT probes"
else
	placed $python 98
	judge $python "${every[@]}" -- $python -c '
import gc, json, sys
sys.addaudithook(lambda *a: None)
print(json.dumps(list(range(10))))
gc.collect()'
fi

[ "${1-}" = all ] || exit 0
missing /usr/bin/php8.2 PHP || {
	placed /usr/bin/php8.2 98
	judge /usr/bin/php8.2 "${every[@]}" -- \
		env USE_ZEND_DTRACE=1 php8.2 -r '
		function f($x) { return $x > 0 ? f($x - 1) : 0; }
		echo f(5);
		try { throw new Exception("x"); }
		catch (Exception $e) { echo "caught"; }'
}

# What lies about on the stack keeps objects from its collector.
lib=$(echo /usr/lib/x86_64-linux-gnu/libruby-3.*.so.3.?)
missing "$lib" Ruby || {
	placed $lib 97
	judge $lib "${every[@]}" -- ruby --disable-gems -e '
		GC.disable
		def f(x) x > 0 ? f(x - 1) : 0 end
		puts f(5), (1..10).map { |x| x.to_s * 2 }.join(",")
		begin; raise "x"; rescue; puts "rescued"; end'
}

# In a user namespace: it will not run as root.
bin=$(echo /usr/lib/postgresql/*/bin)
missing "$bin/postgres" PostgreSQL || {
	as="unshare --user --map-user=1000"
	chmod 755 $t
	if $as $bin/initdb -D $t/base -A trust -U postgres --no-sync \
		> $t/initdb 2>&1; then
		cat > $t/pg.sh <<X
rm -rf $t/db
cp -a $t/base $t/db
$as $bin/postgres --single -D $t/db -c fsync=off -c autovacuum=off postgres <<'SQL' 2>/dev/null
create table t(a int primary key, b text);
insert into t select i, repeat('x', i % 50) from generate_series(1, 2000) i;
update t set b = b || 'y' where a % 7 = 0;
delete from t where a % 11 = 0;
create index on t(b);
select b, count(*) from t group by b order by 2 desc, 1 limit 3;
begin; lock table t; rollback;
checkpoint;
SQL
X
		placed $bin/postgres 95
		judge $bin/postgres "${every[@]}" -- bash $t/pg.sh
	else
		echo "skipped: PostgreSQL: $(tail -1 $t/initdb)"
	fi
}

# Its threads do not do the same twice; where things are, even less so.
jvm=$(echo /usr/lib/jvm/java-17-openjdk-*/lib/server/libjvm.so)
java=${jvm%/lib/server/*}/bin
missing "$java/javac" Java || {
	cat > $t/J.java <<'X'
public class J {
	static int f(int x) { return x > 0 ? f(x - 1) + 1 : 0; }
	public static void main(String[] a) {
		System.out.println(f(10));
		System.gc();
	}
}
X
	$java/javac -d $t $t/J.java
	placed $jvm 98
	# A difference counts when it shows in each of three diffs.
	for try in 1 2 3; do
		status=0
		$W diff $jvm "${every[@]}" --mask sites.sum -- $java/java -Xint \
			-XX:+UseSerialGC -XX:+DTraceMethodProbes \
			-XX:+DTraceAllocProbes -XX:+DTraceMonitorProbes \
			-cp $t J > $t/verdict 2>&1 || status=$?
		tail -1 $t/verdict
		[ $status = 1 ] || break
		sed -n 's/^\(sites[^:]*\):.*/\1/p' $t/verdict | sort > $t/differs
		[ $try != 1 ] || cp $t/differs $t/left
		comm -12 $t/differs $t/left > $t/left+
		mv $t/left+ $t/left
		[ -s $t/left ] || status=0
		[ $status = 1 ] || break
	done
	[ $status = 0 ] || { cat $t/verdict; die "Java: exit $status"; }
}
