# SPDX-License-Identifier: MIT
# Sourced behind tests/common.sh by tests/diff/entries.sh and tests/soak.sh:
# the development targets, and what is done to each of them.
S=$(dirname "${BASH_SOURCE[0]}")

# NAME WORKLOAD FILE
table="
bash         bash     /bin/bash
git          git      /usr/bin/git
sqlite3      sqlite3  /usr/bin/sqlite3
libsqlite3   sqlite3  /usr/lib/x86_64-linux-gnu/libsqlite3.so.0
curl         curl     /usr/bin/curl
libcurl      curl     /usr/lib/x86_64-linux-gnu/libcurl.so.4
nginx        nginx    /usr/sbin/nginx
redis-server redis    /usr/bin/redis-server
openssl      openssl  /usr/bin/openssl
libssl       openssl  /usr/lib/x86_64-linux-gnu/libssl.so.3
libcrypto    openssl  /usr/lib/x86_64-linux-gnu/libcrypto.so.3
"

# More programs, of other kinds, and the same again with their returns; all in
# soak, the small ones in the suite.
# SUITE is what the suite has of them: short, or no.  So many in a hundred of the
# entries and of the rets have a probe at least; where functions have no padding
# between them (python3, as, ld, busybox, rust) many a ret has no room.  What
# busybox has of its own code has no frame descriptions either.
# NAME WORKLOAD SUITE ENTRIES/RETS FILE
corpus="
libc         libc     short 99.9/95 /lib/x86_64-linux-gnu/libc.so.6
ld.so        libc     short 99.6/95 /lib64/ld-linux-x86-64.so.2
libstdc++    cxx      short 99.9/99 /usr/lib/x86_64-linux-gnu/libstdc++.so.6
perl         perl     short 99.9/99 /usr/bin/perl
python3      python3  short 99.7/96 /usr/bin/python3.11
tar          tar      short 99.9/98 /usr/bin/tar
make         make     short 99.9/99 /usr/bin/make
gdb          gdb      no    99.9/98 /usr/bin/gdb
cc1          compile  no    99.9/98 /usr/lib/gcc/x86_64-linux-gnu/12/cc1
as           compile  short 99.9/95 /usr/bin/x86_64-linux-gnu-as
ld           compile  short 99.1/97 /usr/bin/x86_64-linux-gnu-ld.bfd
libbfd       compile  no    99.9/98 /usr/lib/x86_64-linux-gnu/libbfd-2.40-system.so
xz           xz       no    99.9/97 /usr/bin/xz
liblzma      xz       no    99.9/98 /usr/lib/x86_64-linux-gnu/liblzma.so.5
zstd         zstd     no    99.9/99 /usr/bin/zstd
libzstd      libzstd  no    99.9/99 /usr/lib/x86_64-linux-gnu/libzstd.so.1
gawk         gawk     no    99.9/99 /usr/bin/gawk
jq           jq       no    99.9/70 /usr/bin/jq
libjq        jq       no    99.9/98 /usr/lib/x86_64-linux-gnu/libjq.so.1
lua          lua      no    99.8/98 /usr/bin/lua5.4
busybox      busybox  no    98.8/80 /bin/busybox
php          php      no    99.9/98 /usr/bin/php8.2
libruby      ruby     no    99.9/98 /usr/lib/x86_64-linux-gnu/libruby-3.1.so.3.1
ssh-keygen   keygen   no    99.9/99 /usr/bin/ssh-keygen
postgres     postgres no    99.9/98 /usr/lib/postgresql/15/bin/postgres
rust         rust     no    99.9/95 DIRECTORY/rust
bash         bash     no    99.9/98 /bin/bash
git          git      no    99.9/98 /usr/bin/git
sqlite3      sqlite3  no    99.9/98 /usr/bin/sqlite3
libsqlite3   sqlite3  no    99.9/98 /usr/lib/x86_64-linux-gnu/libsqlite3.so.0
curl         curl     no    99.9/98 /usr/bin/curl
libcurl      curl     no    99.9/98 /usr/lib/x86_64-linux-gnu/libcurl.so.4
nginx        nginx    no    99.9/98 /usr/sbin/nginx
redis-server redis    no    99.8/98 /usr/bin/redis-server
openssl      openssl  no    99.9/98 /usr/bin/openssl
libssl       openssl  no    99.9/98 /usr/lib/x86_64-linux-gnu/libssl.so.3
libcrypto    openssl  no    99.9/98 /usr/lib/x86_64-linux-gnu/libcrypto.so.3
"

