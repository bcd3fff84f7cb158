/* SPDX-License-Identifier: MIT */
/* check.c - bpfweld check TARGET OBJ...: the whole plan; writes nothing. */
#include <inttypes.h>
#include <stdio.h>

#include "rewriter/cli/args.h"
#include "rewriter/cli/cli.h"

static const char usage[] =
	"usage: bpfweld check TARGET OBJ... [-p PROG=SPEC]... [-j]\n"
	"Shows where each probe would go: address, function, program, how the\n"
	"site is patched, bytes replaced and registers saved.  Writes nothing.\n"
	"Takes the options of weld.  Exit 4 when a probe cannot be placed and\n"
	"--strict is given.\n";

static const char *const reg_names[] = {
	"rax", "rcx", "rdx", "rbx", "rsp", "rbp", "rsi", "rdi", "r8",
	"r9",  "r10", "r11", "r12", "r13", "r14", "r15", "flags",
};

static void saved_print(FILE *to, uint32_t saved)
{
	const char *sep = "";

	for (unsigned i = 0; i < sizeof(reg_names) / sizeof(*reg_names); i++)
		if (saved >> i & 1) {
			fprintf(to, "%s%s", sep, reg_names[i]);
			sep = " ";
		}
	if (!*sep)
		fputs("nothing", to);
}

static void link_text(const struct weld *w, uint32_t i)
{
	const struct link *l = &w->links.link[i];
	const char *why = NULL;
	const struct patch *p = weld_patch_of(w, i, &why);

	printf("0x%-10" PRIx64 " %s+0x%" PRIx64 "  %s: ", l->addr,
	       l->func->name, l->offset, w->set.prog[l->prog].name);
	if (!p) {
		printf("not placed: %s\n", why);
		return;
	}
	printf("%s, %u bytes, %" PRIu64 " bytes of trampoline, saves ",
	       tactic_name(p->tactic), p->len, p->tramp_size);
	saved_print(stdout, p->saved);
	putchar('\n');
}

static void saved_json(struct json *j, uint32_t saved)
{
	json_key(j, "saves");
	json_array(j);
	for (unsigned i = 0; i < sizeof(reg_names) / sizeof(*reg_names); i++)
		if (saved >> i & 1)
			json_string(j, reg_names[i]);
	json_end(j);
}

static void link_json(struct json *j, const struct weld *w, uint32_t i)
{
	const struct link *l = &w->links.link[i];
	const char *why = NULL;
	const struct patch *p = weld_patch_of(w, i, &why);

	json_object(j);
	json_str_at(j, "program", w->set.prog[l->prog].name);
	json_hex_at(j, "address", l->addr);
	json_str_at(j, "function", l->func->name);
	json_u64_at(j, "offset", l->offset);
	json_bool_at(j, "placed", p != NULL);
	if (p) {
		json_str_at(j, "tactic", tactic_name(p->tactic));
		json_hex_at(j, "patch", p->at);
		json_key(j, "original");
		json_bytes(j, (struct bytes){ image_at(&w->img, p->at, p->len),
					      p->len });
		json_hex_at(j, "trampoline", p->tramp);
		json_u64_at(j, "trampoline_bytes", p->tramp_size);
		saved_json(j, p->saved);
	} else {
		json_str_at(j, "reason", why);
	}
	json_end(j);
}

static void plan_json(const struct weld *w)
{
	struct json j = json_to(stdout, false);

	json_object(&j);
	json_str_at(&j, "target", w->img.path);
	json_u64_at(&j, "placed", w->nprobe);
	json_u64_at(&j, "not_placed", w->plan.nrefusal);
	json_key(&j, "probes");
	json_array(&j);
	for (uint32_t i = 0; i < w->links.nlink; i++)
		link_json(&j, w, i);
	json_end(&j);
	json_end(&j);
	json_done(&j);
}

/* How much of what was asked for is covered, and by which tactic. */
static void coverage_print(const struct weld *w)
{
	size_t by[8] = { 0 }, all = w->plan.nrefusal + w->nprobe;

	for (size_t i = 0; i < w->plan.npatch; i++)
		by[w->plan.patch[i].tactic] += w->plan.patch[i].nlink;
	printf("%u of %zu probes placed (%.2f%%)", w->nprobe, all,
	       all ? 100.0 * w->nprobe / (double)all : 0.0);
	for (uint8_t t = TACTIC_NOP_RUN; t <= TACTIC_HOP; t++)
		if (by[t])
			printf(", %zu %s", by[t], tactic_name(t));
	putchar('\n');
}

int cmd_check(int argc, char **argv)
{
	struct args a;
	struct weld w = { 0 };
	struct err e;
	int ret = 0;

	if (args_parse(argc, argv, false, &a, &e)) {
		ret = cli_fail(&e, a.json);
	} else if (a.help) {
		fputs(usage, stdout);
	} else {
		a.weld.dry_run = true;
		if (weld(&w, &a.weld, &e)) {
			ret = cli_fail(&e, a.json);
		} else if (a.json) {
			plan_json(&w);
		} else {
			for (uint32_t i = 0; i < w.links.nlink; i++)
				link_text(&w, i);
			coverage_print(&w);
		}
	}
	weld_free(&w);
	args_free(&a);
	return ret;
}
