/* SPDX-License-Identifier: MIT */
/* load.c - between an object's bytes and its programs in the kernel. */
#include <bpf/bpf.h>
#include <bpf/libbpf.h>
#include <errno.h>
#include <stdlib.h>
#include <unistd.h>

#include "rewriter/kernel/kernel.h"
#include "rewriter/region.h"

bool kernel_loads(const char **why)
{
	struct bpf_insn nothing[] = {
		{ .code = BPF_ALU64 | BPF_MOV | BPF_K },
		{ .code = BPF_JMP | BPF_EXIT },
	};
	int fd;

	kernel_listen();
	fd = bpf_prog_load(BPF_PROG_TYPE_KPROBE, "usable", "GPL", nothing, 2,
			   NULL);
	if (fd < 0) {
		*why = fd == -EPERM || fd == -EACCES
			       ? "loading BPF programs is not permitted (root?)"
			       : "the kernel does not load BPF programs";
		return false;
	}
	close(fd);
	return true;
}

/* --- What libbpf and the verifier say. */

/* libbpf gives its print function no context. */
static struct kernel_heard heard;

/* What it prints when a program is refused is the verifier's log. */
static void hear_log(const char *text)
{
	struct arena a = { 0 };
	const char *why = kernel_reason(&a, text);

	if (why)
		snprintf(heard.reason, sizeof(heard.reason), "%s", why);
	arena_free(&a);
}

/* "prog 'NAME': BPF program load failed: ..." */
static void hear_refusal(const char *text)
{
	const char *name = strstr(text, "prog '");

	if (!strstr(text, "BPF program load failed"))
		return;
	name = name ? name + strlen("prog '") : "?";
	snprintf(heard.program, sizeof(heard.program), "%.*s",
		 (int)strcspn(name, "'"), name);
}

static void hear_warning(const char *text)
{
	size_t skip = strncmp(text, "libbpf: ", 8) ? 0 : 8;

	hear_refusal(text);
	heard.loaded |= strstr(text, "failed to initialize slot") != NULL;
	if (!*heard.warning)
		snprintf(heard.warning, sizeof(heard.warning), "%.*s",
			 (int)strcspn(text + skip, "\n"), text + skip);
}

static int listen(enum libbpf_print_level level, const char *fmt, va_list ap)
{
	char *text = NULL;

	if (level != LIBBPF_WARN || vasprintf(&text, fmt, ap) < 0)
		return 0;
	if (strstr(fmt, "BEGIN PROG LOAD LOG"))
		hear_log(text);
	else
		hear_warning(text);
	free(text);
	return 0;
}

const struct kernel_heard *kernel_listen(void)
{
	heard = (struct kernel_heard){ 0 };
	libbpf_set_print(listen);
	return &heard;
}

/* Statistics, source lines, a dump of registers: no sentence. */
static bool is_noise(const char *line)
{
	static const char *const starts[] = {
		"verification time ",
		"stack depth ",
		"; ",
		"cur state:",
		"old state:",
		"caller:",
		"callee:",
		" R",
		" frame",
	};

	for (size_t i = 0; i < sizeof(starts) / sizeof(*starts); i++)
		if (!strncmp(line, starts[i], strlen(starts[i])))
			return true;
	return !*line;
}

const char *kernel_reason(struct arena *a, const char *log)
{
	char *text = arena_printf(a, "\n%s", log), *end, *line;

	end = strstr(text, "\nprocessed ");
	if (end)
		*end = 0;
	while ((line = strrchr(text, '\n'))) {
		if (!is_noise(line + 1))
			return line + 1;
		*line = 0;
	}
	return NULL;
}

/* --- Objects. */

/* Nothing may stay behind, or be there from an earlier run. */
static void maps_unpin(struct bpf_object *obj)
{
	struct bpf_map *m;

	bpf_object__for_each_map(m, obj) bpf_map__set_pin_path(m, NULL);
}

struct bpf_object *kernel_open(const char *name, struct bytes bytes)
{
	LIBBPF_OPTS(bpf_object_open_opts, opts, .object_name = name);
	struct bpf_object *obj = bpf_object__open_mem(bytes.p, bytes.n, &opts);

	/* Some of its errors are no errnos and come out as wild pointers. */
	if ((intptr_t)obj <= 0)
		return NULL;
	maps_unpin(obj);
	return obj;
}

void kernel_kind(struct bpf_program *bp, uint32_t attach_type, bool sleeps)
{
	bpf_program__set_type(bp, BPF_PROG_TYPE_KPROBE);
	bpf_program__set_expected_attach_type(
		bp, (enum bpf_attach_type)attach_type);
	if (sleeps) /* libbpf 1.1 knows of two such sections */
		bpf_program__set_flags(bp, BPF_F_SLEEPABLE);
}

uint32_t kernel_attach_type(const char *section)
{
	static const struct {
		const char *name;
		uint32_t type;
	} types[] = {
		{ "uprobe.multi", ATTACH_UPROBE_MULTI },
		{ "uretprobe.multi", ATTACH_UPROBE_MULTI },
		{ "uprobe.session", ATTACH_UPROBE_SESSION },
	};
	size_t n = strcspn(section, "/");

	if (n > 2 && !memcmp(section + n - 2, ".s", 2))
		n -= 2;
	for (size_t i = 0; i < sizeof(types) / sizeof(*types); i++)
		if (strlen(types[i].name) == n &&
		    !memcmp(section, types[i].name, n))
			return types[i].type;
	return 0;
}

/* Nor could the kernel make it.  (Those of a type that is unknown here it can,
 * and programs that are in a map of programs may use them.) */
static bool is_spare(const struct bpf_set *set, const struct bpf_object *obj,
		     uint32_t map)
{
	const struct bpf_map_def *d = &set->map[map];

	if (!d->absent || !map_type_known(d->type))
		return false;
	for (uint32_t i = 0; i < set->nprog; i++) {
		const struct bpf_prog *p = &set->prog[i];
		struct bpf_program *bp = bpf_object__find_program_by_name(
			obj, p->name);

		if (p->object == d->object && bp &&
		    bpf_program__autoload(bp) && bpf_refers(p, map))
			return false;
	}
	return true;
}

int kernel_data(const struct bpf_set *set, uint32_t object,
		struct bpf_object *obj, struct err *e)
{
	for (uint32_t i = 0; i < set->nmap; i++) {
		const struct bpf_map_def *d = &set->map[i];
		struct bpf_map *m;

		if (d->object != object)
			continue;
		m = bpf_object__find_map_by_name(obj, d->name);
		if (m && is_spare(set, obj, i)) {
			bpf_map__set_autocreate(m, false);
			continue;
		}
		if (m && bpf_map__max_entries(m) != d->max_entries)
			bpf_map__set_max_entries(m, d->max_entries);
		if (m && bpf_map__value_size(m) != d->value_size)
			bpf_map__set_value_size(m, d->value_size);
		if (d->data != DATA_DATA && d->data != DATA_RODATA)
			continue;
		if (!m ||
		    bpf_map__set_initial_value(m, d->initial.p, d->initial.n))
			return fail(e, set->object[object].path, NOWHERE,
				    "libbpf does not take the initial value "
				    "of %s",
				    d->name);
	}
	return 0;
}
