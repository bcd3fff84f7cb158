#!/usr/bin/env bash
# SPDX-License-Identifier: MIT
# The samples that are tools for libraries: memleak, sslsniff, syscount; under real
# programs, as under the kernel.
. "$(dirname "$0")/common-diff.sh"
cd $t
lib=$(ldd /bin/bash | grep -o '/[^ ]*/libc\.so\.6') || skip "no libc.so.6"

# memleak: by call chain; addresses, sizes, what is left.
$CC -O1 -fno-omit-frame-pointer -pthread -o memleak $D/memleak.c
judge $lib $O/memleak.bpf.o -- ./memleak
judge $lib $O/memleak.bpf.o --set min_size=100 --set max_size=1000 \
	--set one_in=3 -- ./memleak
cat > queries <<'X'
create table t(a integer primary key, b text);
insert into t select value, 'x' || value from generate_series(1, 200);
select count(*), sum(a) from t where b like '%7%';
X
seq 1 100 | sed 's/.*/{"n":&}/' > numbers
for program in "jq -c -s [.[]|{a:.n,b:(.n*2|tostring)}] numbers" \
	"sqlite3 :memory: .read\ queries"; do
	read -a command <<< "$program"
	command -v ${command[0]} >/dev/null ||
		{ echo "skipped: ${command[0]} is not installed"; continue; }
	judge $lib $O/memleak.bpf.o -- "${command[@]}"
done

# syscount: at functions, against the kernel's uprobes; at the instructions, which
# those cannot be at, against strace.
wrappers=(-p call=none)
for f in read=0 write=1 close=3 lseek=8 mmap=9 munmap=11 brk=12 dup2=33 \
	getpid=39 wait4=61 getuid=102 getgid=104; do
	wrappers+=(-p wrapper=uprobe:${f%=*},cookie=${f#*=})
done
judge $lib $O/syscount.bpf.o "${wrappers[@]}" -- \
	bash -c 'for i in 1 2 3; do (echo $i | cat); done; echo $UID'
if command -v strace >/dev/null; then
	$W list --syscalls $lib |
		sed 's/^\(0x[0-9a-f]*\).*/-p call=uprobe:\1/' > sites
	mkdir lib
	$W weld --strict $lib $O/syscount.bpf.o -p wrapper=none $(cat sites) \
		-o lib/libc.so.6
	run=(dd if=numbers of=copy bs=7 skip=3)
	# What the dynamic loader does by itself is not among these.
	calls=write,dup2,lseek,rt_sigaction
	BPFWELD_REGION=$t/region LD_LIBRARY_PATH=$t/lib "${run[@]}" 2> messages
	BPFWELD_REGION=$t/region $W map dump -j lib/libc.so.6 counts | python3 -c '
import json, sys
names = {1: "write", 8: "lseek", 13: "rt_sigaction", 33: "dup2"}
for e in json.load(sys.stdin):
    e = e["formatted"]
    if e["key"]["nr"] in names:
        print(names[e["key"]["nr"]], e["value"])' | sort > welded
	strace -f -o trace -e trace=$calls -e signal=none "${run[@]}" 2> messages
	sed -n 's/^[0-9]* *\([a-z0-9_]*\)(.*/\1/p' trace | sort | uniq -c |
		awk '{ print $2, $1 }' > strace
	diff strace welded || die "strace counts otherwise"
	[ $(wc -l < welded) -ge 3 ] || die "too few: $(cat welded)"
	cat welded
else
	echo "skipped: strace is not installed"
fi

# sslsniff: what curl and openssl say to a server that is none of ours.
ssl=$(ldd "$(command -v openssl)" 2>/dev/null | grep -o '/[^ ]*/libssl\.so\.3') ||
	{ echo "skipped: no openssl with libssl.so.3"; exit 0; }
need curl
openssl req -x509 -newkey rsa:2048 -nodes -keyout key.pem -out cert.pem \
	-days 1 -subj /CN=localhost 2> messages
seq 1 3000 > page
openssl s_server -accept 127.0.0.1:0 -key key.pem -cert cert.pem -WWW \
	> server 2>&1 < numbers &
server=$!
trap 'kill $server 2>/dev/null || true; rm -rf "$t"' EXIT
for i in $(seq 100); do
	port=$(sed -n 's/^ACCEPT.*:\([0-9]*\)$/\1/p' server)
	[ -z "$port" ] || break
	sleep 0.1
done
[ -n "$port" ] || die "no server: $(cat server)"
cat > clients <<X
curl -sk https://127.0.0.1:$port/page | cksum
printf 'GET /page HTTP/1.0\r\n\r\n' |
	openssl s_client -quiet -connect 127.0.0.1:$port 2>messages | cksum
X
# How often a read finds nothing yet is a matter of time.
judge $ssl $O/sslsniff.bpf.o --mask .bss.failed -- sh clients
mkdir ssl
$W weld $ssl $O/sslsniff.bpf.o -o ssl/libssl.so.3
LD_LIBRARY_PATH=$t/ssl BPFWELD_REGION=$t/ring \
	curl -sk https://127.0.0.1:$port/page | cmp - page
BPFWELD_REGION=$t/ring $W trace --once ssl/libssl.so.3 > records
grep '"what":"WRITE",.*"comm":"curl","data":"GET /page HTTP/1.1' records \
	> /dev/null || die "typed: $(cat records)"
