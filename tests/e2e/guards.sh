#!/usr/bin/env bash
# Runs that fail at a guard: where they end, that they are counted at their
# probe, that the program goes on; in both engines, by many threads, at very many
# sites.  What check, weld and --strict say of guards.
. "$(dirname "$0")/../common.sh"
G=$BUILD/tests/bpfweld-guards
B=$O/guards.bpf.o
need python3
cd $t

cat > app.c <<'X'
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
__attribute__((noinline)) long f(long n)
{
	__asm__ volatile("");
	return n * 3 + 1;
}
static void *calls(void *arg)
{
	long n = (long)arg;

	for (int i = 0; i < 1000; i++)
		if (f(n) != n * 3 + 1)
			abort();
	return NULL;
}
int main(int argc, char **argv)
{
	pthread_t th[64];

	for (int i = 1; i < argc; i++)
		pthread_create(&th[i], NULL, calls, (void *)atol(argv[i]));
	for (int i = 1; i < argc; i++)
		pthread_join(th[i], NULL);
	puts("done");
	return 0;
}
X
$CC -O2 -pthread -o app app.c

# reads FILE: what it has counted; then
# is FILE COUNTER N, failed FILE PROGRAM N
reads() {
	{
		$W map dump $1 .bss | tr -d ' ,"' | tr : ' '
		$W info -j $1 | grep -oE '"(program|failed)":[^,}]*' |
			tr -d '"' | awk -F: '/^program/ { p = $2 }
				/^failed/ { n[p] += $2 }
				END { for (p in n) print p, n[p] }'
	} > counted
}
is() {
	local got
	got=$(awk -v k=$2 '$1 == k { print $2 }' counted)
	[ "$got" = "$3" ] || die "$1: $2 is $got, not $3"
}
failed() { is "failed runs of $1" $2 $3; }

welds() { $G weld app $B -o $1 -p big=none -p tailed=none "${@:2}" > said; }
results() { # FILE FAILS PASSES: so many calls of each kind
	local w=$1 bad=$2 good=$3 all=$(($2 + $3))
	reads $w
	is $w plain_in $all; is $w plain_out $good; failed $w plain $bad
	is $w deep_in $all; is $w deep_mid $good; is $w deep_out $good
	failed $w deep $bad
	is $w loop_in $all; is $w loop_mid $((bad * 4 + good * 3))
	is $w loop_out $good; failed $w loop $bad
	is $w each_in $all; is $w each_mid $((bad + good * 10))
	is $w each_out $good; failed $w each $bad
	# tailed runs twice: its failures count at the probes of tail and from
	is $w tail_in $all; is $w tail_mid $((2 * all))
	is $w tail_out $((2 * good)); failed $w tail $bad
	is $w from_in $all; is $w from_out $all; is $w from_mid $bad
	is $w back_out $all; failed $w from $bad
	is $w cpu_in $all; is $w cpu_out $good; failed $w cpu $bad
	is $w both_in $all; is $w both_out $good; is $w both_back $all
	failed $w both $bad
	$W info $w | has ' lost ' && die "$w: a CPU was not given back"
	return 0
}
for engine in native vm; do
	export BPFWELD_REGION=$t/region.$engine
	welds $engine -p spin=none --engine=$engine
	[ "$(./$engine 100 7 -1 12 50)" = done ] || die "$engine: not done"
	results $engine 2000 3000
	# 4 threads that fail beside 4 that do not
	[ "$(./$engine 100 1 200 2 300 3 400 4)" = done ] || die "$engine"
	results $engine 6000 7000
	$W info $engine | has -E ' plain .* 13000 +0  6000 failed runs$' ||
		die "info: $($W info $engine)"
	$W probe list $engine plain | has -E 'plain .*  6000 failed runs$' ||
		die "list: $($W probe list $engine)"
	$W probe list $engine -j | has '"failed":6000' || die "list -j"
	$W info $engine | has ' tail .* 0  0 failed' && die "says 0"

	# A loop that never ends, in a run that does.
	export BPFWELD_REGION=$t/spin.$engine
	$CC -O2 -pthread -o app -xc - < <(sed 's/1000/2/' app.c)
	welds $engine.spin -p plain=uprobe:f --engine=$engine
	[ "$(./$engine.spin 100 7)" = done ] || die "$engine: spins"
	reads $engine.spin
	is $engine.spin spin_in 4
	is $engine.spin spin_out 2
	failed $engine.spin spin 2
	$CC -O2 -pthread -o app app.c
