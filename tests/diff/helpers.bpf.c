/* SPDX-License-Identifier: MIT */
/* helpers - what every helper of helpers.def returns and writes, failures
 * too, and every word of pt_regs.  Each result has a field of its own. */
#include <linux/bpf.h>
#include <linux/ptrace.h>
#include <bpf/bpf_helpers.h>
#include <bpf/bpf_tracing.h>

#include "helpers.h"

#define ARRAY(name, val, n)                                                    \
	struct {                                                               \
		__uint(type, BPF_MAP_TYPE_ARRAY);                              \
		__uint(max_entries, n);                                        \
		__type(key, __u32);                                            \
		__type(value, val);                                            \
	} name SEC(".maps")
#define HASH(name, val, n)                                                     \
	struct {                                                               \
		__uint(type, BPF_MAP_TYPE_HASH);                               \
		__uint(max_entries, n);                                        \
		__type(key, __u32);                                            \
		__type(value, val);                                            \
	} name SEC(".maps")

static __always_inline void *first(void *map)
{
	__u32 zero = 0;

	return bpf_map_lookup_elem(map, &zero);
}

/* --- bpf_probe_read* ------------------------------------------------------- */

enum { BUFFER = 32 };
struct copy {
	long result;
	unsigned char to[BUFFER];
};
struct copies {
	struct copy word, sentence, empty, fits, odd, last, runs_out, unmapped,
		no_read, null, kernel_half, not_canonical, short_of, one, none,
		end_byte, end_word;
};
struct kernel_copies { /* of what is the kernel's under the kernel */
	struct copy stack, map, context;
};
ARRAY(read, struct copies, 1);
ARRAY(read_user, struct copies, 1);
ARRAY(read_kernel, struct copies, 1);
ARRAY(read_str, struct copies, 1);
ARRAY(read_user_str, struct copies, 1);
ARRAY(read_kernel_str, struct copies, 1);
ARRAY(read_own, struct kernel_copies, 1);
ARRAY(read_kernel_own, struct kernel_copies, 1);
ARRAY(read_str_map, struct copy, 1);
ARRAY(read_kernel_str_own, struct kernel_copies, 1);
ARRAY(source, char[BUFFER], 1);

#define COPY(helper, out, size, from)                                          \
	do {                                                                   \
		__builtin_memset((out)->to, 0xaa, BUFFER);                     \
		(out)->result = helper((out)->to, size, (void *)(from));       \
	} while (0)

#define COPIES(helper, map)                                                    \
	do {                                                                   \
		struct copies *c = first(&map);                                \
                                                                               \
		if (!c)                                                        \
			break;                                                 \
		COPY(helper, &c->word, BUFFER, in.word);                       \
		COPY(helper, &c->sentence, BUFFER, in.sentence);               \
		COPY(helper, &c->empty, BUFFER, in.empty);                     \
		COPY(helper, &c->fits, BUFFER, in.fits);                       \
		COPY(helper, &c->odd, BUFFER - 1, in.odd);                     \
		COPY(helper, &c->last, 4, in.last);                            \
		COPY(helper, &c->runs_out, BUFFER, in.runs_out);               \
		COPY(helper, &c->unmapped, BUFFER, in.unmapped);               \
		COPY(helper, &c->no_read, BUFFER, in.no_read);                 \
		COPY(helper, &c->null, BUFFER, in.zero);                       \
		COPY(helper, &c->kernel_half, BUFFER, 0xffff800000000000);     \
		COPY(helper, &c->not_canonical, BUFFER, 0x8000000000000000);   \
		COPY(helper, &c->short_of, 3, in.word);                        \
		COPY(helper, &c->one, 1, in.word);                             \
		COPY(helper, &c->none, 0, in.word);                            \
		COPY(helper, &c->end_byte, 1, -1);                             \
		COPY(helper, &c->end_word, 8, -8);                             \
	} while (0)

#define OWN(helper, results)                                                   \
	do {                                                                   \
		struct kernel_copies *c = first(&results);                     \
		char *from = first(&source);                                   \
                                                                               \
		if (!c || !from)                                               \
			break;                                                 \
		COPY(helper, &c->stack, 16, local);                            \
		COPY(helper, &c->map, BUFFER, from);                           \
		COPY(helper, &c->context, 8, &ctx->rdi);                       \
	} while (0)

static __always_inline int inputs(struct pt_regs *ctx, struct inputs *in)
{
	return bpf_probe_read_user(in, sizeof(*in),
				   (void *)PT_REGS_PARM1(ctx));
}

SEC("uprobe/helpers:site")
int reads(struct pt_regs *ctx)
{
	struct inputs in;

	if (inputs(ctx, &in))
		return 1;
	COPIES(bpf_probe_read, read);
	COPIES(bpf_probe_read_user, read_user);
	COPIES(bpf_probe_read_kernel, read_kernel);
	COPIES(bpf_probe_read_str, read_str);
	COPIES(bpf_probe_read_user_str, read_user_str);
	COPIES(bpf_probe_read_kernel_str, read_kernel_str);
	return 0;
}

