/* SPDX-License-Identifier: MIT */
/* typed.h - keys and values as their C types say, by the object's BTF.
 *
 * Printing, as JSON:
 *     integers             numbers; 128-bit ones "0x..."
 *     bool                 true, false
 *     enum                 the name, or the number when it has none
 *     char[N]              a string up to its first NUL
 *     pointer              "0x..."
 *     struct, union        an object; a union shows every member; members of
 *                          an unnamed struct stand with its owner's
 *     bit field            a number
 *     a data section       {".bss": [{"variable": value}, ...]}
 *     what cannot be shown null (no BTF for it, value shorter than its type)
 *
 * The BTF comes from a file and is not trusted: types that contain themselves
 * or name members outside the value end as null.
 */
#ifndef BPFWELD_TYPED_H
#define BPFWELD_TYPED_H

#include "elf/arena.h"
#include "elf/err.h"
#include "runtime-stub/reader/json.h"

struct btf;

/* Types from raw BTF (manifest_object.btf), or NULL when it is not readable.
 * Free with typed_close(). */
struct btf *typed_open(struct bytes raw);
void typed_close(struct btf *btf); /* NULL is fine */

/* Type 0, or no BTF: null. */
void typed_json(struct json *j, const struct btf *btf, uint32_t type,
		struct bytes value);

/* The same, and names for addresses: in an array of words whose name has "stack"
 * in it, up to the first that is 0.  `returns`: but the first.  Where `chain` is
 * not NULL, it writes the call chain of an integer whose name has "stack" and
 * "id" in it, which follows as "NAME.chain". */
struct typed_names {
	void (*name)(void *arg, struct json *j, uint64_t addr, bool returns);
	void (*chain)(void *arg, struct json *j, uint64_t id);
	void *arg;
};
void typed_json_named(struct json *j, const struct btf *btf, uint32_t type,
		      struct bytes value, const struct typed_names *names);

/* How many structs have this name; or, without it, `size` bytes and a name.  The
 * first of them. */
size_t typed_structs(const struct btf *btf, const char *name, uint32_t size,
		     uint32_t *type);
/* The only one; 0: there is none, or there are several. */
uint32_t typed_struct(const struct btf *btf, const char *name, uint32_t size);

/* What a person says a record is: the name of a struct, or the members of one
 * ("u32 pid; char str[80]"), which is added to `btf` (typed_decl.c).  The name
 * for typed_struct(), the same for every `btf`. */
int typed_named(struct arena *a, struct btf *btf, const char *text,
		const char **name, struct err *e);

/* Order of two keys of `size` bytes: integers by value, others by bytes. */
int typed_compare(const struct btf *btf, uint32_t type, const uint8_t *a,
		  const uint8_t *b, size_t size);

/* Read a key or value that a person wrote: an integer, a bool, the name of an
 * enum's value, a string for char[N]; of any type "hex" and then bytes, as in
 * { "hex", "01", "00" }.  `size` bytes are stored in the arena. */
int typed_parse(struct arena *a, const struct btf *btf, uint32_t type,
		size_t size, char *const *word, int nword, const uint8_t **out,
		struct err *e);

/* Bytes of a type, or 0. */
uint64_t typed_size(const struct btf *btf, uint32_t type);

/* A part of a value of `size` bytes, by a path: "count", "pos.x", "a[3].b", of
 * an array "[3]", of a data section a variable's name.  False: there is none. */
struct typed_field {
	uint32_t type;
	uint64_t bit, bits; /* where in the value */
	uint32_t steps;     /* of the search: a BTF may be hostile */
};
bool typed_field(const struct btf *btf, uint32_t type, size_t size,
		 const char *path, struct typed_field *out);
/* The same where typed_field() finds none: why not, in a sentence that calls
 * the value `whole`. */
const char *typed_no_field(struct arena *a, const struct btf *btf,
			   uint32_t type, size_t size, const char *path,
			   const char *whole);
/* Has it a number of at most 64 bits? */
bool typed_is_number(const struct btf *btf, const struct typed_field *f,
		     int *is_signed);
/* Read what a person wrote into it; as typed_parse(). */
int typed_set(struct arena *a, const struct btf *btf,
	      const struct typed_field *f, const char *word, uint8_t *value,
	      struct err *e);

#endif
