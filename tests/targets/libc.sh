# SPDX-License-Identifier: MIT
# A workload for libc and ld.so: many small programs, locales, lookups, errors.
# bash libc.sh DIRECTORY [TIMES]
set -e
rm -rf "$1/work"
mkdir -p "$1/work"
cd "$1/work"
times=${2:-1}
unset LC_ALL LANG
for ((i = 0; i < times; i++)); do
	for l in C C.UTF-8 none; do
		printf '%s\n' b a 10 9 'é' | LC_ALL=$l sort | LC_ALL=$l tr a-y b-z
	done
	seq 1 300 | sort -rn | sed -n '1,2p'
	seq 1 300 | sed -n 's/^\(1.\)5$/\1-/p' | paste -sd,
	seq 100 | grep -cE '^(1|2)[0-9]?$'
	date -u -d @86400 '+%A %d %B %Y %j'
	TZ=Europe/Rome date -d @1700000000 2>/dev/null | cksum
	getent passwd root | cut -d: -f3
	getent services 80/tcp || true
	getent hosts 127.0.0.1 | wc -l
	id -u root
	ls / | sort | sed -n '1,2p'
	cat /nonexistent 2>&1 || echo "exit $?"
	printf '%.17g %a %s %10.3e\n' 0.1 1.5 x 12345.678
	env NONE=1 /bin/sh -c 'echo $((7 * 6)); exit 3' || echo "exit $?"
	LD_BIND_NOW=1 cksum </dev/null
	LD_DEBUG=statistics LD_PRELOAD=/none.so true 2>&1 | wc -l
	od -An -tx1 <<<abc
	md5sum /dev/null
	(trap 'echo usr1' USR1; kill -USR1 $BASHPID; :)
	find . -maxdepth 1 -name '*.c' -newer / 2>/dev/null | wc -l
	xargs -n 2 echo <<<'1 2 3'
	expr hello : '.*l'
	df -P / >/dev/null && stat -c %F /
	nice -n 0 timeout 5 basename /a/b.c .c
	mktemp -u x.XXXXXX | wc -c
	comm -12 <(seq 1 9) <(seq 5 12 | sort) | wc -l
	numfmt --to=iec 123456
	factor 123456789
	iconv -f latin1 -t utf8 <<<$'\xe9' 2>&1 | cksum
done
