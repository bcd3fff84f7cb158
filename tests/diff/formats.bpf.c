/* SPDX-License-Identifier: MIT */
/* formats - bpf_snprintf, bpf_trace_vprintk and bpf_trace_printk: a program a
 * theme.  Of bpf_snprintf the text is compared, too; formats that are wrong are
 * the printing helpers', as the verifier knows those of bpf_snprintf. */
#include <linux/bpf.h>
#include <linux/ptrace.h>
#include <bpf/bpf_helpers.h>
#include <bpf/bpf_tracing.h>

#include "helpers.h"

#define SITE SEC("uprobe/helpers:site")
#define U (__u64)

enum { TEXT = 48, LINES = 24 };
struct line {
	long ret;
	char text[TEXT];
};
struct line plain[LINES], signs[LINES], bases[LINES], wide[LINES];
struct line left[LINES], zeros[LINES], chars[LINES], strings[LINES];
struct line bad_strings[LINES], addresses[LINES], symbols[LINES], ips[LINES];
struct line many[LINES], sizes[LINES], own_strings[LINES], swallowed[LINES];

static __always_inline int inputs(struct pt_regs *ctx, struct inputs *in)
{
	return bpf_probe_read_user(in, sizeof(*in), (void *)PT_REGS_PARM1(ctx));
}

static __always_inline void before(struct line *l)
{
	__builtin_memset(l->text, '#', TEXT);
}

#define FORMAT_IN(line, size, format, ...)                                     \
	do {                                                                   \
		static const char fmt[] = format;                              \
		__u64 args[] = { __VA_ARGS__ };                                \
                                                                               \
		before(&(line));                                               \
		(line).ret = bpf_snprintf((line).text, size, fmt, args,        \
					  sizeof(args));                       \
	} while (0)
#define FORMAT(line, ...) FORMAT_IN(line, TEXT, __VA_ARGS__)

SITE int format_plain(void *ctx)
{
	static const char fmt[] = "no argument", empty[] = "", per[] = "100%%";

	before(&plain[0]);
	plain[0].ret = bpf_snprintf(plain[0].text, TEXT, fmt, NULL, 0);
	before(&plain[1]);
	plain[1].ret = bpf_snprintf(plain[1].text, TEXT, empty, NULL, 0);
	before(&plain[2]);
	plain[2].ret = bpf_snprintf(plain[2].text, TEXT, per, NULL, 0);
	plain[3].ret = bpf_snprintf(NULL, 0, fmt, NULL, 0);
	FORMAT(plain[4], "more arguments %d", 1, 2, 3);
	FORMAT(plain[5], "none of them", 1, 2, 3);
	FORMAT(plain[6], "tab\tand\nline", 1);
	FORMAT(plain[7], "%%%d%%%%", 5);
	return 0;
}

SITE int format_signs(void *ctx)
{
	FORMAT(signs[0], "%d %i", 1234567, U - 1);
	FORMAT(signs[1], "%u", U - 1);
	FORMAT(signs[2], "%ld %lld", U - 5000000000, 5000000000);
	FORMAT(signs[3], "%lu", U - 1);
	FORMAT(signs[4], "%+d %+d %+u", 7, U - 7, 7);
	FORMAT(signs[5], "% d|% d|% u", 7, U - 7, 7);
	FORMAT(signs[6], "%+ d|% +d", 7, 7);
	FORMAT(signs[7], "%d", 0x1ffffffff);
	FORMAT(signs[8], "%d %ld", 0x80000000, 0x8000000000000000);
	FORMAT(signs[9], "%d%d%d", 0, 0, 0);
	FORMAT(signs[10], "%li|%lli|%llu", U - 1, U - 2, U - 3);
	return 0;
}

SITE int format_bases(void *ctx)
{
	FORMAT(bases[0], "%x %X", 0xbeef, 0xbeef);
	FORMAT(bases[1], "%lx %llX", U - 1, 0xabcdef0123456789);
	FORMAT(bases[2], "%x", 0x123456789a);
	FORMAT(bases[3], "%+x|% x", 10, 11);
	FORMAT(bases[4], "%x %lx", 0, 0);
	FORMAT(bases[5], "%llx", 1ull << 63);
	return 0;
}

