/* SPDX-License-Identifier: MIT */
/* json.c - separators, line ends and escapes. */
#include <assert.h>
#include <inttypes.h>
#include <math.h>
#include <stdarg.h>
#include <stdlib.h>

#include "elf/text.h"
#include "runtime-stub/reader/json.h"

enum {
	INDENT = 4,
	TEXT_MAX = 512
};

static uint64_t level(const struct json *j)
{
	return UINT64_C(1) << j->depth;
}

static void new_line(struct json *j)
{
	if (j->pretty)
		fprintf(j->to, "\n%*s", (int)j->depth * INDENT, "");
}

/* What stands between the last thing and a value: nothing behind a key or at
 * the start, else a comma. */
static void before_value(struct json *j)
{
	if (j->keyed) {
		j->keyed = false;
		return;
	}
	assert(j->depth == 0 || (j->array & level(j)));
	if (j->filled & level(j))
		fputc(',', j->to);
	j->filled |= level(j);
}

static void open_level(struct json *j, char c, bool array)
{
	before_value(j);
	/* A list of objects ends on a line of its own. */
	if (!array)
		j->broken |= level(j);
	fputc(c, j->to);
	j->depth++;
	assert(j->depth < JSON_DEPTH);
	j->filled &= ~level(j);
	j->broken &= ~level(j);
	j->array = array ? j->array | level(j) : j->array & ~level(j);
}

struct json json_to(FILE *to, bool pretty)
{
	return (struct json){ .to = to, .pretty = pretty };
}

void json_object(struct json *j)
{
	open_level(j, '{', false);
}

void json_array(struct json *j)
{
	open_level(j, '[', true);
}

void json_end(struct json *j)
{
	bool array = j->array & level(j), lines = j->broken & level(j);

	assert(j->depth > 0 && !j->keyed);
	j->depth--;
	if (lines)
		new_line(j);
	fputc(array ? ']' : '}', j->to);
}

void json_done(struct json *j)
{
	assert(j->depth == 0);
	fputc('\n', j->to);
	j->filled = 0;
}

static void escaped(FILE *to, uint32_t c)
{
	static const char plain[] = "\"\"\\\\\bb\ff\nn\rr\tt";

	for (const char *p = plain; *p; p += 2)
		if ((uint8_t)p[0] == c) {
			fprintf(to, "\\%c", p[1]);
			return;
		}
	fprintf(to, "\\u%04x", c);
}

static void quoted(FILE *to, struct bytes s)
{
	fputc('"', to);
	while (s.n) {
		uint32_t c = s.p[0];
		size_t len = text_utf8(s, &c);

		/* A stray byte is shown as the character of that number. */
		if (!len)
			c = s.p[0];
		if (!len || text_is_control(c) || c == '"' || c == '\\')
			escaped(to, c);
		else
			fwrite(s.p, 1, len, to);
		len = len ? len : 1;
		s.p += len;
		s.n -= len;
	}
	fputc('"', to);
}

void json_key(struct json *j, const char *name)
{
	assert(j->depth > 0 && !(j->array & level(j)) && !j->keyed);
	if (j->filled & level(j))
		fputc(',', j->to);
	j->filled |= level(j);
	j->broken |= level(j);
	new_line(j);
	quoted(j->to, (struct bytes){ (const uint8_t *)name, strlen(name) });
	fputs(j->pretty ? ": " : ":", j->to);
	j->keyed = true;
}

void json_text(struct json *j, struct bytes s)
{
	before_value(j);
	quoted(j->to, s);
}

void json_string(struct json *j, const char *s)
{
	if (s)
		json_text(j, (struct bytes){ (const uint8_t *)s, strlen(s) });
	else
		json_null(j);
}

void json_printf(struct json *j, const char *fmt, ...)
{
	char text[TEXT_MAX];
	va_list ap;

	va_start(ap, fmt);
	vsnprintf(text, sizeof(text), fmt, ap);
	va_end(ap);
	json_string(j, text);
}

void json_u64(struct json *j, uint64_t v)
{
	before_value(j);
	fprintf(j->to, "%" PRIu64, v);
}

void json_s64(struct json *j, int64_t v)
{
	before_value(j);
	fprintf(j->to, "%" PRId64, v);
}

/* As few digits as give the same number back. */
void json_double(struct json *j, double v)
{
	char text[32];
	int digits = 6;

	if (!isfinite(v)) {
		json_printf(j, "%f", v);
		return;
	}
	before_value(j);
	do
		snprintf(text, sizeof(text), "%.*g", digits++, v);
	while (digits <= 17 && strtod(text, NULL) != v);
	fputs(text, j->to);
}

void json_bool(struct json *j, bool v)
{
	before_value(j);
	fputs(v ? "true" : "false", j->to);
}

void json_null(struct json *j)
{
	before_value(j);
	fputs("null", j->to);
}

void json_hex(struct json *j, uint64_t v)
{
	json_printf(j, "0x%" PRIx64, v);
}

void json_bytes(struct json *j, struct bytes b)
{
	json_array(j);
	for (size_t i = 0; i < b.n; i++)
		json_printf(j, "0x%02x", b.p[i]);
	json_end(j);
}

void json_str_at(struct json *j, const char *key, const char *s)
{
	json_key(j, key);
	json_string(j, s);
}

void json_u64_at(struct json *j, const char *key, uint64_t v)
{
	json_key(j, key);
	json_u64(j, v);
}

void json_hex_at(struct json *j, const char *key, uint64_t v)
{
	json_key(j, key);
	json_hex(j, v);
}

void json_bool_at(struct json *j, const char *key, bool v)
{
	json_key(j, key);
	json_bool(j, v);
}
