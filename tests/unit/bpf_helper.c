/* SPDX-License-Identifier: MIT */
/* Which helpers programs may call: every one has a place, and the kernel agrees
 * about whom they are for. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <string.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "rewriter/bpf/object.h"
#include <cmocka.h> /* last: it has a macro fail() */

enum { LAST = BPF_FUNC_user_ringbuf_drain + 2 }; /* the kernel adds no more */

static const char FOREIGN[] = "not for tracing programs";

static bool is_foreign(uint32_t id)
{
	const struct bpf_prog p = { .name = "p", .section = "uprobe" };
	const char *why = helper_refusal(&p, id);

	return why && !strcmp(why, FOREIGN);
}

static void every_helper_has_a_place(void **state)
{
	const struct bpf_prog p = { .name = "p", .section = "uprobe.s/x:f" };
	uint32_t offered = 0, foreign = 0;

	(void)state;
	for (uint32_t id = 1; id <= LAST; id++) {
		assert_non_null(kernel_helper(id));
		offered += !helper_refusal(&p, id);
		foreign += is_foreign(id);
	}
	/* 81 are offered, and two that not every kernel has. */
	assert_int_equal(LAST - foreign, 83);
	assert_true(offered > 40);
	assert_null(kernel_helper(0));
	assert_null(kernel_helper(LAST + 1));
}

/* The verifier's log of a program that calls `id` and nothing else. */
static long kernel_says(uint32_t id, char *log, uint32_t size)
{
	const struct bpf_insn insn[] = {
		{ .code = BPF_JMP | BPF_CALL, .imm = (int32_t)id },
		{ .code = BPF_ALU64 | BPF_MOV | BPF_K },
		{ .code = BPF_JMP | BPF_EXIT },
	};
	union bpf_attr attr = { .prog_type = BPF_PROG_TYPE_KPROBE,
				.insns = (uintptr_t)insn,
				.insn_cnt = 3,
				.license = (uintptr_t) "GPL",
				.log_buf = (uintptr_t)log,
				.log_size = size,
				.log_level = 1 };
	long fd = syscall(SYS_bpf, BPF_PROG_LOAD, &attr, sizeof(attr));

	if (fd >= 0)
		close((int)fd);
	return fd;
}

static void the_kernel_agrees(void **state)
{
	static char log[1 << 16];

	(void)state;
	if (kernel_says(BPF_FUNC_ktime_get_ns, log, sizeof(log)) < 0)
		skip(); /* not root, or a kernel without BPF */
	for (uint32_t id = 1; id <= LAST; id++) {
		bool foreign;

		if (id == BPF_FUNC_probe_write_user ||
		    id == BPF_FUNC_override_return)
			continue; /* as it is configured */
		log[0] = 0;
		kernel_says(id, log, sizeof(log));
		foreign = strstr(log, "cannot use helper") ||
			  strstr(log, "unknown func");
		if (foreign != is_foreign(id))
			fail_msg("%s#%u: %s", kernel_helper(id), id, log);
	}
}

static void some_may_sleep(void **state)
{
	static const struct {
		const char *section;
		bool sleeps;
	} t[] = {
		{ "uprobe", false },
		{ "uprobe.s", true },
		{ "uprobe/bin.s:f.s", false },
		{ "uprobe.s//bin:f", true },
		{ "uretprobe.s", true },
		{ "uprobe.multi", false },
		{ "uprobe.multi.s/bin:*", true },
		{ "uprobe.session.s", true },
		{ "usdt.s", true },
		{ "usdt", false },
		{ NULL, false },
	};

	(void)state;
	for (size_t i = 0; i < sizeof(t) / sizeof(*t); i++) {
		const struct bpf_prog p = { .section = t[i].section };

		assert_int_equal(prog_sleeps(&p), t[i].sleeps);
		assert_int_equal(!helper_refusal(&p, BPF_FUNC_copy_from_user),
				 t[i].sleeps);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(every_helper_has_a_place),
		cmocka_unit_test(the_kernel_agrees),
		cmocka_unit_test(some_may_sleep),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
