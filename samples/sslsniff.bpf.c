/* SPDX-License-Identifier: MIT */
/* sslsniff - what programs send and receive through OpenSSL, before it is
 * encrypted and after it was decrypted.
 *
 *     lib=/usr/lib/x86_64-linux-gnu/libssl.so.3
 *     mkdir -p lib && bpfweld weld $lib sslsniff.bpf.o -o lib/libssl.so.3
 *     bpfweld trace lib/libssl.so.3 &
 *     LD_LIBRARY_PATH=$PWD/lib curl -s https://example.org/
 */
#include <linux/bpf.h>
#include <linux/ptrace.h>
#include <bpf/bpf_helpers.h>
#include <bpf/bpf_tracing.h>

const volatile __u32 only_pid = 0; /* 0: all */

enum what { READ, WRITE };
enum { SHOWN = 96 };

struct call { /* that a thread is in */
	__u64 ssl, buf;
	__u64 done; /* SSL_*_ex(): the number of bytes goes there; else 0 */
};
struct event {
	__u32 pid, tid;
	enum what what;
	__u32 len; /* of all that was read or written */
	char comm[16];
	char data[SHOWN]; /* how it begins */
};
/* Types of pointers only do not reach BTF by themselves. */
const struct event *unused __attribute__((unused));

struct {
	__uint(type, BPF_MAP_TYPE_HASH);
	__uint(max_entries, 1024);
	__type(key, __u64); /* thread << 1 | enum what */
	__type(value, struct call);
} calls SEC(".maps");
struct {
	__uint(type, BPF_MAP_TYPE_RINGBUF);
	__uint(max_entries, 1 << 16);
} events SEC(".maps");

__u64 read_bytes, written_bytes, failed, dropped;

static int begins(enum what what, __u64 ssl, __u64 buf, __u64 done)
{
	__u64 id = bpf_get_current_pid_tgid();
	__u64 key = id << 1 | what;
	struct call c = { ssl, buf, done };

	if (!only_pid || only_pid == id >> 32)
		bpf_map_update_elem(&calls, &key, &c, BPF_ANY);
	return 0;
}

static void tell(enum what what, __u64 id, __u64 buf, __u64 len)
{
	struct event *e = bpf_ringbuf_reserve(&events, sizeof(*e), 0);

	if (!e) {
		__sync_fetch_and_add(&dropped, 1);
		return;
	}
	__builtin_memset(e, 0, sizeof(*e));
	e->pid = id >> 32;
	e->tid = id;
	e->what = what;
	e->len = len;
	bpf_get_current_comm(e->comm, sizeof(e->comm));
	bpf_probe_read_user(e->data, len < SHOWN ? len : SHOWN, (void *)buf);
	bpf_ringbuf_submit(e, 0);
}

static int ends(enum what what, __s32 ret)
{
	__u64 id = bpf_get_current_pid_tgid();
	__u64 key = id << 1 | what, n = ret;
	struct call *c = bpf_map_lookup_elem(&calls, &key);

	if (!c)
		return 0;
	if (ret > 0 && c->done &&
	    bpf_probe_read_user(&n, sizeof(n), (void *)c->done))
		ret = 0;
	if (ret > 0) {
		__sync_fetch_and_add(what == READ ? &read_bytes
						  : &written_bytes, n);
		tell(what, id, c->buf, n);
	} else {
		__sync_fetch_and_add(&failed, 1);
	}
	bpf_map_delete_elem(&calls, &key);
	return 0;
}

SEC("uprobe/libssl.so.3:SSL_read")
int BPF_KPROBE(read_begins, __u64 ssl, __u64 buf)
{
	return begins(READ, ssl, buf, 0);
}
SEC("uretprobe/libssl.so.3:SSL_read")
int BPF_KRETPROBE(read_ends, int ret)
{
	return ends(READ, ret);
}
SEC("uprobe/libssl.so.3:SSL_write")
int BPF_KPROBE(write_begins, __u64 ssl, __u64 buf)
{
	return begins(WRITE, ssl, buf, 0);
}
SEC("uretprobe/libssl.so.3:SSL_write")
int BPF_KRETPROBE(write_ends, int ret)
{
	return ends(WRITE, ret);
}
SEC("uprobe/libssl.so.3:SSL_read_ex")
int BPF_KPROBE(read_ex_begins, __u64 ssl, __u64 buf, __u64 n, __u64 done)
{
	return begins(READ, ssl, buf, done);
}
SEC("uretprobe/libssl.so.3:SSL_read_ex")
int BPF_KRETPROBE(read_ex_ends, int ret)
{
	return ends(READ, ret);
}
SEC("uprobe/libssl.so.3:SSL_write_ex")
int BPF_KPROBE(write_ex_begins, __u64 ssl, __u64 buf, __u64 n, __u64 done)
{
	return begins(WRITE, ssl, buf, done);
}
SEC("uretprobe/libssl.so.3:SSL_write_ex")
int BPF_KRETPROBE(write_ex_ends, int ret)
{
	return ends(WRITE, ret);
}

char LICENSE[] SEC("license") = "GPL";
