/* SPDX-License-Identifier: MIT */
/* json.h - write JSON to a stream, compact or for people.
 *
 * The writer puts in the commas, the line ends and the escapes; the caller
 * keeps to the grammar (a key before every value of an object).  Output is
 * always valid JSON and valid UTF-8, whatever bytes the strings hold.  The
 * pretty form puts each key on a line of its own and keeps lists of plain
 * values on one line, as bpftool does.
 *
 *     struct json j = json_to(stdout, pretty);
 *     json_object(&j);
 *     json_key(&j, "hits"); json_u64(&j, 5);
 *     json_end(&j);
 *     json_done(&j);
 */
#ifndef BPFWELD_JSON_H
#define BPFWELD_JSON_H

#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>

#include "elf/bytes.h"

enum {
	JSON_DEPTH = 64
}; /* deepest nesting */

struct json {
	FILE *to;
	bool pretty;
	bool keyed; /* a key was written, its value was not */
	unsigned depth;
	uint64_t array;  /* bit d: level d is an array, not an object */
	uint64_t filled; /* bit d: level d holds something */
	uint64_t broken; /* bit d: level d has been broken into lines */
};

struct json json_to(FILE *to, bool pretty);
void json_object(struct json *j);
void json_array(struct json *j);
void json_end(struct json *j);  /* of the innermost object or array */
void json_done(struct json *j); /* final line end */

void json_key(struct json *j, const char *name);
void json_string(struct json *j, const char *s);       /* NULL gives null */
void json_text(struct json *j, struct bytes s);        /* may hold NULs */
void json_printf(struct json *j, const char *fmt, ...) /* a string */
	__attribute__((format(printf, 2, 3)));
void json_u64(struct json *j, uint64_t v);
void json_s64(struct json *j, int64_t v);
void json_double(struct json *j, double v); /* not finite: a string */
void json_bool(struct json *j, bool v);
void json_null(struct json *j);
void json_hex(struct json *j, uint64_t v);       /* "0x1f" */
void json_bytes(struct json *j, struct bytes b); /* ["0x01","0xff"] */

/* Key and value at once. */
void json_str_at(struct json *j, const char *key, const char *s);
void json_u64_at(struct json *j, const char *key, uint64_t v);
void json_hex_at(struct json *j, const char *key, uint64_t v);
void json_bool_at(struct json *j, const char *key, bool v);

#endif
