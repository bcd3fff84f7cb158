/* SPDX-License-Identifier: MIT */
/* usdt_new - reads the specs by itself, in the layout of libbpf 1.7 and later
 * (bit fields, an index register), which installed headers need not have. */
#include <stdbool.h>
#include <linux/bpf.h>
#include <linux/ptrace.h>
#include <bpf/bpf_helpers.h>

enum arg_type { CONST, REG, DEREF, SIB };
struct __bpf_usdt_arg_spec {
	__u64 val_off;
	enum arg_type arg_type: 8;
	__u16 idx_reg_off: 12;
	__u16 scale_bitshift: 4;
	__u8 __reserved: 8;
	short reg_off;
	bool arg_signed;
	char arg_bitshift;
};
struct __bpf_usdt_spec {
	struct __bpf_usdt_arg_spec args[12];
	__u64 usdt_cookie;
	short arg_cnt;
};
struct { /* less than there are specs: it has to grow */
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(max_entries, 2);
	__type(key, int);
	__type(value, struct __bpf_usdt_spec);
} __bpf_usdt_specs SEC(".maps");

struct seen {
	long hits, count, cookie, err[12], arg[12], size[12];
};
struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(max_entries, 24);
	__type(key, __u32);
	__type(value, struct seen);
} read SEC(".maps");

static __always_inline long word(void *ctx, unsigned off)
{
	long v = 0;

	bpf_probe_read_kernel(&v, sizeof(v), ctx + off);
	return v;
}

static __always_inline long fetch(void *ctx, struct __bpf_usdt_arg_spec *a,
				  long *out)
{
	unsigned long at = a->val_off, v = at;
	long err = 0;

	switch (a->arg_type) {
	case CONST:
		break;
	case REG:
		v = word(ctx, a->reg_off);
		break;
	case SIB:
		at += word(ctx, a->idx_reg_off) << a->scale_bitshift;
		/* fallthrough */
	case DEREF:
		at += word(ctx, a->reg_off);
		err = bpf_probe_read_user(&v, sizeof(v), (void *)at);
		break;
	default:
		return -22;
	}
	v <<= a->arg_bitshift;
	*out = a->arg_signed ? (long)v >> a->arg_bitshift
			     : (long)(v >> a->arg_bitshift);
	return err;
}

SEC("?usdt")
int look(struct pt_regs *ctx)
{
	int id = bpf_get_attach_cookie(ctx);
	struct __bpf_usdt_spec *spec = bpf_map_lookup_elem(&__bpf_usdt_specs,
							   &id);
	struct seen *s;
	__u32 key;

	if (!spec)
		return 0;
	key = spec->usdt_cookie;
	s = bpf_map_lookup_elem(&read, &key);
	if (!s)
		return 0;
	s->hits++;
	s->count = spec->arg_cnt;
	s->cookie = spec->usdt_cookie;
	for (int n = 0; n < 12; n++) {
		if (n >= spec->arg_cnt)
			break;
		s->size[n] = 8 - ((__u8)spec->args[n].arg_bitshift >> 3);
		s->err[n] = fetch(ctx, &spec->args[n], &s->arg[n]);
	}
	return 0;
}

char LICENSE[] SEC("license") = "GPL";