SITE int format_wide(void *ctx)
{
	FORMAT(wide[0], "%8d|%8x|", 77, 77);
	FORMAT(wide[1], "%1d|%2d|%3d", 77, 77, 77);
	FORMAT(wide[2], "%5d|%+5d|% 5d", U - 42, 42, 42);
	FORMAT(wide[3], "%20lx|", 0xabc);
	FORMAT(wide[4], "%100d", 1);
	FORMAT(wide[5], "%5000d", 1);
	FORMAT(wide[6], "%10u%10u%10u", 1, 22, 333);
	return 0;
}

SITE int format_left(void *ctx)
{
	FORMAT(left[0], "%-8d|%-8x|", 77, 77);
	FORMAT(left[1], "%-1d|%-3d|", 77, 77);
	FORMAT(left[2], "%-+5d|%- 5d|", 42, 42);
	FORMAT(left[3], "%-08d|%0-8d|", 42, 42);
	FORMAT(left[4], "%-20lx|", 0xabc);
	FORMAT(left[5], "%-60d|", 1);
	FORMAT(left[6], "%---5d|", 1);
	return 0;
}

SITE int format_zeros(void *ctx)
{
	FORMAT(zeros[0], "%08d|%08d|", 77, U - 77);
	FORMAT(zeros[1], "%+08d|% 08d|", 77, 77);
	FORMAT(zeros[2], "%08x|%016lX", 0xbeef, 0xbeef);
	FORMAT(zeros[3], "%00005d|%0d", 7, 7);
	FORMAT(zeros[4], "%01d|%02d", 123, 123);
	return 0;
}

SITE int format_chars(void *ctx)
{
	FORMAT(chars[0], "%c%c%c", 'a', 'b', 'c');
	FORMAT(chars[1], "%5c|%-5c|", 'x', 'y');
	FORMAT(chars[2], "%05c|", 'x');
	FORMAT(chars[3], "<%c>", 0);
	FORMAT(chars[4], "%c", 0x141);
	FORMAT(chars[5], "%c%d%c%lx", 'a', 1, 'b', 2);
	FORMAT(chars[6], "%cx%cy", 0xc3, 0xff);
	return 0;
}

SITE int format_strings(struct pt_regs *ctx)
{
	struct inputs in;

	if (inputs(ctx, &in))
		return 1;
	FORMAT(strings[0], "%s", U in.word);
	FORMAT(strings[1], "<%s> <%s>", U in.word, U in.empty);
	FORMAT(strings[2], "%10s|%-10s|", U in.word, U in.word);
	FORMAT(strings[3], "%2s|%-2s|%010s|", U in.word, U in.word, U in.word);
	FORMAT(strings[4], "%s", U in.sentence);
	FORMAT(strings[5], "%s and %s", U in.sentence, U in.sentence);
	FORMAT(strings[6], "%s", U in.odd);
	FORMAT(strings[7], "%s", U in.last);
	FORMAT(strings[8], "%s.", U(in.last + 3));
	FORMAT(strings[9], "%pus|%10pus|", U in.word, U in.word);
	FORMAT(strings[10], "%s%d%s%ld", U in.word, 1, U in.odd, 2);
	FORMAT(strings[11], "%-20s|", U in.empty);
	FORMAT(strings[12], "%+s|% s|", U in.word, U in.word);
	return 0;
}

SITE int format_bad_strings(struct pt_regs *ctx)
{
	struct inputs in;

	if (inputs(ctx, &in))
		return 1;
	FORMAT(bad_strings[0], "<%s>", U in.unmapped);
	FORMAT(bad_strings[1], "<%s>", U in.no_read);
	FORMAT(bad_strings[2], "<%s>", 0);
	FORMAT(bad_strings[3], "<%s>", U in.runs_out);
	FORMAT(bad_strings[4], "<%s>", 0xffff800000000000);
	FORMAT(bad_strings[5], "<%s>", 0x8000000000000000);
	FORMAT(bad_strings[6], "<%8s|%-8s>", 0, 0);
	FORMAT(bad_strings[7], "<%pks>", 0);
	FORMAT(bad_strings[8], "<%pus>", U in.unmapped);
	FORMAT(bad_strings[9], "%d<%s>%d", 1, U in.no_read, 2);
	FORMAT(bad_strings[10], "<%pks>", U in.word);
	return 0;
}

