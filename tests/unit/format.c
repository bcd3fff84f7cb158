/* SPDX-License-Identifier: MIT */
/* bpf_snprintf on random formats and arguments, against the kernel's: it runs
 * programs of one call (BPF_PROG_TEST_RUN of a raw tracepoint's program), in
 * our process, so that our strings are its strings.
 *
 * What is known to differ is not made: %p and %pK (hashed there); %pB, and
 * other text made beforehand in a buffer that is too small for it (in either
 * case the kernel miscounts its own arguments behind it). */
#include <bpf/bpf.h>
#include <bpf/libbpf.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "runtime-stub/fault.c"
#include "runtime-stub/format.c"
#include "runtime-stub/read.c"

#include <cmocka.h>

/* (Nothing is armed here.) */
bool env_converts(const char *const *envp)
{
	(void)envp;
	return false;
}
bool weld_libs_seen(void)
{
	return false;
}

enum { ROOM = 1024, FORMAT_SIZE = 64, FORMATS = 3000 };

uint8_t weld_region[4096] __attribute__((aligned(4096)));
const struct weld_info weld_info = { .range = sizeof(weld_region) };
static struct run state_of;

long own_pid(void) /* no way that needs it is taken */
{
	return 0;
}

static uint32_t pick(uint32_t n)
{
	static uint64_t v = 12345;

	v = v * UINT64_C(6364136223846793005) + 1442695040888963407;
	return (uint32_t)(v >> 33) % n;
}

#define ONE_OF(v) (v)[pick(sizeof(v) / sizeof((v)[0]))]

struct attempt {
	char fmt[FORMAT_SIZE];
	uint64_t arg[FORMAT_ARGS];
	uint32_t nargs, size;
};

static void make_format(struct attempt *t)
{
	static const char *const piece[] = {
		"%",   "%",   "%",    "%%",   "d",   "i",    "u",    "x",
		"X",   "c",   "s",    "p",    "px",  "ps",   "pS",   "pus",
		"pks", "pI4", "pi4",  "pI6",  "pi6", "l",    "ll",   "0",
		"-",   "+",   " ",    "5",    "12",  "100",  "600",  "a",
		"Z",   ".",   " ",    "|",    "_",   "\xa0", "\xd7", "\n",
		"%d",  "%s",  "%lx",  "%c",   "%8s", "%-8d", "%08x", "%pus ",
		"%px", "%5c", "\x07", "%pI4 ",
	};
	uint32_t n = pick(7);

	t->fmt[0] = 0;
	while (n--)
		strcat(t->fmt, ONE_OF(piece));
}

static char *edge; /* a page, then nothing */
static char longer[640], shorter[320]; /* are read by words */

