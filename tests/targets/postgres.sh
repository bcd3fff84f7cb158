# SPDX-License-Identifier: MIT
# A workload for postgres by itself: SQL, indexes, functions, errors, recovery.
# bash postgres.sh DIRECTORY [TIMES]
# The cluster is made once, by the first run.  Run it with steady.so preloaded.
set -e
rm -rf "$1/work"
mkdir -p "$1/work"
cd "$1/work"
times=${2:-1}
bin=/usr/lib/postgresql/15/bin
# It does not run as root; with steady.so it does not know that it does.
export STEADY_UID=1 HOME=$PWD LC_ALL=C
own() { mkdir -p "$1"; chmod 700 "$1"; chown -R 1:1 "$1"; }
[ -e ../cluster ] || {
	own ../new
	$bin/initdb -D ../new -A trust -N -U p >/dev/null
	chown -R 1:1 ../new
	mv ../new ../cluster
}
cat >sql <<'EOF'
set max_parallel_workers_per_gather = 0;
create table t (id int primary key, name text, v numeric, at timestamp default '2024-01-01');
insert into t select i, 'name' || i % 37, i * 1.5 from generate_series(1, 500) i;
create index t_name on t (name, v desc);
create index t_gin on t using gin (to_tsvector('simple', name));
analyze t;
select name, count(*), sum(v), avg(v)::numeric(9,2) from t group by name having count(*) > 13 order by 1 limit 3;
select a.id, b.name from t a join t b on a.id = b.id + 7 where a.v between 20 and 40 order by a.id;
select id, rank() over (partition by name order by v desc) from t where id < 8 order by id;
with recursive f(n, a, b) as (values (1, 0::numeric, 1::numeric) union all select n + 1, b, a + b from f where n < 60) select a from f where n = 60;
explain (costs off) select * from t where name = 'name3' and v > 10;
select jsonb_path_query('{"a": [1, {"b": 2}]}', '$.a[*].b'), array_agg(x order by x desc) from unnest(array[3, 1, 2]) x;
create function twice(x int) returns int language plpgsql as $$ begin if x > 100 then raise exception 'too large: %', x; end if; return x * 2; end $$;
select twice(21), twice(id) from t where id < 3;
select twice(101);
do $$ begin perform twice(500); exception when others then raise notice 'caught %', sqlerrm; end $$;
select regexp_replace('hello world', '(o)', '<\1>', 'g'), to_char(1234.5, '9G999D99'), md5('x'), '2024-02-29'::date + interval '1 year';
begin; update t set v = v + 1 where id % 2 = 0; savepoint s; delete from t; rollback to s; commit;
select sum(v), count(*) from t;
select 1 / 0;
select * from nothing;
selec 1;
create view w as select name, max(v) m from t group by name; select * from w order by m desc limit 2;
create table p (k int, d text) partition by list (k); create table p1 partition of p for values in (1); insert into p values (1, 'x'); insert into p values (2, 'y');
alter table t add column extra int default 7; select extra from t where id = 5;
vacuum t;
checkpoint;
copy (select id, name from t where id < 4) to stdout;
EOF
for ((i = 0; i < times; i++)); do
	rm -rf data
	cp -a ../cluster data
	$bin/postgres --single -D "$PWD/data" -c autovacuum=off -F \
		-c log_line_prefix= postgres <sql 2>&1 |
		grep -v "LOG: \|stand-alone"
	$bin/postgres --describe-config | cksum
	$bin/postgres -D /none 2>&1 || echo "exit $?"
done
