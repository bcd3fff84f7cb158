/* SPDX-License-Identifier: MIT */
/* text.h - lines for people, about what strangers wrote.
 *
 * Names in files, source lines, and what programs have read of their target may
 * hold anything, and on a terminal control characters are commands.  So text
 * goes through say(); what becomes JSON is escaped by json.h, by the same list.
 */
#ifndef BPFWELD_TEXT_H
#define BPFWELD_TEXT_H

#include <stdbool.h>
#include <stdio.h>

#include "elf/bytes.h"

/* As printf() and fprintf(), but control characters, and bytes that are not
 * UTF-8, come out as \n and \x1b.  Only the format itself can begin or end with
 * line feeds; tabs stay. */
void say(const char *fmt, ...) __attribute__((format(printf, 1, 2)));
void say_to(FILE *to, const char *fmt, ...)
	__attribute__((format(printf, 2, 3)));

/* Length of the well-formed UTF-8 sequence that `s` begins with, and its
 * character; 0: it begins with none. */
size_t text_utf8(struct bytes s, uint32_t *c);
/* Is it one that terminals obey? */
bool text_is_control(uint32_t c);

#endif
