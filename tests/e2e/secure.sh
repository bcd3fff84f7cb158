#!/usr/bin/env bash
# SPDX-License-Identifier: MIT
# What others have put in the place of a region or of a pinned map's file is not
# used, nor changed: the target does what it always does, and `map list` says why.
# Programs that run with more rights than who starts them do not believe his
# environment, nor show him what he may not see.
. "$(dirname "$0")/../common.sh"
[ "$(id -u)" = 0 ] || skip "needs root for a /dev/shm of its own"
unshare -m true 2>/dev/null || skip "no mount namespaces"
need setpriv
need setfattr

cat > $t/app.c <<'C'
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>
__attribute__((noinline)) int work(int x)
{
	__asm__ volatile("" : "+r"(x));
	return x * 3 + 1;
}
/* app [UID]: become UID first */
int main(int argc, char **argv)
{
	int sum = 0;
	if (argc > 1 && setresuid(atoi(argv[1]), atoi(argv[1]), atoi(argv[1])))
		return 3;
	for (int i = 0; i < 10; i++)
		sum += work(i);
	printf("%d\n", sum);
	return 0;
}
C
cat > $t/app.bpf.c <<'C'
#include <linux/bpf.h>
#include <bpf/bpf_helpers.h>
#define MAP(name, n, ...) struct { __uint(type, BPF_MAP_TYPE_ARRAY); \
	__uint(max_entries, n); __type(key, __u32); __type(value, __u64); \
	__VA_ARGS__ } name SEC(".maps")
MAP(calls, 1,);
MAP(large, 4096,);
MAP(shared, 1, __uint(pinning, LIBBPF_PIN_BY_NAME););
#define COUNT(map) do { __u64 *n = bpf_map_lookup_elem(&map, &(__u32){ 0 }); \
	if (n) __sync_fetch_and_add(n, 1); } while (0)
SEC("uprobe/app:work") int count(void *ctx)
{
	COUNT(calls);
	COUNT(large);
	COUNT(shared);
	return 0;
}
C
bpf $t/app.bpf.c
$CC -D_GNU_SOURCE -O2 -o $t/app $t/app.c
$W weld $t/app $t/app.bpf.o -o $t/w > $t/log
# The same code in a library that has no DT_INIT: its first hit arms it.
$CC -D_GNU_SOURCE -O2 -shared -fPIC -nostartfiles -o $t/libapp.so $t/app.c -Dmain=other_main
$CC -O2 -o $t/main -x c - -x none -L$t -Wl,-rpath,$t -lapp -Wl,-z,now <<'C'
int other_main(int, char **);
int main(int argc, char **argv) { return other_main(argc, argv); }
C
cp $t/libapp.so $t/lib.original
$W weld $t/lib.original $t/app.bpf.o -p count=uprobe:work -o $t/libapp.so > $t/log
chmod 755 $t $t/w $t/libapp.so
$W info $t/w | awk '/weld id/ { print $3 }' > $t/id
$W info $t/libapp.so | awk '/weld id/ { print $3 }' > $t/libid
export t W
export -f die not

unshare -m bash -euo pipefail <<'EOF' || exit 1
mount -t tmpfs -o size=8m,mode=1777 shm /dev/shm
unset BPFWELD_REGION
D=/dev/shm/bpfweld-0 ID=$(cat $t/id) NOBODY=65534
R=$D/$ID P=$D/pin-shared N=/dev/shm/bpfweld-$NOBODY
as_nobody() {
	setpriv --reuid=$NOBODY --regid=$NOBODY --clear-groups "$@"
}
runs() { # WHAT COMMAND...
	local got
	got=$("${@:2}" 2>&1) || die "$1: exit $?, $got"
	[ "$got" = 145 ] || die "$1: $got"
}
calls() { $W map dump $t/w ${1:-calls} | sed -n 's/.*"value": //p'; }
state() { stat -c '%i %F %A %U %s %h' "$1" && cat "$1" 2>/dev/null | cksum; }
listed() { $W map list $t/w 2>&1 || true; }
fresh() { rm -rf $D $N /dev/shm/x; runs "$1" $t/w; }
# spoiled WHAT FILE WHY: not used, not touched, and `map list` says why
spoiled() {
	local before
	before=$(timeout 5 bash -c "$(declare -f state); state $2" || true)
	runs "$1" $t/w
	[ "$(timeout 5 bash -c "$(declare -f state); state $2" || true)" = \
		"$before" ] || die "$1: $2 was changed"
	[[ "$(listed)" == *"$3"* ]] || die "$1: $(listed)"
}

