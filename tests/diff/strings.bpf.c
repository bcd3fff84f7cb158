/* SPDX-License-Identifier: MIT */
/* strings - bpf_strncmp, bpf_strtol, bpf_strtoul: a program a theme, a field a
 * case, failures too. */
#include <linux/bpf.h>
#include <linux/ptrace.h>
#include <bpf/bpf_helpers.h>
#include <bpf/bpf_tracing.h>

#include "helpers.h"

#define SITE SEC("uprobe/helpers:site")

static __always_inline int inputs(struct pt_regs *ctx, struct inputs *in)
{
	return bpf_probe_read_user(in, sizeof(*in), (void *)PT_REGS_PARM1(ctx));
}

/* --- bpf_strncmp -----------------------------------------------------------
 */

enum { COMPARED = 16 };
long equal[COMPARED], lower[COMPARED], higher[COMPARED], cut[COMPARED];
long high_bytes[COMPARED], of_user[COMPARED], of_map[COMPARED];

/* `text` is an array of any length; the other one is frozen. */
#define COMPARE(result, text, size, other)                                     \
	do {                                                                   \
		static const char with[] = other;                              \
		char of[] = text;                                              \
                                                                               \
		result = bpf_strncmp(of, size, with);                          \
	} while (0)

SITE int compare_equal(void *ctx)
{
	COMPARE(equal[0], "a", 2, "a");
	COMPARE(equal[1], "", 1, "");
	COMPARE(equal[2], "hello", 6, "hello");
	COMPARE(equal[3], "hello", 5, "hello");
	COMPARE(equal[4], "hello, world", 5, "hello");
	COMPARE(equal[5], "hello", 3, "help");
	COMPARE(equal[6], "same\0but", 9, "same\0not");
	COMPARE(equal[7], "exactly sixteen.", 16, "exactly sixteen.");
	return 0;
}

SITE int compare_lower(void *ctx)
{
	COMPARE(lower[0], "a", 2, "b");
	COMPARE(lower[1], "", 1, "b");
	COMPARE(lower[2], "hello", 6, "help");
	COMPARE(lower[3], "hell", 5, "hello");
	COMPARE(lower[4], "A", 1, "a");
	COMPARE(lower[5], "a\tb", 4, "a b");
	return 0;
}

SITE int compare_higher(void *ctx)
{
	COMPARE(higher[0], "b", 2, "a");
	COMPARE(higher[1], "b", 1, "");
	COMPARE(higher[2], "help", 5, "hello");
	COMPARE(higher[3], "hello", 6, "hell");
	COMPARE(higher[4], "z", 1, "A");
	return 0;
}

/* What is behind the size, and behind a NUL, does not count. */
SITE int compare_cut(void *ctx)
{
	COMPARE(cut[0], "abcdef", 3, "abcxyz");
	COMPARE(cut[1], "abcdef", 4, "abcxyz");
	COMPARE(cut[2], "abc\0x", 6, "abc");
	COMPARE(cut[3], "abc", 3, "abcdef");
	COMPARE(cut[4], "abc", 4, "abcdef");
	return 0;
}

SITE int compare_high_bytes(void *ctx)
{
	COMPARE(high_bytes[0], "\xff", 2, "a");
	COMPARE(high_bytes[1], "a", 2, "\xff");
	COMPARE(high_bytes[2], "\x80", 2, "\x7f");
	COMPARE(high_bytes[3], "caf\xc3\xa9", 6, "caf\xc3\xa9");
	COMPARE(high_bytes[4], "caf\xc3\xa9", 6, "caf\xc3\xaa");
	return 0;
}

SITE int compare_what_was_read(struct pt_regs *ctx)
{
	static const char hello[] = "hello", sentence[] = "a sentence";
	struct inputs in;
	char text[16] = {};

	if (inputs(ctx, &in))
		return 1;
	bpf_probe_read_user_str(text, sizeof(text), in.word);
	of_user[0] = bpf_strncmp(text, sizeof(text), hello);
	of_user[1] = bpf_strncmp(text, 3, hello);
	of_user[2] = bpf_strncmp(text, sizeof(text), sentence);
	bpf_probe_read_user_str(text, sizeof(text), in.sentence);
	of_user[3] = bpf_strncmp(text, sizeof(text), sentence);
	of_user[4] = bpf_strncmp(text, sizeof(sentence) - 1, sentence);
	bpf_probe_read_user_str(text, sizeof(text), in.empty);
	of_user[5] = bpf_strncmp(text, sizeof(text), hello);
	return 0;
}

struct {
	__uint(type, BPF_MAP_TYPE_HASH);
	__uint(max_entries, 4);
	__type(key, __u32);
	__type(value, char[24]);
} names SEC(".maps");

