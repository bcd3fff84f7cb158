/* SPDX-License-Identifier: MIT */
/* uapi.def against the kernel that runs here: what its BTF has under the same
 * names is where the headers say, and as large. */
#include <bpf/btf.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include "rewriter/bpf/trail.h"

#include <cmocka.h>

static struct btf *vmlinux;
static unsigned found, missing;

static bool there(const void *it, const char *type, const char *name)
{
	found += it != NULL;
	missing += it == NULL;
	if (!it)
		print_message("not in this kernel: %s%s%s\n", type,
			      name ? "." : "", name ? name : "");
	return it;
}

/* The member called `name` of a type or what it has no name for; its offset is
 * added to `bit`. */
static const struct btf_member *member(const struct btf_type *t,
				       const char *name, size_t n,
				       uint32_t *bit, uint32_t *bits)
{
	for (uint32_t i = 0; i < btf_vlen(t); i++) {
		const struct btf_member *m = btf_members(t) + i, *inner;
		const char *s = btf__name_by_offset(vmlinux, m->name_off);
		uint32_t id = m->type, at = btf_member_bit_offset(t, i);
		const struct btf_type *of = btf_plain(vmlinux, &id);

		*bits = btf_member_bitfield_size(t, i);
		if (strlen(s) == n && !memcmp(s, name, n)) {
			*bit += at;
			return m;
		}
		if (*s || !btf_is_composite(of))
			continue;
		inner = member(of, name, n, bit, bits);
		if (inner) {
			*bit += at;
			return inner;
		}
	}
	return NULL;
}

static void field(const struct uapi *u, uint32_t id, const struct uapi_field *f)
{
	const struct btf_member *m = NULL;
	uint32_t bit = 0, bits = 0;
	int64_t size;

	for (const char *name = f->name; name;) {
		size_t n = strcspn(name, ".");

		m = member(btf_plain(vmlinux, &id), name, n, &bit, &bits);
		if (!there(m, u->name, f->name))
			return;
		id = m->type;
		name = name[n] ? name + n + 1 : NULL;
	}
	size = btf__resolve_size(vmlinux, m->type);
	if (bit != f->bit || bits != f->bits ||
	    (f->size && size && size != f->size))
		fail_msg("%s.%s: bit %u, %u bits, %ld bytes", u->name, f->name,
			 bit, bits, (long)size);
}

static void structs(void **state)
{
	const struct uapi *u;

	(void)state;
	for (size_t i = 0; (u = uapi_at(i)); i++) {
		int id = btf__find_by_name_kind(vmlinux, u->name,
						BTF_KIND_STRUCT);
		const struct btf_type *t = btf__type_by_id(vmlinux, id);

		assert_ptr_equal(uapi_find(u->name), u); /* and no other row */
		if (!there(t, u->name, NULL))
			continue;
		if (u->grows ? t->size < u->size : t->size != u->size)
			fail_msg("%s: %u bytes", u->name, t->size);
		for (size_t k = 0; k < u->nfield; k++) {
			assert_ptr_equal(uapi_field(u, u->field[k].name),
					 &u->field[k]);
			field(u, id, &u->field[k]);
		}
	}
}

static const struct btf_enum *enumerator(const struct btf_type *t,
					 const char *name)
{
	for (uint32_t i = 0; t && i < btf_vlen(t); i++)
		if (!strcmp(btf__name_by_offset(vmlinux,
						btf_enum(t)[i].name_off),
			    name))
			return btf_enum(t) + i;
	return NULL;
}

static void enums(void **state)
{
	const struct btf_type *t = NULL;
	const struct uapi_value *v;
	const struct btf_enum *e;
	const char *type = NULL;

	(void)state;
	for (size_t i = 0; (v = uapi_value_at(i)); i++) {
		if (v->type) {
			type = v->type;
			t = btf__type_by_id(
				vmlinux,
				btf__find_by_name_kind(vmlinux, type,
						       BTF_KIND_ENUM));
			assert_ptr_equal(uapi_enum(type), v);
			there(t, type, NULL);
			continue;
		}
		assert_ptr_equal(uapi_value(type, v->name), v);
		e = enumerator(t, v->name);
		if (there(e, type, v->name) && (int64_t)e->val != v->value)
			fail_msg("%s: %d", v->name, e->val);
	}
}

/* Older kernels lack some, none lacks most. */
static void most(void **state)
{
	(void)state;
	print_message("%u of %u\n", found, found + missing);
	assert_true(found > 9 * missing);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(structs),
		cmocka_unit_test(enums),
		cmocka_unit_test(most),
	};

	vmlinux = btf__parse("/sys/kernel/btf/vmlinux", NULL);
	if (!vmlinux) {
		puts("skipped: this kernel shows no BTF of its own");
		return 77;
	}
	return cmocka_run_group_tests(tests, NULL, NULL);
}