# --- In the place of the region.
fresh first
[ "$(calls) $(calls shared)" = "10 10" ] || die "counted $(calls)"
cp $R /dev/shm/x.good
size=$(stat -c %s $R)
instead() { rm -rf $R; "$@"; }
instead ln -s ../x.good $R; spoiled "a link to a good one" $R "symbolic link"
[ "$(cmp -l $D/../x.good /dev/shm/x.good | wc -l)" = 0 ]
instead ln -s nowhere $R; spoiled "a link to nowhere" $R "symbolic link"
[ ! -e $D/nowhere ] || die "followed a link"
instead mkfifo $R
runs "a FIFO" $t/w
[[ "$(listed)" == *"no regular file"* ]] || die "a FIFO: $(listed)"
instead mkdir $R; runs "a directory" $t/w
[[ "$(listed)" == *"no regular file"* ]] || die "a directory: $(listed)"
[ -z "$(ls -A $R)" ] || die "wrote into a directory"
instead mknod $R c 1 3; runs "a device" $t/w; rm $R
bad() { rm -rf $R; cp /dev/shm/x.good $R; chmod 600 $R; }
bad; chown $NOBODY $R; spoiled "another owner" $R "another user"
bad; chmod 666 $R; spoiled "for all to write" $R "others may write"
bad; chmod 620 $R; spoiled "for a group to write" $R "others may write"
bad; truncate -s $((size - 1)) $R; spoiled "one byte too short" $R "damaged"
bad; truncate -s $((size + 4096)) $R; spoiled "a page too long" $R "damaged"
bad; truncate -s 0 $R; spoiled "empty" $R "not a region"
bad; printf x | dd of=$R conv=notrunc status=none
spoiled "other content" $R "not a region"
bad; printf x | dd of=$R bs=1 seek=20 conv=notrunc status=none
spoiled "another weld's" $R "another weld"
# A second name is no harm: nobody else can open it.
bad; before=$(calls)
ln $R $D/second; runs "a hard link" $t/w
[ "$(calls)" = $((before + 10)) ] || die "a hard link: not used"
rm $D/second
# Holes are filled before a program can fall into one; where there is no room
# for that, the file is not used.
bad; fallocate -p -o 0 -l $size $R 2> /dev/null
dd if=/dev/shm/x.good of=$R bs=4096 count=1 conv=notrunc status=none
[ $(($(stat -c %b $R) * 512)) -lt $size ] || die "no holes"
runs "holes" $t/w
[ $(($(stat -c %b $R) * 512)) -ge $size ] || die "holes were left"
bad; fallocate -p -o 4096 -l $((size - 4096)) $R
dd if=/dev/zero of=/dev/shm/full bs=4k 2> /dev/null || true
runs "holes and no room" $t/w
[ $(($(stat -c %b $R) * 512)) -lt $size ] || die "there was room"
rm /dev/shm/full

# --- In the place of a pinned map's file; the region counts on.
fresh again
cp $P /dev/shm/x.pin
pin() { rm -rf $P; cp /dev/shm/x.pin $P; chmod 600 $P; }
pinless() { # WHAT [WHY]
	local before
	before=$(calls)
	spoiled "pin: $1" $P "${2:-not shown}"
	[ "$(calls)" = $((before + 10)) ] || die "pin: $1: the region is lost"
	[[ "$(listed)" == *"not used by"* ]] || die "pin: $1: $(listed)"
}
rm $P; ln -s ../x.pin $P; pinless "a link" "symbolic links"
pin; chown $NOBODY $P; pinless "another owner" "another user"
pin; chmod 622 $P; pinless "for all to write" "others may write"
pin; truncate -s 4096 $P; pinless "too short" "size is wrong"
pin; printf x | dd of=$P conv=notrunc status=none; pinless "content" "no pinned map"
pin; printf '\1' | dd of=$P bs=1 seek=96 conv=notrunc status=none
pinless "another type" "another definition"
rm $P; mkdir $P; runs "pin: a directory" $t/w
[[ "$(listed)" == *"not shown"* ]] || die "pin: a directory: $(listed)"
rmdir $P; mkfifo $P; runs "pin: a FIFO" $t/w; rm $P

