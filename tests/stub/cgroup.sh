#!/usr/bin/env bash
# SPDX-License-Identifier: MIT
# A region on tmpfs that the memory cgroup has no room for is not made: the kernel
# would kill the target at its start.  Where there is room it is made as ever, and
# one that is there is used.
. "$(dirname "$0")/common-stub.sh"
[ "$(id -u)" = 0 ] || skip "needs root for a /dev/shm of its own"
unshare -m true 2>/dev/null || skip "no mount namespaces"
MB=$((1 << 20))
target large -static -DSIZE=$((64 * MB)) -Wl,-e,weld_entry
target few -static -DSIZE=$((4 * MB - 4096)) -Wl,-e,weld_entry
# And what the welder makes of a map of 64 MB, of which one element is used.
cat > $t/app.c <<'C'
#include <stdio.h>
__attribute__((noinline)) int work(int x) 
{
	__asm__("" : "+r"(x));
	return x * 1000 + 7;
}
int main(void) { return printf("%d\n", work(1)) < 0; }
C
cat > $t/app.bpf.c <<'C'
#include <linux/bpf.h>
#include <bpf/bpf_helpers.h>
struct { __uint(type, BPF_MAP_TYPE_ARRAY); __uint(max_entries, 8 << 20);
	__type(key, __u32); __type(value, __u64); } calls SEC(".maps");
SEC("uprobe/app:work") int count(void *ctx)
{
	__u64 *n = bpf_map_lookup_elem(&calls, &(__u32){ 0 });
	if (n) __sync_fetch_and_add(n, 1);
	return 0;
}
C
$CC -O2 -o $t/app $t/app.c
bpf $t/app.bpf.c
$W weld $t/app $t/app.bpf.o -o $t/w > $t/log

# --- What cgroups say, made up: files in a tmpfs of our own, and for each target
# its own /proc/self/cgroup.
export t W MB
export -f die
unshare -m bash -euo pipefail <<'E' || exit 1
mount -t tmpfs -o size=512m,mode=1777 shm /dev/shm
mount -t tmpfs none /sys/fs/cgroup 2> /dev/null ||
	{ echo "no /sys/fs/cgroup: nothing made up"; exit 0; }
unset BPFWELD_REGION
R=/dev/shm/bpfweld-0/feed C=/sys/fs/cgroup
# at LINE: the cgroups of the next targets
at() { printf '%b\n' "$@" > $t/cgroup; }
# v1|v2 DIRECTORY LIMIT USAGE [IDLE]
v2() {
	mkdir -p $C/$1; echo $2 > $C/$1/memory.max; echo $3 > $C/$1/memory.current
	printf 'anon 1\ninactive_file %s\nactive_file 9\n' ${4:-0} > $C/$1/memory.stat
}
v1() {
	local dir=$C/memory/$1
	mkdir -p $dir; echo $2 > $dir/memory.limit_in_bytes
	echo $3 > $dir/memory.usage_in_bytes
	printf 'inactive_file 9999999999\ntotal_inactive_file %s\n' \
		${4:-0} > $dir/memory.stat
}
hits() { # WHAT PROGRAM: leaves nothing but a region
	local got
	got=$(mount --bind $t/cgroup /proc/$BASHPID/cgroup; exec $t/$2 hit 3) ||
		die "$1: exit $?"
	[[ $got == *"gate 1, hits 3, state 1, data 807060504030201" ]] ||
		die "$1: $got"
	[ -z "$(ls -A /dev/shm/bpfweld-0 | grep -vx feed)" ] || die "$1: left"
}
shared() { hits "$@"; [ -e $R ] || die "$1: no file"; rm $R; fresh; }
private() { hits "$@"; [ ! -e $R ] || die "$1: a file"; fresh; }
fresh() { find $C -mindepth 1 -delete; }

at 0::/
shared "no files" large
v2 . max $((9 * MB)); shared "no limit" large
v2 . $((128 * MB)) 0; shared "just enough" large
v2 . $((128 * MB)) 1; private "one byte short" large
v2 . $((10 * MB)) $((20 * MB)); private "above its limit" large
v2 . $((200 * MB)) $((150 * MB)) $((78 * MB)); shared "files nobody uses" large
v2 . $((200 * MB)) $((150 * MB)) $((77 * MB)); private "too few of them" large
v2 . 18446744073709551615 0; shared "a number too large" large
v2 . 99999999999999999999999999 0; shared "a number without end" large
v2 . '' 0; shared "no number" large
v2 . 0 ''; shared "no usage" large
v2 . 0 0; shared "a small one" few
v2 . max 0; echo $MB > $C/memory.high; private "memory.high" large
v2 . $((20 * MB)) 0; mount -t tmpfs -o size=100m,mode=700 d /dev/shm/bpfweld-0
hits "another tmpfs" large; [ ! -e $R ] || die "another tmpfs: a file"
umount /dev/shm/bpfweld-0; fresh

at 0::/a/b.slice/c
v2 a/b.slice/c $((20 * MB)) 0; private "our own" large
v2 a/b.slice/c max 0; v2 a $((20 * MB)) 0; private "above us" large
v2 a/b.slice/c max 0; v2 . $((20 * MB)) 0; private "the root" large
v2 a/b.slice/c max 0; v2 a/d 0 0; shared "beside us" large
v2 . $((20 * MB)) 0; private "a path from outside" large
at 0::/../../x; v2 . $((20 * MB)) 0; private "a path that leads out" large
at 0::/$(printf 'x%.0s' {1..3000}); v2 . $((20 * MB)) 0
private "a path without end" large
at ''; shared "an empty line" large
at 7; shared "no line" large

