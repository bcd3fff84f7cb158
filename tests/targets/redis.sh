# SPDX-License-Identifier: MIT
# A workload for redis-server: every data type, scripts, transactions, expiry,
# a dump written and loaded again, the append-only file.
# bash redis.sh DIRECTORY [TIMES]; SHORT=1 leaves out the restarts.
# Run it with steady.so preloaded.
set -e
rm -rf "$1/work"
mkdir -p "$1/work"
cd "$1/work"
times=${2:-1}

start() {
	rm -f sock log
	redis-server --port 0 --unixsocket "$PWD/sock" --dir "$PWD" \
		--save '' --daemonize no --logfile "$PWD/log" --io-threads 1 --hz 1 \
		--slowlog-log-slower-than -1 --enable-debug-command local \
		"$@" >/dev/null &
	server=$!
	for ((i = 0; i < 1000; i++)); do
		grep -sqi 'ready to accept' log && break
		sleep 0.01
	done
}
cli() { command redis-cli -s sock "$@"; }

start --appendonly no
for ((k = 0; k < times; k++)); do
	cli <<-'EOF'
		PING
		SET a 1
		INCRBY a 41
		APPEND a xyz
		GETRANGE a 0 2
		SETEX e 1000 soon
		PERSIST e
		MSET k1 v1 k2 v2 k3 v3
		MGET k1 k2 none
		SETBIT bits 7 1
		BITCOUNT bits
		BITFIELD bits SET u8 0 200 GET u4 4
		RPUSH l 3 1 2 5 4
		LRANGE l 0 -1
		SORT l DESC
		LINSERT l BEFORE 5 9
		LPOP l 2
		LMOVE l l2 LEFT RIGHT
		HSET h f1 v1 f2 v2 n 1
		HINCRBY h n 5
		HGETALL h
		SADD s1 a b c d
		SADD s2 c d e
		SINTERCARD 2 s1 s2
		SDIFFSTORE s3 s1 s2
		ZADD z 1 one 2 two 3 three
		ZINCRBY z 5 one
		ZRANGE z 0 -1 WITHSCORES
		ZRANGEBYSCORE z (1 3
		ZRANK z two
		ZUNIONSTORE zu 2 z z WEIGHTS 1 2
		XADD st 1-1 f v
		XADD st 2-1 f w
		XRANGE st - +
		XGROUP CREATE st g 0
		XREADGROUP GROUP g c COUNT 1 STREAMS st >
		XACK st g 1-1
		PFADD hll a b c d e f
		PFCOUNT hll
		GEOADD geo 13.361389 38.115556 Palermo 15.087269 37.502669 Catania
		GEODIST geo Palermo Catania km
		GEOSEARCH geo FROMLONLAT 15 37 BYRADIUS 200 km ASC
		MULTI
		INCR counter
		LPUSH l x
		EXEC
		MULTI
		SET a b c d
		EXEC
		EVAL "local s = 0 for i = 1, 100 do s = s + i end redis.call('set', KEYS[1], s) return {s, redis.call('get', KEYS[1]), cjson.encode({1, 'x'})}" 1 sum
		EVAL "return redis.error_reply('bad')" 0
		OBJECT ENCODING l
		TYPE z
		RENAME k1 k9
		COPY k9 k10
		EXISTS k1 k9 k10
		DEL k9 k10
		INCR l
		WRONGCOMMAND
		CONFIG GET maxmemory-policy
		COMMAND COUNT
		CLIENT SETNAME tester
		CLIENT GETNAME
		WAIT 0 0
		DBSIZE
		SELECT 1
		SET other db
		SWAPDB 0 1
		GET other
		SWAPDB 0 1
	EOF
	for ((i = 0; i < 30; i++)); do
		echo "SET key:$i value$i"
		echo "LPUSH biglist item$i"
		echo "ZADD bigset $((i * 7 % 101)) member$i"
		echo "HSET bighash field$i $i"
		echo "SADD intset $i"
	done | cli | cksum
done
cli DEBUG DIGEST
cli SAVE
[ -n "${SHORT-}" ] || cli DEBUG RELOAD
cli SHUTDOWN NOSAVE || true
wait $server
[ -z "${SHORT-}" ] || exit 0
start --appendonly no
cli DBSIZE
cli LRANGE biglist 0 2
cli SHUTDOWN NOSAVE || true
wait $server
mkdir aof
for i in 1 2; do
	start --appendonly yes --appendfsync no --dir "$PWD/aof"
	cli DBSIZE
	cli SET "run$i" x
	cli RPUSH list "$i"
	cli SHUTDOWN NOSAVE || true
	wait $server
done