# --- The directory.
for how in "chown $NOBODY" "chmod 711" "chmod 770"; do
	rm -rf $D; mkdir -m 700 $D; $how $D
	runs "directory: $how" $t/w
	[ -z "$(ls -A $D)" ] || die "directory: $how: used"
done
rm -rf $D; mkdir -m 700 /dev/shm/x; ln -s x $D
runs "directory: a link" $t/w
[ -z "$(ls -A /dev/shm/x)" ] || die "directory: followed a link"
rm -rf $D /dev/shm/x
# Somebody else has made it first, for the user who is to fall for it.
as_nobody mkdir -m 777 $D; as_nobody touch $D/$ID
runs "made by another" $t/w
[ ! -s $D/$ID ] || die "wrote into another user's file"
rm -rf $D

# --- Programs with more rights than who starts them.
cp $t/w $t/setuid; chmod 4755 $t/setuid
for env in off private $t/mine "" /dev/null; do
	BPFWELD_REGION=$env runs "setuid, $env" as_nobody $t/setuid
done
[ ! -e $t/mine ] || die "a setuid program believed the environment"
[ "$(calls)" = 50 ] || die "setuid: $(calls)"
[ "$(stat -c '%a %U' $D $R | tr '\n' ' ')" = "700 root 600 root " ] ||
	die "$(stat -c '%a %U' $D $R)"
not as_nobody cat $R 2> /dev/null
[ ! -e $N ] || die "setuid: a region of the caller's"
# Nor do we, where it is theirs that we look for.
region() { "$@" 2>&1 | sed -n 's/^  region  *//p'; }
as_nobody $W info $t/setuid > /dev/null || die "a setuid file is not read"
for env in "" $t/mine off; do
	got=$(BPFWELD_REGION=$env region as_nobody $W info $t/setuid)
	[[ $got == "$R ("*", Permission denied)" ]] || die "setuid, '$env': $got"
done
cp $t/w $t/others; chown $NOBODY $t/others; chmod 4755 $t/others
BPFWELD_REGION=$t/mine runs "another's setuid" $t/others
for command in info "map list" "map dump"; do
	BPFWELD_REGION=$t/mine $W $command $t/others > $t/log 2>&1 ||
		die "another's setuid, $command: $(cat $t/log)"
done
BPFWELD_REGION=$t/mine region $W info $t/others | grep -q "^$N/$ID (" ||
	die "another's setuid: $($W info $t/others)"
rm -r $N
# Where the region would be the caller's own, and the kernel would not let him
# look into the process.
cp $t/w $t/setgid; chmod 2755 $t/setgid
runs setgid as_nobody $t/setgid
[ ! -e $N ] || die "setgid: a region of the caller's"
cp $t/w $t/caps
if setfattr -n security.capability -v \
	0x0100000200040000000000000000000000000000 $t/caps 2> /dev/null; then
	runs "file capabilities" as_nobody $t/caps
	[ ! -e $N ] || die "file capabilities: a region of the caller's"
fi
cp $t/main $t/drops; chmod 4755 $t/drops
BPFWELD_REGION=$t/mine runs "setuid(), then a hit" as_nobody $t/drops $NOBODY
[ ! -e $N ] && [ ! -e $t/mine ] ||
	die "setuid(): a region of the caller's"
# And without all that, it is there.
runs "an ordinary one" as_nobody $t/w
[ -s $N/$ID ] || die "an ordinary program has no region"
EOF
