# SPDX-License-Identifier: MIT
# Sourced by the tests that run welded programs in trouble.
#
#   program NAME MAIN.c [WORK.c] builds, of main() and of work(), which
#   busy.bpf.c counts,
#       $t/pie, $t/static      one file of both, NAME and NAME.weld; the
#                              static one has the interpreter in it
#       $t/lib, $t/lib.weld    NAME, and work() in a libwork.so beside it,
#                              welded in the second
#   each KIND.../NAME is run as `same KIND NAME ARGUMENTS`.
. "$(dirname "${BASH_SOURCE[0]}")/../common.sh"
kinds="pie static lib"
mkdir $t/pie $t/static $t/lib $t/lib.weld
chmod 755 $t
cat > $t/work.c <<'X'
__attribute__((noinline)) int work(int x) { return x * 3 + 1; }
X

welds_busy() { # FILE OUT ARGUMENTS...
	local from=$1 to=$2; shift 2
	$W weld "$from" $O/busy.bpf.o -o "$to" -p busy=uprobe:work "$@" \
		>/dev/null
}
program() {
	local name=$1 main=$2 work=${3:-$t/work.c}
	local cc="$CC -D_GNU_SOURCE -O2 -pthread"
	$cc -Wl,-z,now -o $t/pie/$name $main $work
	$cc -DSTATIC -static -o $t/static/$name $main $work
	welds_busy $t/pie/$name $t/pie/$name.weld
	welds_busy $t/static/$name $t/static/$name.weld --engine=vm
	$cc -shared -fPIC -Wl,-soname,libwork.so -o $t/lib/libwork.so $work
	welds_busy $t/lib/libwork.so $t/lib.weld/libwork.so
	$cc -Wl,-z,now,-rpath,'$ORIGIN' -o $t/lib/$name $main $t/lib/libwork.so
	cp $t/lib/$name $t/lib.weld/
}
# KIND NAME: the program that has probes in it, and the file that has them
probed() { [ $1 = lib ] && echo $t/lib.weld/$2 || echo $t/$1/$2.weld; }
welded() { [ $1 = lib ] && echo $t/lib.weld/libwork.so || probed $1 $2; }

weld_id() { $W info $1 | awk '/weld id/ { print $3 }'; }

# same KIND NAME ARGUMENTS...: works, as the original does: the same output.
# $UNDER: a command that runs both
same() {
	local kind=$1 name=$2 want=0 got=0 a b; shift 2
	a=$(${UNDER:-} $t/$kind/$name "$@" 2>&1 < /dev/null) || want=$?
	[ $want = 0 ] ||
		die "$kind: the original fails: ${UNDER:-} $name $*: $a"
	b=$(${UNDER:-} $(probed $kind $name) "$@" 2>&1 < /dev/null) || got=$?
	[ $got = 0 ] || die "$kind: exit $got: ${UNDER:-} $name $*: $b"
	[ "$b" = "$a" ] || die "$kind: '$b', not '$a': ${UNDER:-} $name $*"
}

# What all of busy's counters say; they should be one number.
counts() {
	{ $W map dump $1; $W info $1; } | awk '
		/^[a-z.]*:$/            { map = $1 }
		/"value": [0-9]/        { n[map] += $2 }
		/"total":/              { total = $2 }
		/"from_1000":/          { from = $2 - 1000 }
		/ busy .* window|insn / { hits = $(NF - 1) }
		END { print n["calls:"], n["seen:"], total, from, hits }'
}
exact() { # FILE N [WHAT]: N calls, in every counter
	local got
	got=$(counts $1)
	[ "$got" = "$2 $2 $2 $2 $2" ] || die "${3:-}: counted $got, not $2"
}
# counted KIND NAME N [WHAT]: the same, and the next one begins at 0
counted() {
	exact $(welded $1 $2) $3 "$1 ${4:-}"
	rm -f "$BPFWELD_REGION"
}
not_counted() { # WHAT: nobody has made a region, or anything beside it
	[ ! -e "$BPFWELD_REGION" ] || die "$1: made a region"
}