/* Strings that are the program's own: kernel memory under the kernel. */
char own[24] = "from a map";
SITE int format_own_strings(void *ctx)
{
	char local[24] = "from the stack";

	FORMAT(own_strings[0], "<%pks>", U own);
	FORMAT(own_strings[1], "<%pks>", U local);
	FORMAT(own_strings[2], "<%20pks>", U local);
	FORMAT(own_strings[3], "<%s>", U own);
	FORMAT(own_strings[4], "%pks %pks %d", U own, U local, 3);
	return 0;
}

SITE int format_addresses(void *ctx)
{
	FORMAT(addresses[0], "%px", 0x1234);
	FORMAT(addresses[1], "%20px|%-20px|", 0x1234, 0x1234);
	FORMAT(addresses[2], "%020px|%4px", 0x1234, 0x123456);
	FORMAT(addresses[3], "%px", 0xffff888000000000);
	FORMAT(addresses[4], "%px %px", 0, U - 1);
	FORMAT(addresses[5], "%-px|", 0x12);
	return 0;
}

SITE int format_symbols(void *ctx)
{
	FORMAT(symbols[0], "%ps", 0x1234);
	FORMAT(symbols[1], "%pS", 0x555555554000);
	FORMAT(symbols[2], "%20pS|%-20ps|", 0x1234, 0x1234);
	FORMAT(symbols[3], "%pB", 0x1234);
	FORMAT(symbols[4], "%20pB|", 0x1234);
	FORMAT(symbols[5], "%pS %ps %pB", 0, 0, 0);
	FORMAT(symbols[6], "%020pS", 0x1234);
	FORMAT(symbols[7], "%pS", 0x7fffffffffff);
	FORMAT(symbols[8], "%pB", 0x7fffffffffff);
	return 0;
}

SITE int format_ips(void *ctx)
{
	unsigned char v4[4] = { 192, 168, 0, 1 };
	unsigned char v6[16] = { 0xfe, 0x80, 0,    0,    0,    0,    0, 0,
				 0,    1,    0xab, 0xcd, 0x12, 0x34, 0, 9 };

	FORMAT(ips[0], "%pI4", U v4);
	FORMAT(ips[1], "%pi4", U v4);
	FORMAT(ips[2], "%pI6", U v6);
	FORMAT(ips[3], "%pi6", U v6);
	FORMAT(ips[4], "%20pI4|%d", U v4, 7);
	FORMAT(ips[5], "%pI4", 0);
	FORMAT(ips[6], "%pI4 %pI4", U v4, U(v4 + 0));
	FORMAT(ips[7], "%pI4", 0x8000000000000000);
	return 0;
}

/* Letters and digits behind a %p belong to it. */
SITE int format_swallowed(void *ctx)
{
	unsigned char v4[4] = { 10, 0, 0, 1 };

	FORMAT(swallowed[0], "%pxabc9.", 0x1234);
	FORMAT(swallowed[1], "%pI4ab.", U v4);
	FORMAT(swallowed[2], "%pSx|%psomething|", 0x1234, 0x1234);
	FORMAT(swallowed[3], "%pBx|", 0x1234);
	FORMAT(swallowed[4], "%px\xc3\xa9.", 0x1234);
	FORMAT(swallowed[5], "%px%d", 0x1234, 5);
	return 0;
}

