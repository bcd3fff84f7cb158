#!/usr/bin/env bash
# The default region under /dev/shm: made with the right modes; not used if
# anybody else could have put it there; a full or read-only /dev/shm, a target
# without /proc, and a setuid target run on.
. "$(dirname "$0")/common-stub.sh"
[ "$(id -u)" = 0 ] || skip "needs root for a /dev/shm of its own"
unshare -m true 2>/dev/null || skip "no mount namespaces"
target lazy
target static -static
chmod 755 $t
export t
export -f die has
unshare -m bash -euo pipefail <<'EOF' || exit 1
mount -t tmpfs -o size=1m,mode=1777 shm /dev/shm
unset BPFWELD_REGION
D=/dev/shm/bpfweld-0
shared="*gate 1, hits 3, state 1, data 807060504030201"
says() { [[ "$("${@:2}")" == $1 ]] || die "$("${@:2}"), not $1"; }
unused() { [ ! -e "$1" ] || die "used a region in $(stat -c '%U %A' "${1%/*}")"; }

says "$shared" $t/lazy hit 3
[ "$(stat -c %a $D $D/feed | tr '\n' ' ')" = "700 600 " ] ||
	die "modes $(stat -c %a $D $D/feed)"
[ "$(ls -A $D)" = feed ] || die "left in $D: $(ls -A $D)"
BPFWELD_REGION= $t/lazy hit 3 | has 'hits 6' || die "empty is not default"
rm -r $D

# Somebody else's directory, one that others may write, a link.
mkdir -m 777 $D; says "$shared" $t/lazy hit 3; unused $D/feed; rmdir $D
mkdir -m 755 $D; says "$shared" $t/lazy hit 3; unused $D/feed; rmdir $D
(umask 0777; says "$shared" $t/lazy hit 3)
[ "$(stat -c %a $D)" = 700 ] || die "umask: mode $(stat -c %a $D)"
rm -r $D
mkdir -m 755 $D; chown 12345 $D
says "$shared" $t/lazy hit 3; unused $D/feed; rmdir $D
mkdir -m 700 /dev/shm/x; ln -s x $D
says "$shared" $t/lazy hit 3; unused /dev/shm/x/feed; rm -r $D /dev/shm/x

# Somebody else's file in our directory.
mkdir -m 700 $D; $t/lazy hit 1 > /dev/null; chown 12345 $D/feed
says "$shared" $t/lazy hit 3; rm -r $D

# No room: no region, and no half of one.
mkdir -m 700 $D
mount -t tmpfs -o size=8k,mode=700 small $D
says "$shared" $t/lazy hit 3
[ -z "$(ls -A $D)" ] || die "left in a full $D: $(ls -A $D)"
umount $D
mount -o remount,ro /dev/shm
rm -rf $D 2>/dev/null || true
says "$shared" $t/lazy hit 3
[ ! -e $D/feed ] || die "wrote to a read-only /dev/shm"
mount -o remount,rw /dev/shm
rmdir $D

# Neither /proc nor /dev nor anything.
mkdir $t/empty; cp $t/static $t/empty/
says "$shared" chroot $t/empty /static hit 3

# AT_SECURE: the environment is not believed.
if command -v setpriv > /dev/null; then
	cp $t/lazy $t/setuid; chmod 4755 $t/setuid
	BPFWELD_REGION=$t/mine says "$shared" setpriv --reuid=65534 \
		--regid=65534 --clear-groups $t/setuid hit 3
	[ ! -e $t/mine ] || die "a setuid target followed BPFWELD_REGION"
	[ -e $D/feed ] || die "a setuid target has no region"
fi
EOF
