#!/usr/bin/env bash
# The README's terminal session does what it shows; it keeps its length.
. "$(dirname "$0")/../common.sh"
unset BPFWELD_REGION
[ "$(wc -l < $SOURCE/README.md)" -le 100 ] || die "README is too long"

ln -s $BUILD/bpfweld $BUILD/obj $t/
cd $t
sed -n '/^```$/,/^```$/p' $SOURCE/README.md | sed '1d;/^```$/,$d' > session
# Leave out building, and going to where the build is: that is here.
grep '^\$ ' session | sed 's/^\$ //' | grep -v -e '^\./dev' -e '^cd ' > commands
[ "$(wc -l < commands)" -ge 4 ] || die "no commands found in README.md"
grep -v '^\$ ' session > want
{ echo 'set -e'; cat commands; } > run.sh
bash run.sh > got || die "the README's commands fail"
rm -f /dev/shm/bpfweld-$(id -u)/$(./bpfweld info -j bash.weld |
	sed 's/.*"weld_id":"\([0-9a-f]*\)".*/\1/')
rmdir /dev/shm/bpfweld-$(id -u) 2>/dev/null || true
diff want got || die "the README shows something else"
