/* SPDX-License-Identifier: MIT */
/* map_shape() takes the flags that the kernel's bpf(2) takes, one by one and
 * two by two, for every type of map, and no others. */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "rewriter/region.h"

#include <cmocka.h> /* last: it has a macro fail() */

enum {
	FLAGS = 14 /* up to BPF_F_PRESERVE_ELEMS, BPF_F_INNER_MAP */
};

static const struct bpf_map_def types[] = {
#define TYPE(name, key, value, entries)                                        \
	{ #name, .type = BPF_MAP_TYPE_##name, .key_size = key,                 \
	  .value_size = value, .max_entries = entries }
	TYPE(HASH, 4, 8, 4),
	TYPE(ARRAY, 4, 8, 4),
	TYPE(PROG_ARRAY, 4, 4, 4),
	TYPE(PERF_EVENT_ARRAY, 4, 4, 4),
	TYPE(PERCPU_HASH, 4, 8, 4),
	TYPE(PERCPU_ARRAY, 4, 8, 4),
	TYPE(STACK_TRACE, 4, 64, 4),
	TYPE(LRU_HASH, 4, 8, 4),
	TYPE(LRU_PERCPU_HASH, 4, 8, 4),
	TYPE(LPM_TRIE, 8, 8, 4),
	TYPE(QUEUE, 0, 8, 4),
	TYPE(STACK, 0, 8, 4),
	TYPE(RINGBUF, 0, 0, 4096),
	TYPE(BLOOM_FILTER, 0, 8, 4),
	TYPE(USER_RINGBUF, 0, 0, 4096),
};

/* 0, or the error. */
static int by_kernel(const struct bpf_map_def *m)
{
	union bpf_attr attr;
	int fd;

	memset(&attr, 0, sizeof(attr));
	attr.map_type = m->type;
	attr.key_size = m->key_size;
	attr.value_size = m->value_size;
	attr.max_entries = m->max_entries;
	attr.map_flags = m->flags;
	fd = (int)syscall(SYS_bpf, BPF_MAP_CREATE, &attr, sizeof(attr));
	if (fd < 0)
		return errno;
	close(fd);
	return 0;
}

static void both(const struct bpf_map_def *type, uint32_t flags)
{
	struct bpf_map_def m = *type;
	struct region_map shape = { 0 };
	struct err e = { 0 };
	int wanted, got;

	m.flags = flags;
	wanted = by_kernel(&m);
	got = map_shape(&m, &shape, &e);
	if (!wanted != !got)
		fail_msg("%s, flags 0x%x: kernel %d, %s", m.name, flags, wanted,
			 got ? e.what : "taken");
}

static uint32_t flag(uint32_t i) /* 0: none */
{
	return i ? 1u << (i - 1) : 0;
}

static void as_the_kernel(void **state)
{
	(void)state;
	for (size_t i = 0; i < sizeof(types) / sizeof(*types); i++)
		for (uint32_t a = 0; a < FLAGS; a++)
			for (uint32_t b = 0; b <= a; b++)
				both(&types[i], flag(a) | flag(b));
}

int main(void)
{
	const struct CMUnitTest tests[] = { cmocka_unit_test(as_the_kernel) };

	if (by_kernel(&types[0])) {
		puts("skipped: bpf(2) makes no maps for this user");
		return 77;
	}
	return cmocka_run_group_tests(tests, NULL, NULL);
}