SITE int format_many(struct pt_regs *ctx)
{
	struct inputs in;

	if (inputs(ctx, &in))
		return 1;
	FORMAT(many[0], "%d %d %d %d %d %d %d %d %d %d %d %d", 1, 2, 3, 4, 5, 6,
	       7, 8, 9, 10, 11, 12);
	FORMAT(many[1], "%x%lx%c%x%lx%c%x%lx%c%d%d%d", 1, 2, 'c', 4, 5, 'f', 7,
	       8, 'i', 10, 11, 12);
	FORMAT(many[2], "%s%c%d%s%c%ld%s", U in.word, 'a', 1, U in.odd, 'b', 2,
	       U in.empty);
	return 0;
}

SITE int format_sizes(struct pt_regs *ctx)
{
	struct inputs in;

	if (inputs(ctx, &in))
		return 1;
	FORMAT_IN(sizes[0], 8, "%d bottles", 99);
	FORMAT_IN(sizes[1], 11, "%d bottles", 99);
	FORMAT_IN(sizes[2], 10, "%d bottles", 99);
	FORMAT_IN(sizes[3], 1, "%d bottles", 99);
	FORMAT_IN(sizes[4], 0, "%d bottles", 99);
	FORMAT_IN(sizes[5], 8, "%8d|", 99);
	FORMAT_IN(sizes[6], 8, "%-20d|", 99);
	FORMAT_IN(sizes[7], 8, "%s", U in.sentence);
	FORMAT_IN(sizes[8], 4, "%020d", 7);
	FORMAT_IN(sizes[9], 5, "%s%s", U in.word, U in.word);
	FORMAT_IN(sizes[10], 5, "%d%px%d", 1, 2, 3);
	return 0;
}

/* 512 bytes for all arguments: longer strings are cut, others have no room. */
struct line long_strings[LINES];
char big[1024];
SITE int format_long_strings(struct pt_regs *ctx)
{
	struct inputs in;

	if (inputs(ctx, &in))
		return 1;
	FORMAT(long_strings[0], "%s", U(in.last - 100));
	FORMAT(long_strings[1], "%s", U(in.last - 507));
	FORMAT(long_strings[2], "%s", U(in.last - 508));
	FORMAT(long_strings[3], "%s", U(in.last - 509));
	FORMAT(long_strings[4], "%s", U(in.last - 2000));
	FORMAT(long_strings[5], "%s%d", U(in.last - 500), 1);
	FORMAT(long_strings[6], "%s%d", U(in.last - 504), 1);
	FORMAT(long_strings[7], "%s%d", U(in.last - 505), 1);
	FORMAT(long_strings[8], "%s%ld", U(in.last - 500), 1);
	FORMAT(long_strings[9], "%s%ld", U(in.last - 501), 1);
	FORMAT(long_strings[10], "%s%s", U(in.last - 508), U in.word);
	FORMAT(long_strings[11], "%s%s", U(in.last - 507), U in.word);
	FORMAT(long_strings[12], "%s%s", U(in.last - 400), U(in.last - 400));
	FORMAT(long_strings[13], "%s%c", U(in.last - 507), 'x');
	FORMAT(long_strings[14], "%s%c", U(in.last - 508), 'x');
	FORMAT(long_strings[15], "%d%s", 1, U(in.last - 508));
	FORMAT(long_strings[16], "%s%px", U(in.last - 501), 1);
	return 0;
}

SITE int format_long_strings_more(struct pt_regs *ctx)
{
	static const char two[] = "%s|%s|";
	struct inputs in;
	__u64 args[2];

	if (inputs(ctx, &in))
		return 1;
	FORMAT(long_strings[17], "%s%pI4", U(in.last - 508), 0);
	FORMAT(long_strings[18], "%s%pI4", U(in.last - 500), 0);
	FORMAT(long_strings[19], "%s%pB", U(in.last - 400), 0);
	FORMAT(long_strings[20], "%s%pus", U(in.last - 508), U in.word);
	FORMAT(long_strings[21], "%s%s", U(in.last - 508), U in.unmapped);
	FORMAT(long_strings[22], "%pus|%d", U(in.last - 30), 1);
	args[0] = args[1] = U(in.last - 300);
	long_strings[23].ret = bpf_snprintf(big, sizeof(big), two, args, 16);
	return 0;
}

