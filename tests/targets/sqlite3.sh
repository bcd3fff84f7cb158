# SPDX-License-Identifier: MIT
# A workload for sqlite3 and its library: schema, transactions, joins, window
# functions, triggers, views, full-text search, JSON, a journal rolled back.
# bash sqlite3.sh DIRECTORY [TIMES]; SHORT=1 leaves out the second half.
set -e
rm -rf "$1/work"
mkdir -p "$1/work"
cd "$1/work"
times=${2:-1}
export HOME=$PWD
sqlite3 -batch test.db <<EOF
PRAGMA page_size = 1024;
CREATE TABLE customer (id INTEGER PRIMARY KEY, name TEXT NOT NULL UNIQUE,
	city TEXT, credit REAL DEFAULT 0);
CREATE TABLE sale (id INTEGER PRIMARY KEY, customer INTEGER
	REFERENCES customer ON DELETE CASCADE, amount NUMERIC, day TEXT);
CREATE INDEX sale_day ON sale (day, amount);
CREATE INDEX sale_customer ON sale (customer) WHERE amount > 10;
CREATE VIEW total AS SELECT c.name, sum(s.amount) AS sum FROM customer c
	JOIN sale s ON s.customer = c.id GROUP BY c.id;
CREATE TABLE audit (what TEXT, id INTEGER);
CREATE TRIGGER sold AFTER INSERT ON sale BEGIN
	UPDATE customer SET credit = credit + new.amount WHERE id = new.customer;
	INSERT INTO audit VALUES ('sale', new.id);
END;
PRAGMA foreign_keys = ON;
BEGIN;
WITH RECURSIVE n (i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n
	WHERE i < 6 * $times)
INSERT INTO customer (name, city) SELECT printf('name%04d', i),
	CASE i % 3 WHEN 0 THEN 'Rome' WHEN 1 THEN 'Oslo' ELSE 'Bern' END FROM n;
WITH RECURSIVE n (i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n
	WHERE i < 12 * $times)
INSERT INTO sale (customer, amount, day) SELECT 1 + i * 7 % (6 * $times),
	i * 31 % 97 + 0.5, date('2024-01-01', '+' || (i % 365) || ' days')
	FROM n;
COMMIT;
BEGIN;
DELETE FROM customer WHERE id % 5 = 0;
SELECT count(*), sum(amount) FROM sale;
ROLLBACK;
SELECT count(*), sum(amount), min(day), max(day) FROM sale;
SELECT * FROM total ORDER BY sum DESC LIMIT 5;
SELECT city, count(*), round(avg(credit), 2), group_concat(name, ',')
	FROM customer WHERE id < 12 GROUP BY city HAVING count(*) > 1;
SELECT day, amount, sum(amount) OVER (ORDER BY day ROWS 3 PRECEDING),
	rank() OVER (PARTITION BY day ORDER BY amount) FROM sale
	WHERE day BETWEEN '2024-02-01' AND '2024-02-10' ORDER BY 1, 2, 3 LIMIT 9;
SELECT c.name, x.n FROM customer c LEFT JOIN (SELECT customer, count(*) n
	FROM sale WHERE amount > 50 GROUP BY customer) x ON x.customer = c.id
	WHERE c.name LIKE '%00_' OR c.name GLOB '*11' ORDER BY c.name;
EXPLAIN QUERY PLAN SELECT * FROM sale JOIN customer c ON c.id = customer
	WHERE day > '2024-06-01';
SELECT json_extract(j, '\$.a[1].b'), json_group_array(value) FROM
	(SELECT '{"a": [1, {"b": "x"}, 2.5e1, null, true]}' AS j),
	json_each(j, '\$.a') GROUP BY 1;
SELECT printf('%08.3f|%-6s|%x', 3.14159, 'ab', 255), hex(zeroblob(3)),
	replace('banana', 'an', 'xy'), substr('hello', 2, 3), trim('  t '),
	coalesce(NULL, 7), typeof(1.0), abs(-4), 7 / 2, 7 % 3, 1 << 10;
SELECT datetime(1700000000, 'unixepoch'), julianday('2024-03-01'),
	strftime('%W %j', '2024-03-01');
SAVEPOINT s;
UPDATE sale SET amount = -amount WHERE id < 10;
ROLLBACK TO s;
RELEASE s;
INSERT OR REPLACE INTO customer (id, name) VALUES (1, 'first');
INSERT INTO customer (id, name) VALUES (1, 'second')
	ON CONFLICT (id) DO UPDATE SET name = excluded.name || '!';
SELECT name, city FROM customer WHERE id = 1;
.mode csv
.headers on
SELECT * FROM audit ORDER BY id LIMIT 3;
.mode box
SELECT * FROM customer LIMIT 3;
.schema total
EOF
[ -z "${SHORT-}" ] || exit 0
sqlite3 -batch test.db <<'EOF'
PRAGMA journal_mode = WAL;
CREATE VIRTUAL TABLE doc USING fts5 (title, body);
INSERT INTO doc VALUES ('one', 'the quick brown fox jumps'),
	('two', 'over the lazy dog'), ('three', 'a quick dog');
SELECT title, snippet(doc, 1, '[', ']', '..', 4) FROM doc WHERE doc
	MATCH 'quick OR lazy' ORDER BY rank, title;
ALTER TABLE customer ADD COLUMN note TEXT DEFAULT 'none';
REINDEX;
ANALYZE;
VACUUM;
PRAGMA integrity_check;
UPDATE customer SET note = name || note WHERE id < 5;
SELECT name, note FROM customer WHERE id < 7;
PRAGMA wal_checkpoint;
EOF
sqlite3 test.db .dump | sqlite3 copy.db
sqlite3 copy.db "SELECT count(*) FROM sale; SELECT * FROM nothing;" 2>&1 || true
sqlite3 -json copy.db "SELECT * FROM audit LIMIT 2"