static void make_strings(void)
{
	edge = mmap(NULL, 2 * FAULT_PAGE, PROT_READ | PROT_WRITE,
		    MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	memset(edge, 'z', FAULT_PAGE);
	mprotect(edge + FAULT_PAGE, FAULT_PAGE, PROT_NONE);
	memset(longer, 'x', 600);
	memset(shorter, 'y', 300);
}

static void make_arguments(struct attempt *t)
{
	static const char hello[8] = "hello", empty[8];
	const uint64_t value[] = {
		0, 1, 42, -1ull, -5ull, -1ull << 31, 1ull << 63, 'A', 0x1ff, 16,
		123456789012345, 0xffff800000000000, 0x8000000000000000,
		(uint64_t)hello, (uint64_t)empty, (uint64_t)longer,
		(uint64_t)shorter, (uint64_t)longer + 90,
		(uint64_t)edge + FAULT_PAGE - 6, (uint64_t)edge,
	};

	for (int i = 0; i < FORMAT_ARGS; i++)
		t->arg[i] = ONE_OF(value);
	t->nargs = pick(6);
}

static bool is_known_to_differ(const struct attempt *t)
{
	const char *p = t->fmt;
	struct spec s;

	while ((p = strchr(p, '%'))) {
		const char *end = spec_of(p + 1, p + strlen(p), &s);

		if (!end)
			return false;
		if ((s.kind == ADDRESS && end[-1] != 'x') ||
		    s.kind == BACKTRACE ||
		    (s.kind >= USER_STRING && t->size < ROOM))
			return true;
		p = end;
	}
	return false;
}

static void make_attempt(struct attempt *t)
{
	static const uint32_t size[] = { 0, 1, 5, 20, 64, ROOM };

	do {
		make_format(t);
		make_arguments(t);
		t->size = ONE_OF(size);
	} while (is_known_to_differ(t));
}

struct oracle {
	int out, args;
	char log[1 << 14];
};

static int array_of(uint32_t size, uint32_t flags)
{
	LIBBPF_OPTS(bpf_map_create_opts, opts, .map_flags = flags);

	return bpf_map_create(BPF_MAP_TYPE_ARRAY, "x", 4, size, 1, &opts);
}

/* The program, or -1 when the verifier does not like the format. */
static int load(struct oracle *o, const struct attempt *t, int fmt)
{
	const struct bpf_insn insn[] = {
#define VALUE(reg, map)                                                        \
	{ .code = BPF_LD | BPF_IMM | BPF_DW, .dst_reg = reg,                   \
	  .src_reg = BPF_PSEUDO_MAP_VALUE, .imm = map }, { 0 }
#define NUMBER(reg, n)                                                         \
	{ .code = BPF_ALU64 | BPF_MOV | BPF_K, .dst_reg = reg,                 \
	  .imm = (int32_t)(n) }
		VALUE(1, o->out),
		NUMBER(2, t->size),
		VALUE(3, fmt),
		VALUE(4, o->args),
		NUMBER(5, t->nargs * 8),
		{ .code = BPF_JMP | BPF_CALL, .imm = BPF_FUNC_snprintf },
		{ .code = BPF_JMP | BPF_EXIT },
	};
	LIBBPF_OPTS(bpf_prog_load_opts, opts, .log_buf = o->log,
		    .log_size = sizeof(o->log), .log_level = 1);

	o->log[0] = 0;
	return bpf_prog_load(BPF_PROG_TYPE_RAW_TRACEPOINT, "x", "GPL", insn,
			     sizeof(insn) / sizeof(*insn), &opts);
}

static void compare(struct oracle *o, const struct attempt *t)
{
	static uint8_t ours[ROOM], theirs[ROOM];
	LIBBPF_OPTS(bpf_test_run_opts, run);
	uint32_t zero = 0;
	int fmt = array_of(FORMAT_SIZE, BPF_F_RDONLY_PROG), prog;
	int32_t ret;

	memset(ours, 0xaa, ROOM);
	assert_int_equal(bpf_map_update_elem(o->out, &zero, ours, 0), 0);
	assert_int_equal(bpf_map_update_elem(o->args, &zero, t->arg, 0), 0);
	assert_int_equal(bpf_map_update_elem(fmt, &zero, t->fmt, 0), 0);
	assert_int_equal(bpf_map_freeze(fmt), 0);
	ret = (int32_t)helper_snprintf((uint64_t)ours, t->size,
				       (uint64_t)t->fmt, (uint64_t)t->arg,
				       t->nargs * 8, &state_of);
	prog = load(o, t, fmt);
	close(fmt);
	if (prog < 0) {
		assert_non_null(strstr(o->log, "Invalid format string"));
		if (ret != -EINVAL && ret != -ENOSPC)
			fail_msg("\"%s\" is invalid, not %d", t->fmt, ret);
		return;
	}
	assert_int_equal(bpf_prog_test_run_opts(prog, &run), 0);
	close(prog);
	assert_int_equal(bpf_map_lookup_elem(o->out, &zero, theirs), 0);
	if (ret != (int32_t)run.retval || memcmp(ours, theirs, ROOM))
		fail_msg("\"%s\" of %u arguments into %u: %d '%.20s', not "
			 "%d '%.20s'",
			 t->fmt, t->nargs, t->size, ret, ours,
			 (int32_t)run.retval, theirs);
}

static void formats_as_in_the_kernel(void **state)
{
	static struct oracle o;
	const char *n = getenv("FORMAT_COUNT"); /* a longer run */
	long left = n ? atol(n) : FORMATS;
	struct attempt t;

	(void)state;
	libbpf_set_print(NULL);
	o.out = array_of(ROOM, 0);
	o.args = array_of(sizeof(t.arg), 0);
	if (o.out < 0)
		skip(); /* not root, or a kernel without BPF */
	make_strings();
	while (left--) {
		make_attempt(&t);
		compare(&o, &t);
	}
	close(o.out);
	close(o.args);
}

/* A format is in a map: between the look at it and its use others write there,
 * over the NUL and what is behind a '%'.  Nothing behind its end is read. */
static void formats_that_change(void **state)
{
	struct attempt t;
	long left;
	char *at;

	(void)state;
	if (!edge)
		make_strings();
	at = edge + FAULT_PAGE - FORMAT_SIZE;
	for (left = 200000; left--;) {
		static char out[ROOM];
		struct format f = { .fmt = at, .arg = t.arg, .run = &state_of };
		struct text text = { .to = out, .room = 64, .run = &state_of };

		make_attempt(&t);
		f.nargs = t.nargs;
		memset(at, 'x', FORMAT_SIZE);
		memcpy(at + FORMAT_SIZE - 1 - strlen(t.fmt), t.fmt,
		       strlen(t.fmt) + 1);
		if (format_prepare(&f, FORMAT_SIZE))
			continue;
		for (uint32_t n = 1 + pick(4); n--;)
			at[FORMAT_SIZE - 1 - pick(12)] =
				"%%%%sdpxlI4ku8-0\0"[pick(16)];
		if (pick(2))
			at[FORMAT_SIZE - 1] = "%slp0"[pick(5)];
		format_print(&f, &text);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(formats_as_in_the_kernel),
		cmocka_unit_test(formats_that_change),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