/* --- what the printing helpers refuse --------------------------------------
 */

struct printed {
	long printk, vprintk;
};
enum { PRINTS = 32 };
struct printed letters[PRINTS], behind[PRINTS], text[PRINTS], counts[PRINTS];
struct printed lengths[PRINTS];

#define PRINT(result, format, ...)                                             \
	do {                                                                   \
		static const char fmt[] = format;                              \
		__u64 args[] = { __VA_ARGS__ };                                \
                                                                               \
		(result).printk =                                              \
			bpf_trace_printk(fmt, sizeof(fmt), ##__VA_ARGS__);     \
		(result).vprintk = bpf_trace_vprintk(fmt, sizeof(fmt), args,   \
						     sizeof(args));            \
	} while (0)

SITE int print_letters(void *ctx)
{
	PRINT(letters[0], "%f\n", 1);
	PRINT(letters[1], "%o\n", 1);
	PRINT(letters[2], "%hd\n", 1);
	PRINT(letters[3], "%lc\n", 1);
	PRINT(letters[4], "%ls\n", 1);
	PRINT(letters[5], "%llld\n", 1);
	PRINT(letters[6], "%zd\n", 1);
	PRINT(letters[7], "%#x\n", 1);
	PRINT(letters[8], "%.3d\n", 1);
	PRINT(letters[9], "%*d\n", 1);
	PRINT(letters[10], "%D\n", 1);
	PRINT(letters[11], "%5%\n", 1);
	PRINT(letters[12], "%l", 1);
	PRINT(letters[13], "%", 1);
	PRINT(letters[14], "%5", 1);
	PRINT(letters[15], "%n\n", 1);
	PRINT(letters[16], "%pa\n", 1);
	PRINT(letters[17], "%pI5\n", 1);
	PRINT(letters[18], "%pk\n", 1);
	PRINT(letters[19], "%pu\n", 1);
	PRINT(letters[20], "%p1\n", 1);
	PRINT(letters[21], "%i6\n", 1);
	PRINT(letters[22], "%5-d\n", 1);
	PRINT(letters[23], "%5 d\n", 1);
	return 0;
}

SITE int print_behind(struct pt_regs *ctx)
{
	struct inputs in;

	if (inputs(ctx, &in))
		return 1;
	PRINT(behind[0], "%sx\n", U in.word);
	PRINT(behind[1], "%s1\n", U in.word);
	PRINT(behind[2], "%s.\n", U in.word);
	PRINT(behind[3], "%s%d\n", U in.word, 1);
	PRINT(behind[4], "%s\xa0\n", U in.word);
	PRINT(behind[5], "%s\xa1\n", U in.word);
	PRINT(behind[6], "%s\xc3\xa9\n", U in.word);
	PRINT(behind[7], "%s\xd7\n", U in.word);
	PRINT(behind[8], "%s\x80\n", U in.word);
	PRINT(behind[9], "%p\xa0\n", 1);
	PRINT(behind[10], "%p\xbf\n", 1);
	PRINT(behind[11], "%p\xf7\n", 1);
	PRINT(behind[12], "%p\xff\n", 1);
	PRINT(behind[13], "%pusx\n", U in.word);
	PRINT(behind[14], "%pus_\n", U in.word);
	PRINT(behind[15], "%pKx\n", 1);
	PRINT(behind[16], "%px1\n", 1);
	PRINT(behind[17], "%p", 1);
	PRINT(behind[18], "%s", U in.word);
	PRINT(behind[19], "%p~\n", 1);
	PRINT(behind[20], "%p[%p]\n", 1, 2);
	return 0;
}

SITE int print_text(void *ctx)
{
	PRINT(text[0], "\a\n", 1);
	PRINT(text[1], "\x7f\n", 1);
	PRINT(text[2], "\x1b[1m\n", 1);
	PRINT(text[3], "\t\v\f\r\n", 1);
	PRINT(text[4], "caf\xc3\xa9\n", 1);
	PRINT(text[5], "\x80\x9f\n", 1);
	PRINT(text[6], "%\xc3\xa9\n", 1);
	PRINT(text[7], "%d\a", 1);
	PRINT(text[8], "%d \x01", 1);
	PRINT(text[9], "", 1);
	PRINT(text[10], "\n", 1);
	PRINT(text[11], "%d\0 %d %d", 1);
	return 0;
}

SITE int print_counts(void *ctx)
{
	static const char two[] = "%d %d\n";
	__u64 one = 1;

	counts[0].vprintk = bpf_trace_vprintk(two, sizeof(two), &one, 8);
	counts[0].printk = bpf_trace_printk(two, sizeof(two), 1, 2, 3);
	PRINT(counts[1], "%d %d %d\n", 1, 2, 3);
	PRINT(counts[2], "%d %d %d %d\n", 1, 2, 3);
	PRINT(counts[3], "%%%%%%%%\n", 1);
	PRINT(counts[4], "%d %% %d %% %d\n", 1, 2, 3);
	PRINT(counts[5], "\n", 1, 2, 3);
	return 0;
}

SITE int print_lengths(struct pt_regs *ctx)
{
	static const char fmt[] = "%d %s %px\n", whole[] = "%d without its end";
	struct printed *l = lengths;
	struct inputs in;
	__u64 args[16] = { 1, 0, 3 };

	if (inputs(ctx, &in))
		return 1;
	args[1] = U in.word;
	l[0].vprintk = bpf_trace_vprintk(fmt, sizeof(fmt), args, 24);
	l[1].vprintk = bpf_trace_vprintk(fmt, sizeof(fmt), args, 96);
	l[2].vprintk = bpf_trace_vprintk(fmt, sizeof(fmt), args, 104);
	l[3].vprintk = bpf_trace_vprintk(fmt, sizeof(fmt), args, 20);
	l[4].vprintk = bpf_trace_vprintk(fmt, sizeof(fmt), args, 16);
	l[5].vprintk = bpf_trace_vprintk(fmt, sizeof(fmt), NULL, 0);
	l[6].vprintk = bpf_trace_vprintk(fmt, 3, args, 24);
	l[7].vprintk = bpf_trace_vprintk(fmt, 1, args, 24);
	l[8].vprintk = bpf_trace_vprintk(whole, 5, args, 24);
	l[9].vprintk = bpf_trace_vprintk(whole, sizeof(whole), args, 8);
	l[10].vprintk = bpf_trace_vprintk(whole, sizeof(whole), args, 4);
	l[10].printk = bpf_trace_printk(whole, 5, 1);
	return 0;
}

/* The format and its arguments where nobody knows what they are. */
struct printed computed[4];
SITE int print_computed(struct pt_regs *ctx)
{
	char fmt[16] = "%d %s\n";
	struct inputs in;
	__u64 args[2] = { 41, 0 };

	if (inputs(ctx, &in))
		return 1;
	args[1] = U in.odd;
	computed[0].vprintk = bpf_trace_vprintk(fmt, sizeof(fmt), args, 16);
	fmt[1] = 'x';
	args[0] = 0x123;
	computed[1].vprintk = bpf_trace_vprintk(fmt, sizeof(fmt), args, 16);
	computed[1].printk =
		bpf_trace_printk(fmt, sizeof(fmt), args[0], args[1]);
	fmt[1] = 'y';
	computed[2].vprintk = bpf_trace_vprintk(fmt, sizeof(fmt), args, 16);
	return 0;
}

SITE int print_long(struct pt_regs *ctx)
{
	struct inputs in;

	if (inputs(ctx, &in))
		return 1;
	PRINT(lengths[16], "%s\n", U(in.last - 300));
	PRINT(lengths[17], "%s\n", U(in.last - 600));
	PRINT(lengths[18], "%s %d\n", U(in.last - 600), 1);
	PRINT(lengths[19], "%900d%900d\n", 1, 1);
	PRINT(lengths[20], "%s%s\n", U(in.last - 300), U(in.last - 300));
	return 0;
}

char LICENSE[] SEC("license") = "GPL";