SITE int compare_in_a_map(void *ctx)
{
	static const char seven[] = "number seven";
	char first[24] = "number seven", *found;
	__u32 key = 7;

	bpf_map_update_elem(&names, &key, first, BPF_ANY);
	found = bpf_map_lookup_elem(&names, &key);
	if (!found)
		return 1;
	of_map[0] = bpf_strncmp(found, 24, seven);
	of_map[1] = bpf_strncmp(found + 7, 17, seven + 7);
	of_map[2] = bpf_strncmp(found, 24, seven + 1);
	found[0] = 'N';
	of_map[3] = bpf_strncmp(found, 24, seven);
	return 0;
}

/* --- bpf_strtol, bpf_strtoul -----------------------------------------------
 */

struct number {
	long ret, ret_u;
	long value;
	unsigned long value_u;
};
enum { NUMBERS = 24 };
struct number decimal[NUMBERS], octal[NUMBERS], hex[NUMBERS], guessed[NUMBERS];
struct number spaced[NUMBERS], limits[NUMBERS], long_ones[NUMBERS];
struct number none[NUMBERS], flagged[NUMBERS], sized[NUMBERS],
	of_users[NUMBERS];

static __always_inline void numbers(struct number *n, const char *text,
				    __u32 size, __u64 flags)
{
	n->value = n->value_u = 0x1234;
	n->ret = bpf_strtol(text, size, flags, &n->value);
	n->ret_u = bpf_strtoul(text, size, flags, &n->value_u);
}

#define NUMBER_OF(n, text, size, flags)                                        \
	do {                                                                   \
		char of[] = text;                                              \
                                                                               \
		numbers(&n, of, size, flags);                                  \
	} while (0)
#define NUMBER(n, text, flags) NUMBER_OF(n, text, sizeof(of), flags)

SITE int number_decimal(void *ctx)
{
	NUMBER(decimal[0], "0", 10);
	NUMBER(decimal[1], "1234567", 10);
	NUMBER(decimal[2], "-42", 10);
	NUMBER(decimal[3], "-0", 10);
	NUMBER(decimal[4], "12ab", 10);
	NUMBER(decimal[5], "007", 10);
	NUMBER(decimal[6], "0x10", 10);
	NUMBER(decimal[7], "1 2", 10);
	NUMBER(decimal[8], "1,000", 10);
	NUMBER(decimal[9], "99.9", 10);
	return 0;
}

SITE int number_octal(void *ctx)
{
	NUMBER(octal[0], "0", 8);
	NUMBER(octal[1], "17", 8);
	NUMBER(octal[2], "0755", 8);
	NUMBER(octal[3], "789", 8);
	NUMBER(octal[4], "89", 8);
	NUMBER(octal[5], "-777", 8);
	NUMBER(octal[6], "0x7", 8);
	return 0;
}

SITE int number_hex(void *ctx)
{
	NUMBER(hex[0], "ff", 16);
	NUMBER(hex[1], "0xff", 16);
	NUMBER(hex[2], "0XFf", 16);
	NUMBER(hex[3], "-0x1f", 16);
	NUMBER(hex[4], "0x", 16);
	NUMBER(hex[5], "0xg", 16);
	NUMBER(hex[6], "deadBEEFz", 16);
	NUMBER(hex[7], "0x0x1", 16);
	NUMBER(hex[8], "x1", 16);
	NUMBER(hex[9], "10", 16);
	return 0;
}

SITE int number_guessed(void *ctx)
{
	NUMBER(guessed[0], "10", 0);
	NUMBER(guessed[1], "010", 0);
	NUMBER(guessed[2], "0x10", 0);
	NUMBER(guessed[3], "0X1F", 0);
	NUMBER(guessed[4], "0", 0);
	NUMBER(guessed[5], "0x", 0);
	NUMBER(guessed[6], "0xz", 0);
	NUMBER(guessed[7], "08", 0);
	NUMBER(guessed[8], "-0x1fz", 0);
	NUMBER(guessed[9], "-010", 0);
	NUMBER(guessed[10], " -0x1fz", 0);
	return 0;
}

SITE int number_after_space(void *ctx)
{
	NUMBER(spaced[0], " 5", 10);
	NUMBER(spaced[1], "\t\n\v\f\r 5", 10);
	NUMBER(spaced[2], "   -5", 10);
	NUMBER(spaced[3], "- 5", 10);
	NUMBER(spaced[4], "--5", 10);
	NUMBER(spaced[5], "+5", 10);
	NUMBER(spaced[6],
	       "\xa0"
	       "5",
	       10);
	NUMBER(spaced[7],
	       "\x85"
	       "5",
	       10);
	NUMBER(spaced[8], "5 ", 10);
	NUMBER(spaced[9], "\b5", 10);
	return 0;
}

