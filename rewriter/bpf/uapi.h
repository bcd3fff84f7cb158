/* SPDX-License-Identifier: MIT */
/* uapi.h - the layout of what the kernel shares with user space (uapi.def).
 *
 * A program compiled with vmlinux.h asks by CO-RE for the places of fields of a
 * sockaddr as for those of a task_struct; these it can be told, as they are the
 * same in every kernel.  Only numbers: no BTF, no objects.
 */
#ifndef BPFWELD_BPF_UAPI_H
#define BPFWELD_BPF_UAPI_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct uapi_field {
	const char *name;   /* "sin_port", "in6_u.u6_addr8" */
	uint32_t bit, size; /* in the struct; bytes, or 0 */
	uint8_t bits;       /* of a bit field; 0: none */
};

struct uapi {
	const char *name;
	uint32_t size;
	bool grows; /* with the kernel: `size` is only the headers' */
	const struct uapi_field *field;
	size_t nfield;
};

/* A row is an enum, or one of the enumerators of the last row that is one. */
struct uapi_value {
	const char *type, *name; /* one of them is NULL */
	int64_t value;
};

/* NULL: there are not so many. */
const struct uapi *uapi_at(size_t i);
const struct uapi_value *uapi_value_at(size_t i);

/* NULL: no such type, field, enum, enumerator. */
const struct uapi *uapi_find(const char *name);
const struct uapi_field *uapi_field(const struct uapi *u, const char *name);
const struct uapi_value *uapi_value(const char *type, const char *name);
const struct uapi_value *uapi_enum(const char *type);

#endif