done

# --- At very many sites: one body, which finds the probe's number.
{
	for i in $(seq 1100); do
		echo "__attribute__((noinline)) int many$i(int n) { return n + 1000 + $i; }"
	done
	echo 'int main(void) { int s = 0;'
	for i in $(seq 1100); do
		echo "s += many$i($i % 2 ? 1 : 100);"
	done
	echo 'return s == 0; }'
} > many.c
$CC -O1 -o many many.c
for engine in native vm; do
	export BPFWELD_REGION=$t/region.many.$engine
	$G weld many $B -o many.$engine -p 'big=uprobe:many*' \
		$(printf -- '-p %s=none ' plain deep loop each spin tail from \
			cpu both tailed) --engine=$engine > said
	./many.$engine
	reads many.$engine
	is many.$engine big_in 1100
	is many.$engine big_out 550
	$W info -j many.$engine | python3 -c '
import json, sys
for p in json.load(sys.stdin)["probes"]:
    want = 1 - int(p["function"][4:]) % 2
    if (p["hits"], p["failed"]) != (1, want):
        sys.exit("%s: %s" % (p["function"], p))' || die "$engine: many"
done

# --- What is said.
$G check app $B -p big=none > said
grep -q '^[0-9]* guards, as it could not be proved that no run needs them:$' \
	said || die "check: $(cat said)"
grep -A1 '^  plain: guards.bpf.c:[0-9]*: *AT_MOST_99(n);$' said |
	has -x '    fails where r[0-9] > 99; 0.1 ns' ||
	die "check: $(cat said)"
grep -A1 '^  spin: guards.bpf.c' said |
	has -x '    fails after 8388608 iterations in a run; 0.2 ns' ||
	die "check: $(cat said)"
grep -A1 '^  deep: guards.bpf.c:[0-9]*:.*first(PT_REGS_PARM1(ctx))' said |
	has -x '    ends where the call has failed; 0.1 ns' ||
	die "check: $(cat said)"
$G check app $B -p big=none --engine=vm | has 'r[0-9] > 99; 1.1 ns' ||
	die "check --engine=vm"
$G check -j app $B -p big=none | python3 -c '
import json, sys
v = json.load(sys.stdin)["guards"]
assert all(g["ns"] < 0.3 for g in v), v
assert {g["kind"] for g in v} == {"range", "loop", "run"}, v
g = [g for g in v if g["program"] == "plain"]
assert len(g) == 1 and g[0]["max"] == 99 and g[0]["register"][0] == "r", g
assert "AT_MOST_99(n)" in g[0]["source"], g' || die "check -j"
$G weld app $B -p big=none -o w | has ', [0-9]* guards' || die "weld"

exits 4 $G weld app $B -p big=none -o strict --strict 2> log
grep -q "guards.bpf.o: program 'tailed' could not be proved, it would run with a guard: guards.bpf.c:[0-9]*: *AT_MOST_99(PT_REGS_PARM1(ctx)); (fails where r[0-9] > 99)" log ||
	die "strict: $(cat log)"
[ ! -e strict ] || die "strict: written"
exits 4 $G check app $B -p big=none --strict > said 2> log
grep -q '^0x.* plain: ' said && grep -q 'could not be proved' log &&
	grep -q '  plain: guards.bpf.c' said || die "check --strict: $(cat said log)"
exits 4 $G check -j app $B -p big=none --strict > said
grep -q '^{"error":"[^"]*guards.bpf.o: program .tailed. could not be proved' said ||
	die "check -j --strict: $(cat said)"
# Of what is proved there is nothing to say.
$W check app $B -p big=none -p spin=none | has guard && die "no guards: said"
$W weld app $B -p big=none -p spin=none -o w --strict | has ' guard' && die "no guards"
exit 0
