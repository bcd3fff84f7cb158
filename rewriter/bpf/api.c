/* SPDX-License-Identifier: MIT */
/* api.c - tell the functions of libbpf's usdt.bpf.h from others of their name.
 *
 * They are weak and hidden, each object has its own copy, and libbpf and we
 * agree on what they do; so a call of one may be replaced by what it would
 * find.  Someone else's function of the same name has another type, or is
 * asking for confusion.
 */
#include <bpf/btf.h>

#include "rewriter/bpf/object.h"

/* P: pointer, u: unsigned, i, l: int and long; the result first. */
// clang-format off
static const struct {
	const char *name, *type;
	enum bpf_api api;
} functions[] = {
	{ "bpf_usdt_arg",     "iPuP", API_USDT_ARG },
	{ "bpf_usdt_arg_cnt", "iP",   API_USDT_ARG_CNT },
	{ "bpf_usdt_cookie",  "lP",   API_USDT_COOKIE },
};
// clang-format on

static char letter(const struct btf *btf, uint32_t id)
{
	const struct btf_type *t = btf__type_by_id(btf, id);

	while (btf_is_mod(t) || btf_is_typedef(t))
		t = btf__type_by_id(btf, t->type);
	if (btf_is_ptr(t))
		return 'P';
	if (!btf_is_int(t) || (t->size != 4 && t->size != 8))
		return '?';
	if (t->size == 8 && !(btf_int_encoding(t) & BTF_INT_SIGNED))
		return 'u';
	return t->size == 8 ? 'l' : 'i';
}

static bool has_type(const struct btf *btf, const struct btf_type *func,
		     const char *want)
{
	const struct btf_type *proto = btf__type_by_id(btf, func->type);
	const struct btf_param *p = btf_params(proto);
	uint32_t i, n = btf_vlen(proto);

	if (strlen(want) != n + 1 || letter(btf, proto->type) != want[0])
		return false;
	for (i = 0; i < n; i++)
		if (letter(btf, p[i].type) != want[i + 1])
			return false;
	return true;
}

enum bpf_api types_api(const struct btf *btf, const char *name)
{
	size_t i, n = sizeof(functions) / sizeof(*functions);
	int id;

	for (i = 0; i < n; i++)
		if (!strcmp(functions[i].name, name))
			break;
	if (i == n)
		return API_NONE;
	id = btf__find_by_name_kind(btf, name, BTF_KIND_FUNC);
	if (id <= 0 || !has_type(btf, btf__type_by_id(btf, id),
				 functions[i].type))
		return API_NONE;
	return functions[i].api;
}