at 9:name=systemd:/a 4:cpu,memory,pids:/a/b '3:memoryx:/x' 0::/
v1 a/b $((20 * MB)) 0; private "v1" large
v1 a/b 9223372036854771712 1; shared "v1, no limit" large
v1 a/b 9223372036854771712 1; v1 a 20 0; private "v1, above us" large
v1 . $((20 * MB)) 0; private "v1, a container" large
v1 a/b $((200 * MB)) $((150 * MB)) $((78 * MB)); shared "v1, files" large
v1 a/b $((200 * MB)) $((150 * MB)); private "v1, no files" large
v1 x 20 0; shared "v1, another's name" large
v1 a/b 9223372036854771712 1; echo 20 > $C/memory/a/b/memory.memsw.limit_in_bytes
echo 0 > $C/memory/a/b/memory.memsw.usage_in_bytes; private "v1, swap" large

# One that is there is used, and costs nothing; its holes do.
at 0::/
$t/large hit 1 > /dev/null
v2 . $((20 * MB)) 0
got=$(mount --bind $t/cgroup /proc/$BASHPID/cgroup; exec $t/large hit 3)
[[ $got == *"hits 4,"* ]] || die "one that is there: $got"
fallocate -p -o $((8 * MB)) -l $((11 * MB)) $R
hits "many holes" large
[ $(($(stat -c %b $R) * 512)) -lt $((64 * MB)) ] || die "holes were filled"
v2 . $((22 * MB)) 0
got=$(mount --bind $t/cgroup /proc/$BASHPID/cgroup; exec $t/large hit 3)
[[ $got == *"hits 7,"* ]] || die "holes that fit: $got"
rm $R

# Every call fails, in turn.
command -v strace > /dev/null || exit 0
strace -o /dev/null true 2> /dev/null || exit 0
for call in fstatfs openat read close; do
	for when in {1..14}; do
		v2 . $((20 * MB)) 0
		strace -o /dev/null -e inject=$call:error=EIO:when=$when \
			$t/large hit 3 > $t/out || die "$call $when: exit $?"
		grep -q 'gate 1, hits 3,' $t/out || die "$call $when: $(cat $t/out)"
		rm -rf $R; fresh
	done
done
E

# --- And a real limit.
G=
cleanup() {
	local i
	for i in {1..300}; do # the dead are not gone at once
		[ -n "$G" ] && [ -d "$G" ] || break
		rmdir "$G" 2> /dev/null || sleep 0.1
	done
	[ -z "$G" ] || [ ! -d "$G" ] || echo "could not remove $G" >&2
	rm -rf "$t"
}
trap cleanup EXIT
limited() { # make a cgroup of 24 MB
	local top=/sys/fs/cgroup file=memory.max
	[ ! -e $top/memory/memory.limit_in_bytes ] ||
		top=/sys/fs/cgroup/memory file=memory.limit_in_bytes
	G=$top/bpfweld-test-$$
	mkdir $G 2> /dev/null && [ -e $G/$file ] && echo 24M > $G/$file
}
joins() { (echo $BASHPID > $G/cgroup.procs) 2> /dev/null; }
limited 2> /dev/null && joins ||
	skip "no memory cgroup can be made and joined: no real limit"
export G
unshare -m bash -euo pipefail <<'E' || exit 1
mount -t tmpfs -o size=512m,mode=1777 shm /dev/shm
unset BPFWELD_REGION
R=/dev/shm/bpfweld-0/feed
inside() { (echo $BASHPID > $G/cgroup.procs && exec "$@"); }
got=$(inside $t/large hit 3) || die "a limit of 24 MB: exit $?"
[[ $got == *"gate 1, hits 3, state 1, data 807060504030201" ]] || die "limit: $got"
[ ! -e $R ] || die "a region of 64 MB in a cgroup of 24"
[ "$(inside $t/w)" = 1007 ] || die "a welded program does not live"
[ -z "$(ls -A ${R%/*})" ] || die "a welded program's region"
[ "$(BPFWELD_REGION=/dev/shm/mine inside $t/w)" = 1007 ] && [ ! -e /dev/shm/mine ] ||
	die "a region at a path"
[ "$($t/w)" = 1007 ] && [ "$(du -m ${R%/*} | cut -f1)" -ge 64 ] ||
	die "a welded program without a limit: no region"
[ "$(inside $t/w)" = 1007 ] || die "a welded program with its region"
$W map lookup $t/w calls 0 | grep -q 2 || die "$($W map lookup $t/w calls 0)"
got=$(inside $t/few hit 3) || die "a small region: exit $?"
[ -e $R ] || die "no small region"
rm $R
$t/large hit 3 > /dev/null
[ "$(stat -c %s $R)" = $((64 * MB)) ] || die "without a limit: no region"
got=$(inside $t/large hit 3) || die "a region that is there: exit $?"
[[ $got == *"hits 6,"* ]] || die "a region that is there: $got"

# Several at once have room for three regions, not for six.
echo 200M > $G/memory.max 2> /dev/null || echo 200M > $G/memory.limit_in_bytes
for round in 1 2 3; do
	rm -f $R
	for i in {1..6}; do
		inside $t/large hit 3 > /dev/null || : > $t/killed &
	done
	wait
	[ ! -e $t/killed ] || die "one of several was killed"
done
E