SEC("uprobe/helpers:site")
int reads_own(struct pt_regs *ctx)
{
	char local[16] = "on the stack", *from = first(&source);
	struct copy *str = first(&read_str_map);

	if (!from || !str)
		return 1;
	__builtin_memcpy(from, "in a map\0and behind the NUL....", BUFFER);
	OWN(bpf_probe_read, read_own);
	OWN(bpf_probe_read_kernel, read_kernel_own);
	OWN(bpf_probe_read_kernel_str, read_kernel_str_own);
	COPY(bpf_probe_read_str, str, BUFFER, from);
	return 0;
}

/* --- maps ------------------------------------------------------------------ */

struct map_results {
	long any, again, noexist, exist, missing_exist, bad_flags, lock, past,
		full, full_noexist, full_any_there, erase, erase_missing,
		after_erase, found, found_missing, found_past, found_erased;
};
ARRAY(array, __u64, 4);
HASH(hash, __u64, 4);
HASH(erased, __u64, 8);
ARRAY(array_results, struct map_results, 1);
HASH(hash_results, struct map_results, 1);

enum { ANY, NOEXIST, EXIST, BAD = 3, LOCK = 4 };

#define UPDATE(map, k, v, flags)                                               \
	({                                                                     \
		__u32 key = k;                                                 \
		__u64 value = v;                                               \
		bpf_map_update_elem(&map, &key, &value, flags);                \
	})
#define DELETE(map, k)                                                         \
	({                                                                     \
		__u32 key = k;                                                 \
		bpf_map_delete_elem(&map, &key);                               \
	})
#define FIND(map, k)                                                           \
	({                                                                     \
		__u32 key = k;                                                 \
		__u64 *found = bpf_map_lookup_elem(&map, &key);                \
		found ? *found : -1;                                           \
	})

SEC("uprobe/helpers:site")
int arrays(void *ctx)
{
	struct map_results *r = first(&array_results);

	if (!r)
		return 1;
	r->any = UPDATE(array, 1, 11, ANY);
	r->exist = UPDATE(array, 2, 22, EXIST);
	r->noexist = UPDATE(array, 2, 33, NOEXIST);
	r->bad_flags = UPDATE(array, 3, 44, BAD);
	r->lock = UPDATE(array, 3, 55, LOCK);
	r->past = UPDATE(array, 4, 66, ANY);
	r->erase = DELETE(array, 1);
	r->erase_missing = DELETE(array, 9);
	r->found = FIND(array, 2);
	r->found_missing = FIND(array, 0);
	r->found_past = FIND(array, 4);
	return 0;
}

SEC("uprobe/helpers:site")
int hashes(void *ctx)
{
	struct map_results r = {};
	__u32 zero = 0;

	r.any = UPDATE(hash, 1, 11, ANY);
	r.again = UPDATE(hash, 1, 12, ANY);
	r.noexist = UPDATE(hash, 1, 13, NOEXIST);
	r.exist = UPDATE(hash, 1, 14, EXIST);
	r.missing_exist = UPDATE(hash, 99, 15, EXIST);
	r.bad_flags = UPDATE(hash, 2, 16, BAD);
	r.lock = UPDATE(hash, 2, 17, LOCK);
	UPDATE(hash, 2, 22, NOEXIST);
	UPDATE(hash, 3, 33, NOEXIST);
	UPDATE(hash, 4, 44, NOEXIST);
	r.full = UPDATE(hash, 5, 55, ANY);
	r.full_noexist = UPDATE(hash, 5, 56, NOEXIST);
	r.full_any_there = UPDATE(hash, 4, 45, ANY);
	r.found = FIND(hash, 4);
	r.found_missing = FIND(hash, 5);
	r.erase = DELETE(hash, 3);
	r.erase_missing = DELETE(hash, 3);
	r.found_erased = FIND(hash, 3);
	r.after_erase = UPDATE(hash, 6, 66, NOEXIST);
	DELETE(hash, 6);
	UPDATE(erased, 7, 77, ANY);
	DELETE(erased, 7);
	bpf_map_update_elem(&hash_results, &zero, &r, BPF_ANY);
	return 0;
}

/* --- who, when, where ------------------------------------------------------ */

struct who {
	__u64 pid_tgid, is_main_thread, uid_gid, cpu, ktime, boot, later, random;
	__u64 random_is_short, ip, cookie;
	long comm16_result, comm4_result, comm1_result, comm32_result;
	char comm16[16], comm4[16], comm1[16], comm32[32];
};
ARRAY(who, struct who, 2);