SITE int number_none(void *ctx)
{
	NUMBER(none[0], "", 10);
	NUMBER(none[1], "    ", 10);
	NUMBER(none[2], "-", 10);
	NUMBER(none[3], "  -", 10);
	NUMBER(none[4], "abc", 10);
	NUMBER(none[5], "-abc", 10);
	NUMBER(none[6], "g", 16);
	NUMBER(none[7], "\xff\xff", 0);
	NUMBER_OF(none[8], "    ", 4, 10);
	NUMBER_OF(none[9], "   -", 4, 10);
	return 0;
}

SITE int number_limits(void *ctx)
{
	NUMBER(limits[0], "9223372036854775807", 10);
	NUMBER(limits[1], "9223372036854775808", 10);
	NUMBER(limits[2], "-9223372036854775808", 10);
	NUMBER(limits[3], "-9223372036854775809", 10);
	NUMBER(limits[4], "18446744073709551615", 10);
	NUMBER(limits[5], "18446744073709551616", 10);
	NUMBER(limits[6], "18446744073709551619", 10);
	NUMBER(limits[7], "-18446744073709551615", 10);
	NUMBER(limits[8], "7fffffffffffffff", 16);
	NUMBER(limits[9], "8000000000000000", 16);
	NUMBER(limits[10], "-8000000000000000", 16);
	NUMBER(limits[11], "ffffffffffffffff", 16);
	NUMBER(limits[12], "10000000000000000", 16);
	NUMBER(limits[13], "1777777777777777777777", 8);
	NUMBER(limits[14], "2000000000000000000000", 8);
	NUMBER(limits[15], "99999999999999999999999999", 10);
	return 0;
}

/* At most 63 characters behind space and minus count. */
SITE int number_long(void *ctx)
{
	NUMBER(long_ones[0],
	       "0000000000000000000000000000000000000000"
	       "00000000000000000000001",
	       10);
	NUMBER(long_ones[1],
	       "0000000000000000000000000000000000000000"
	       "000000000000000000000012",
	       10);
	NUMBER(long_ones[2],
	       "-0000000000000000000000000000000000000000"
	       "0000000000000000000000123",
	       10);
	NUMBER(long_ones[3],
	       "        0000000000000000000000000000000000"
	       "000000000000000000000000000012",
	       10);
	NUMBER(long_ones[4],
	       "0x000000000000000000000000000000000000000"
	       "0000000000000000000000ff",
	       16);
	return 0;
}

SITE int number_long_of_space(void *ctx)
{
	NUMBER(long_ones[5],
	       "                                          "
	       "                                  77",
	       10);
	NUMBER(long_ones[6],
	       "                                          "
	       "                                 -77",
	       0);
	return 0;
}

SITE int number_flags(void *ctx)
{
	NUMBER(flagged[0], "11", 2);
	NUMBER(flagged[1], "11", 1);
	NUMBER(flagged[2], "11", 9);
	NUMBER(flagged[3], "11", 31);
	NUMBER(flagged[4], "11", 32);
	NUMBER(flagged[5], "11", 32 + 10);
	NUMBER(flagged[6], "11", 1ul << 63);
	NUMBER(flagged[7], "11", -1ul);
	NUMBER(flagged[8], "11", (1ul << 32) + 10);
	NUMBER(flagged[9], "zz", 36);
	return 0;
}

SITE int number_sizes(void *ctx)
{
	NUMBER_OF(sized[0], "123456", 1, 10);
	NUMBER_OF(sized[1], "123456", 3, 10);
	NUMBER_OF(sized[2], "123456", 6, 10);
	NUMBER_OF(sized[3], "123456", 7, 10);
	NUMBER_OF(sized[4], "0x1f", 1, 0);
	NUMBER_OF(sized[5], "0x1f", 2, 0);
	NUMBER_OF(sized[6], "0x1f", 3, 0);
	NUMBER_OF(sized[7], "0x1f", 2, 16);
	NUMBER_OF(sized[8], "-1", 1, 10);
	NUMBER_OF(sized[9],
		  "12\0"
		  "34",
		  6, 10);
	return 0;
}

SITE int number_of_what_was_read(struct pt_regs *ctx)
{
	struct inputs in;
	char text[24] = {};

	if (inputs(ctx, &in))
		return 1;
	bpf_probe_read_user_str(text, sizeof(text), in.word);
	numbers(&of_users[0], text, sizeof(text), 0);
	numbers(&of_users[1], text + 1, 1, 16);
	text[1] = '7';
	numbers(&of_users[2], text + 1, sizeof(text) - 1, 10);
	numbers(&of_users[3], text + 1, 1, 10);
	return 0;
}

/* The value on the stack, where the compiler knows what was there. */
long kept[4];
SITE int number_on_the_stack(void *ctx)
{
	long value = 5;
	char text[] = "-12";

	kept[0] = bpf_strtol(text, sizeof(text), 10, &value);
	kept[1] = value;
	value = 6;
	kept[2] = bpf_strtol(text, sizeof(text), 7, &value);
	kept[3] = value;
	return 0;
}

char LICENSE[] SEC("license") = "GPL";
