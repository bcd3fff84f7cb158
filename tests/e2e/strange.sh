#!/usr/bin/env bash
# SPDX-License-Identifier: MIT
# A target and an object with control characters wherever there are names, source
# lines and texts: none of them reaches a terminal, a name is never two lines, and
# what is JSON stays JSON.
. "$(dirname "$0")/../common.sh"
need python3
cd $t

# XesY and the like become control characters, in place: sections, symbols, maps,
# programs, types, lines.
cat > app.c <<'X'
#include <stdio.h>
#include <sys/sdt.h>
__attribute__((noipa)) int XfunY(const char *text)
{
	DTRACE_PROBE1(XproY, XnamY, text);
	return *text + 1;
}
int main(void)
{
	return XfunY("\033[31mtext\n") == 0;
}
X
cat > XfilY.bpf.c <<'X'
#include <linux/bpf.h>
#include <linux/ptrace.h>
#include <bpf/bpf_helpers.h>
#include <bpf/bpf_tracing.h>
struct XvalY { char XtexY[16]; };
struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__type(key, int);
	__type(value, struct XvalY);
	__uint(max_entries, 2);
} XmapY SEC(".maps");
struct {
	__uint(type, BPF_MAP_TYPE_RINGBUF);
	__uint(max_entries, 4096);
} XrinY SEC(".maps");
char XdatY[64] = "\x1b[2J";
SEC("uprobe") int XproY(struct pt_regs *ctx)
{
	struct XvalY v = {};
	int k = 0;
	char c;

	bpf_probe_read_user_str(&v, sizeof(v), (void *)PT_REGS_PARM1(ctx));
	c = XdatY[(__u8)v.XtexY[0]]; /* guarded: XcomY */
	bpf_map_update_elem(&XmapY, &k, &v, 0);
	bpf_ringbuf_output(&XrinY, &v, sizeof(v), 0);
	bpf_printk("\x1b[H%s", v.XtexY);
	return c;
}
SEC("?uprobe") int XbadY(struct pt_regs *ctx)
{
	return *(int *)PT_REGS_PARM1(ctx); /* XcomY */
}
char _license[] SEC("license") = "GPL";
X
$CC -O1 -o plain app.c 2> why || skip "no <sys/sdt.h>: $(head -1 why)"
bpf XfilY.bpf.c
python3 - <<'X'
import re
def strange(name, to):
    b = open(name, "rb").read()
    # an escape; a line feed and what looks like our own word; C1; right to left
    b = re.sub(rb"X(...)Y", lambda m: b"\x1b" + m[1] + b"\n", b)
    open(to, "wb").write(b)
strange("plain", "app")
strange("XfilY.bpf.o", "strange.bpf.o")
X
chmod +x app
fun=$'\x1bfun\n' pro=$'\x1bpro\n' bad=$'\x1bbad\n' nam=$'\x1bnam\n'
map=$'\x1bmap\n' rin=$'\x1brin\n'
B=strange.bpf.o

# clean COMMAND...: whatever it says, and both ways, as lines and as JSON
n=0
one() {
	n=$((n + 1))
	$W "$@" > out 2> err < /dev/null || [ $? != 2 ] || die "$* $(cat err)"
	[ -s out ] || [ -s err ] || die "says nothing: $*"
	if LC_ALL=C grep -q $'[\x01-\x08\x0b-\x1f\x7f]' out err; then
		die "not clean: $*: $(cat -v out err)"
	fi
	grep -vE "${said:-.}" err && die "a line that is none: $*"
	return 0
}
clean() {
	said='^bpfweld: ' one "$@"
	one "$@" -j
	python3 -c 'import json; [json.loads(l) for l in open("out")]' ||
		die "no JSON: $*: $(cat -v out)"
}
clean list app
grep -q 'u001bfun' out || die "not there: $(cat -v out)"
clean check app $B -p "$pro=uprobe:$fun"
grep -q '"source":".*guarded: .u001bcom' out || die "no guard: $(cat -v out)"
clean check app $B -p "$pro=uprobe:$fun" -p "$bad=uprobe:$fun"
clean check app $B -p "$pro=usdt:$pro:$nam"
clean check app --explain "$fun"
clean check app $B -p "$pro=uprobe:none"
clean check $'\x1b[1m' $B
clean weld app $B -p "$pro=uprobe:$fun" -o welded
said=. one check app $B -p "$pro=uprobe:$fun" -p "$bad=uprobe:$fun" -v
for stage in sites bpf links plan region code; do
	said=. one weld app $B -p "$pro=uprobe:$fun" -n --dump=$stage
done
status=0
$W check app $B -p "$pro=uprobe:$fun" --verify=kernel -v > /dev/null 2>&1 ||
	status=$?
[ $status = 77 ] ||
	said=. one check app $B -p "$pro=uprobe:$fun" --verify=kernel -v

./welded
clean info welded
clean probe list welded
clean map list welded
said=. one map dump welded
clean map dump welded "$map"
grep -q 'u001b\[31mtext' out || die "not there: $(cat -v out)"
said=. one map lookup welded "$map" 0
clean map dump welded $'\x1b[H'
said=. one trace welded --once
./welded
one trace welded --once -j
python3 -c 'import json; [json.loads(l) for l in open("out")]'
[ $n -ge 30 ] || die "only $n"