targets() { awk 'NF { print $1 }' <<<"$table"; }

entries_begin() {
	every=("$O/entries.bpf.o" -p 'entry=uprobe:*')
	$CC -O2 -shared -fPIC -o "$t/steady.so" "$S/steady.c"
	mkdir "$t/w"
	# openssl.sh's; with uprobes in libcrypto it takes ten minutes.
	[ -n "${SHORT-}" ] || openssl genpkey -algorithm RSA \
		-out "$t/w/key.pem" 2>/dev/null || true
}

# Sets name, workload and file; false when it is not installed.
target_find() {
	read -r name workload file <<<"$(awk -v n="$1" '$1 == n' <<<"$table")"
	[ -e "$file" ] && return
	echo "skipped: $name is not installed"
	return 1
}

# The same for the corpus, of which the first run of a workload may make a part.
corpus_find() {
	read -r name workload _ floors file <<<"$(awk -v n="$1" '$1 == n' \
		<<<"$corpus")"
	case $file in
	DIRECTORY/*) file=$t/w/${file#*/}
		run_plain >/dev/null 2>&1 || true ;;
	esac
	[ -e "$file" ] || { echo "skipped: $name is not installed"; return 1; }
	file=$(readlink -f "$file")
}
work() { # what is run, by whatever runs it
	echo env "LD_PRELOAD=$t/steady.so" ${one_stack:+ONE_STACK=1} \
		bash "$S/$workload.sh" "$t/w" 1
}
run_plain() { setarch -R $(work); }
# With $1 in the place of the target.
run_instead() {
	unshare -m --propagation private sh -c '
		mount --bind "$0" "$1" && shift && exec "$@"' "$1" "$file" \
		setarch -R $(work)
}

# coverage PERCENT: so many of the entries at least
coverage() {
	local line
	line=$($W check "$file" "${every[@]}" | tail -1)
	echo "$name: $line"
	awk -v min="$1" -F'[(%]' '{ exit !($2 >= min) }' <<<"$line" ||
		die "$name: less than $1% of the entries"
}

# The workload under the kernel and welded.  Two threads or processes may still
# run side by side, and what they do then depends on the scheduler, which slow
# probes influence: redis with an append-only file does one of two things, of
# which the kernel may see the one in all of a diff's runs and a welded one the
# other.  A hit that is lost or counted twice differs in the same direction
# whenever one looks.  So a difference counts when each of five diffs has it.
judge() {
	judge_command "$name" "$file" "${every[@]}" "$@" -- \
		env "LD_PRELOAD=$t/steady.so" \
		bash "$S/$workload.sh" "$t/w" "${times:-1}"
}

# judge_command NAME ARGS...: `bpfweld diff ARGS...` in this way
judge_command() {
	local name=$1 try status=0; shift
	for try in 1 2 3 4 5; do
		status=0
		$W diff -v "$@" >"$t/diff" 2>"$t/diff.err" || status=$?
		echo "$name: $(tail -1 "$t/diff")"
		case $status in
		0) return ;;
		77) skip "$(tail -1 "$t/diff.err")" ;;
		1) ;;
		*) die "$name: diff: $(tail -1 "$t/diff.err")" ;;
		esac
		directions <"$t/diff" | sort >"$t/differs"
		[ $try = 1 ] || comm -12 "$t/differs" "$t/left" >"$t/differs+"
		[ $try = 1 ] || mv "$t/differs+" "$t/differs"
		mv "$t/differs" "$t/left"
		[ -s "$t/left" ] || return 0
	done
	cat "$t/diff"
	die "$name: differs from the kernel"
}

# Each difference, and whether the welded value is larger.
directions() {
	sed '$d; /^masked:/d; /^ /d' | awk -F': ' '{
		if (split($NF, word, " ") == 4 && word[3] == "welded")
			$NF = word[4] + 0 > word[2] + 0 ? "more" : "less"
		print
	}'
}
