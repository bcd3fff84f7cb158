/* SPDX-License-Identifier: MIT */
/* plugin.c - bpf_plugin [MEMORY] [--engine=native|inline|vm], the protocol of
 * the bpf_conformance suite: memory as hex bytes, the program as hex bytes on
 * standard input, r0 in hex on standard output.
 *
 *     bpf_plugin --random=COUNT[,SEED]    random programs, engines compared
 *     bpf_plugin --kernel=COUNT[,SEED]    the same, and with the kernel
 *     bpf_plugin --guards                 the programs of guards.c
 */
#include <ctype.h>
#include <stdlib.h>
#include <string.h>

#include "engine.h"

static int nibble(int c)
{
	return isdigit(c) ? c - '0' : tolower(c) - 'a' + 10;
}

/* Hex digits in pairs; anything between pairs is skipped. */
static struct bytes unhex(struct arena *a, const char *s)
{
	uint8_t *p = arena_alloc(a, strlen(s) / 2 + 1);
	size_t n = 0;

	while (*s) {
		if (isxdigit(*s) && isxdigit(s[1])) {
			p[n++] = (uint8_t)(nibble(s[0]) << 4 | nibble(s[1]));
			s++;
		}
		s++;
	}
	return (struct bytes){ p, n };
}

static char *read_all(struct arena *a, FILE *f)
{
	size_t n = 0, got;
	char buf[4096];
	char *s = arena_strdup(a, "");

	while ((got = fread(buf, 1, sizeof(buf), f))) {
		char *t = arena_alloc(a, n + got + 1);

		memcpy(t, s, n);
		memcpy(t + n, buf, got);
		s = t;
		n += got;
	}
	return s;
}

/* In the inline form r1 is ctx and nothing else is passed: r2 gets its value
 * from an instruction in front. */
static void set_r2(struct arena *a, struct trial *r)
{
	struct bpf_prog *p = &r->prog;
	struct bpf_insn *with = arena_alloc(a, (p->ninsn + 1) * sizeof(*with));

	with[0] = (struct bpf_insn){ .code = BPF_ALU64 | BPF_MOV | BPF_K,
				     .dst_reg = 2,
				     .imm = (int32_t)r->len };
	memcpy(with + 1, p->insn, p->ninsn * sizeof(*with));
	p->insn = with;
	p->ninsn++;
	for (uint32_t k = 1; k < p->nsub; k++)
		p->sub[k]++;
}

static int plugin(const char *mem, enum engine_kind kind)
{
	struct arena a = { 0 };
	struct bytes m = unhex(&a, mem), code;
	struct trial r = { .mem = (uint8_t *)m.p, .len = m.n };
	struct err e;
	int bad;

	code = unhex(&a, read_all(&a, stdin));
	r.prog.name = "plugin";
	r.prog.insn = (struct bpf_insn *)code.p;
	r.prog.ninsn = (uint32_t)(code.n / sizeof(struct bpf_insn));
	run_find_subs(&a, &r.prog);
	if (kind == RUN_INLINE)
		set_r2(&a, &r);
	bad = r.prog.ninsn ? run_engine(&a, kind, &r, &e)
			   : fail(&e, NULL, NOWHERE, "no program");
	if (bad)
		err_print(stderr, &e);
	else
		printf("%llx\n", (unsigned long long)r.result);
	arena_free(&a);
	return bad ? 1 : 0;
}

static int usage(void)
{
	fputs("usage: bpf_plugin [MEMORY] [--engine=native|inline|vm] <PROGRAM\n"
	      "       bpf_plugin --random|--kernel=COUNT[,SEED]\n",
	      stderr);
	return 2;
}

/* COUNT[,SEED] */
static int random_runs(int (*runs)(uint64_t, uint64_t), const char *arg)
{
	char *end;
	uint64_t n = strtoull(arg, &end, 0);

	return runs(n, *end ? strtoull(end + 1, NULL, 0) : 1);
}

int main(int argc, char **argv)
{
	enum engine_kind kind = RUN_NATIVE;
	const char *mem = "";

	for (int i = 1; i < argc; i++) {
		if (!strncmp(argv[i], "--random=", 9))
			return random_runs(random_programs, argv[i] + 9);
		if (!strcmp(argv[i], "--guards"))
			return guard_programs();
		if (!strncmp(argv[i], "--kernel=", 9))
			return random_runs(random_kernel, argv[i] + 9);
		if (strncmp(argv[i], "--engine=", 9)) {
			mem = argv[i];
			continue;
		}
		for (kind = 0; kind < RUN_KINDS; kind++)
			if (!strcmp(argv[i] + 9, engine_names[kind]))
				break;
		if (kind == RUN_KINDS)
			return usage();
	}
	return plugin(mem, kind);
}
