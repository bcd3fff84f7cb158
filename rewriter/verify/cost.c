/* SPDX-License-Identifier: MIT */
/* cost.c - how long a helper takes, counted in instructions of a program that
 * take about as long (docs/guards.md).
 */
#include <string.h>

#include "rewriter/code/helper.h"
#include "rewriter/region.h"
#include "rewriter/verify/call.h"
#include "runtime-stub/dynptr.h"

enum {
	KEY_SIZE = 4, /* of an LPM_TRIE, without the data */
	HELPER_STEPS = 16,
	MAP_STEPS = 64,     /* one that searches, or changes, a map */
	KEY_STEPS = 2,      /* and each byte that it hashes */
	PREFIX_STEPS = 40,  /* a prefix length of an LPM_TRIE, and its bytes */
	HASHES_MAX = 16,    /* of a BLOOM_FILTER */
	KERNEL_STEPS = 256, /* one that may ask the kernel */
	STRING_STEPS = 1 << 12, /* an argument that may be a bad address */
	PRINTK_ARGS = 3,
	STACK_STEPS = 1 << 14,    /* 127 frames */
	BUILD_ID_STEPS = 1 << 17, /* and their files' headers */
	CHAR_STEPS = 3,           /* a character that is looked at */
};

/* Helpers that ask the kernel, or where they cannot do without. */
static bool asks_kernel(uint32_t id)
{
	switch (id) {
	case BPF_FUNC_get_current_pid_tgid:
	case BPF_FUNC_get_current_uid_gid:
	case BPF_FUNC_get_current_comm:
	case BPF_FUNC_get_current_task:
	case BPF_FUNC_get_current_task_btf:
	case BPF_FUNC_get_ns_current_pid_tgid:
	case BPF_FUNC_user_ringbuf_drain:
		return true;
	}
	return helper_faults(id) || helper_signals(id);
}

static uint64_t map_steps(const struct bpf_map_def *m)
{
	uint64_t data = m->key_size - KEY_SIZE;

	switch (m->type) {
	case BPF_MAP_TYPE_ARRAY:
	case BPF_MAP_TYPE_PERCPU_ARRAY:
		return HELPER_STEPS;
	case BPF_MAP_TYPE_LPM_TRIE:
		return 8 * data * (PREFIX_STEPS + data);
	case BPF_MAP_TYPE_BLOOM_FILTER:
		return (uint64_t)m->value_size * KEY_STEPS * HASHES_MAX;
	}
	return MAP_STEPS + (uint64_t)m->key_size * KEY_STEPS;
}

static uint64_t stack_steps(const struct call *c)
{
	const struct tnum *flags = &reg(c->v, 4)->n.bits;
	bool ids = c->id == BPF_FUNC_get_stackid
			   ? c->map->flags & BPF_F_STACK_BUILD_ID
			   : (flags->value | flags->mask) & BPF_F_USER_BUILD_ID;

	return ids ? BUILD_ID_STEPS : STACK_STEPS;
}

/* How many arguments of bpf_trace_printk() may be bad addresses: those that its
 * format reads from, where that is known. */
static uint64_t addresses(const struct call *c)
{
	const struct reg *fmt = reg(c->v, 1);
	const struct bytes *b = fmt->kind == VALUE ? &fmt->map->initial : NULL;
	uint64_t off = fmt->n.bits.value;
	unsigned n = 0;

	if (!b || !bpf_frozen(fmt->map) || !range_is_const(&fmt->n) ||
	    off >= b->n || !memchr(b->p + off, 0, b->n - off) ||
	    !format_reads((const char *)b->p + off, &n) || n > PRINTK_ARGS)
		return PRINTK_ARGS;
	return n;
}

/* May the helper find a task where it reads (runtime-stub/tasks.c)?  Any number may
 * name one: which it is, paths are not compared by (care.c). */
static bool may_read_task(const struct call *c)
{
	const struct reg *at = reg(c->v, 3);

	switch (c->id) {
	case BPF_FUNC_probe_read:
	case BPF_FUNC_probe_read_str:
	case BPF_FUNC_probe_read_kernel:
	case BPF_FUNC_probe_read_kernel_str:
		return at->kind == NUMBER || at->kind == TASK;
	}
	return false;
}

static uint64_t fixed_steps(const struct call *c)
{
	switch (c->id) {
	case BPF_FUNC_get_stack:
	case BPF_FUNC_get_stackid:
		return stack_steps(c);
	case BPF_FUNC_snprintf: /* each argument may be a bad address */
	case BPF_FUNC_trace_vprintk:
		return KERNEL_STEPS + c->size / 8 * STRING_STEPS;
	case BPF_FUNC_trace_printk:
		return KERNEL_STEPS + addresses(c) * STRING_STEPS;
	}
	if (may_read_task(c))
		return TASK_STEPS;
	if (asks_kernel(c->id))
		return KERNEL_STEPS;
	return c->map ? map_steps(c->map) : HELPER_STEPS;
}

/* Text that it makes is looked at, too. */
static bool looks_at_chars(uint32_t id)
{
	switch (id) {
	case BPF_FUNC_probe_read_str:
	case BPF_FUNC_probe_read_user_str:
	case BPF_FUNC_probe_read_kernel_str:
	case BPF_FUNC_strncmp:
	case BPF_FUNC_strtol:
	case BPF_FUNC_strtoul:
	case BPF_FUNC_snprintf:
	case BPF_FUNC_trace_printk:
	case BPF_FUNC_trace_vprintk:
		return true;
	}
	return false;
}

/* Of what has a size: how many bytes. */
static uint64_t bytes_given(const struct call *c)
{
	const struct reg *fmt = reg(c->v, 3);
	const uint8_t *text;

	if (c->id != BPF_FUNC_snprintf)
		return c->bytes;
	text = fmt->map->initial.p + fmt->n.bits.value;
	return c->bytes + strlen((const char *)text);
}

/* Bytes that dynptr.c moves one by one; some only where source and destination
 * overlap. */
static uint64_t bytes_moved(const struct call *c)
{
	uint64_t n = 0;

	switch (c->id) {
	case BPF_FUNC_dynptr_read:
	case BPF_FUNC_dynptr_write:
		n = c->bytes;
		break;
	case OURS_DYNPTR_COPY:
		n = reg(c->v, 5)->n.umax32;
		break;
	case OURS_DYNPTR_MEMSET:
		n = reg(c->v, 3)->n.umax32;
		break;
	}
	return n < DYNPTR_MAX ? n : DYNPTR_MAX;
}

/* A new element's values are zeroed first, each CPU's. */
static uint64_t bytes_of_value(const struct call *c)
{
	uint64_t n = c->map->value_size;
	uint32_t cpus = c->v->set->cpus;

	if (c->id == BPF_FUNC_map_update_elem &&
	    (c->map->type == BPF_MAP_TYPE_PERCPU_HASH ||
	     c->map->type == BPF_MAP_TYPE_LRU_PERCPU_HASH))
		return n * (cpus ? cpus : REGION_CPUS);
	return n;
}

uint64_t helper_steps(const struct call *c)
{
	uint64_t n = bytes_given(c);

	if (looks_at_chars(c->id))
		n *= 8 * CHAR_STEPS;
	for (unsigned i = 0; i < 5; i++)
		if (c->p->arg[i] == arg_VALUE || c->p->arg[i] == arg_VALUE_OUT)
			n += bytes_of_value(c);
	return fixed_steps(c) + bytes_moved(c) + n / 8;
}