SEC("uprobe")
int identity(struct pt_regs *ctx)
{
	__u32 at = bpf_get_attach_cookie(ctx);
	struct who *r = bpf_map_lookup_elem(&who, &at);

	if (!r)
		return 1;
	r->pid_tgid = bpf_get_current_pid_tgid();
	r->is_main_thread = r->pid_tgid >> 32 == (__u32)r->pid_tgid;
	r->uid_gid = bpf_get_current_uid_gid();
	r->cpu = bpf_get_smp_processor_id();
	r->ktime = bpf_ktime_get_ns();
	r->boot = bpf_ktime_get_boot_ns();
	r->later = bpf_ktime_get_ns() >= r->ktime && r->boot >= r->ktime;
	r->random = bpf_get_prandom_u32();
	r->random_is_short = !(r->random >> 32);
	r->ip = bpf_get_func_ip(ctx);
	r->cookie = bpf_get_attach_cookie(ctx);
	r->comm16_result = bpf_get_current_comm(r->comm16, 16);
	r->comm4_result = bpf_get_current_comm(r->comm4, 4);
	r->comm1_result = bpf_get_current_comm(r->comm1, 1);
	r->comm32_result = bpf_get_current_comm(r->comm32, 32);
	return 0;
}

/* --- bpf_trace_printk: only its result is compared ------------------------- */

struct printed {
	long plain, d, negative, u, x, X, ld, lld, llx, i, c, percent, s, s_bad,
		p, px, pk, wide, left, zeros, plus, space, width_s, three, four,
		letter, after_s, lonely, pus, no_nul, empty, cut;
};
ARRAY(printed, struct printed, 1);

#define PRINT(field, text, ...)                                                \
	({                                                                     \
		static const char fmt[] = text;                                \
		r->field = bpf_trace_printk(fmt, sizeof(fmt), ##__VA_ARGS__);  \
	})

SEC("uprobe/helpers:site")
int prints(struct pt_regs *ctx)
{
	static const char cut[] = "without its end";
	struct printed *r = first(&printed);
	struct inputs in;

	if (!r || inputs(ctx, &in))
		return 1;
	PRINT(plain, "plain\n");
	PRINT(d, "%d\n", 1234567);
	PRINT(negative, "%d\n", -1);
	PRINT(u, "%u\n", -1);
	PRINT(x, "%x\n", 0xbeef);
	PRINT(X, "%X\n", 0xbeef);
	PRINT(ld, "%ld\n", -5000000000);
	PRINT(lld, "%lld\n", -5000000000);
	PRINT(llx, "%llx\n", -1);
	PRINT(i, "%i\n", 42);
	PRINT(c, "%c%c\n", 'a', 'b');
	PRINT(percent, "100%%\n");
	PRINT(s, "%s\n", in.word);
	PRINT(s_bad, "%s|\n", in.unmapped);
	PRINT(p, "%p\n", 0x1234);
	PRINT(px, "%px\n", 0x1234);
	PRINT(pk, "%pK\n", 0x1234);
	PRINT(wide, "%8d|\n", 77);
	PRINT(left, "%-8d|\n", 77);
	PRINT(zeros, "%08d|\n", -77);
	PRINT(plus, "%+d\n", 77);
	PRINT(space, "% d\n", 77);
	PRINT(width_s, "%10s|%-10s|\n", in.word, in.word);
	PRINT(three, "%d %s %x\n", 1, in.word, 2);
	PRINT(four, "%d %d %d %d\n", 1, 2, 3);
	PRINT(letter, "%f\n", 1);
	PRINT(after_s, "%sx\n", in.word);
	PRINT(lonely, "100%");
	PRINT(pus, "%pus|\n", in.word);
	PRINT(empty, "");
	r->no_nul = bpf_trace_printk(cut, 7);
	r->cut = bpf_trace_printk(cut, sizeof(cut));
	return 0;
}

/* --- pt_regs --------------------------------------------------------------- */

struct words {
	__u64 r15, r14, r13, r12, bp, bx, r11, r10, r9, r8, ax, cx, dx, si, di,
		orig_ax, ip, cs, flags, sp, ss, func_ip, cookie;
	__u32 low_di;
	__u16 low_si;
	__u8 low_dx;
};
HASH(words, struct words, 8);

SEC("uprobe")
int regs(struct pt_regs *ctx)
{
	struct words w = {
		ctx->r15, ctx->r14, ctx->r13, ctx->r12, ctx->rbp, ctx->rbx,
		ctx->r11, ctx->r10, ctx->r9, ctx->r8, ctx->rax, ctx->rcx,
		ctx->rdx, ctx->rsi, ctx->rdi, ctx->orig_rax, ctx->rip, ctx->cs,
		ctx->eflags, ctx->rsp, ctx->ss, bpf_get_func_ip(ctx),
		bpf_get_attach_cookie(ctx), ctx->rdi, ctx->rsi, ctx->rdx,
	};
	__u32 at = w.cookie;

	bpf_map_update_elem(&words, &at, &w, BPF_ANY);
	return 0;
}

char LICENSE[] SEC("license") = "GPL";
