# SPDX-License-Identifier: MIT
# A workload for cc1, as and ld: C to objects, libraries, executables.
# bash compile.sh DIRECTORY [TIMES]
# SHORT=1 leaves out the larger half.
set -e
rm -rf "$1/work"
mkdir -p "$1/work"
cd "$1/work"
times=${2:-1}
export LC_ALL=C TMPDIR=$PWD
cat >a.c <<'EOF'
struct list { struct list *next; int value; };
static int compare(const struct list *a, const struct list *b)
{ return a->value < b->value ? -1 : a->value > b->value; }
struct list *merge(struct list *a, struct list *b)
{
	struct list head, *last = &head;
	while (a && b) {
		struct list **from = compare(a, b) <= 0 ? &a : &b;
		last = last->next = *from;
		*from = (*from)->next;
	}
	last->next = a ? a : b;
	return head.next;
}
double dot(const double *a, const double *b, int n)
{ double s = 0; for (int i = 0; i < n; i++) s += a[i] * b[i]; return s; }
int digit(int c)
{
	switch (c) {
	case '0': return 0; case '1': return 1; case '7': return 2;
	case 'a': return 3; case 'b': return 4; case 'z': return 5;
	default: return c > 100 ? -1 : c % 7;
	}
}
EOF
cat >b.c <<'EOF'
#include <stdio.h>
#include <string.h>
extern int digit(int);
static const char *const names[] = { "zero", "one", "two" };
__thread int count;
int main(int argc, char **argv)
{
	char text[64];
	for (int i = 0; i < 3; i++, count++)
		snprintf(text, sizeof text, "%s %d", names[i], digit('a' + i));
	return puts(text) < 0 || strlen(argv[0]) == 0 || argc > 9;
}
EOF
gcc() { command gcc -pipe "$@"; } # no names that vary
for ((i = 0; i < times; i++)); do
	gcc -O2 -g -c a.c -o a.o
	gcc -O0 -c b.c -o b.o
	gcc a.o b.o -o prog
	./prog
	strip -o bare prog
	cksum <bare
	[ -z "${SHORT-}" ] || continue
	for o in -O1 -Os -O3; do
		gcc $o -fPIC -S a.c -o - | grep -v ident | cksum
		gcc $o -fPIC -c a.c -o pic.o
	done
	gcc -shared -Wl,-soname,liba.so,--version-script=/dev/stdin \
		-o liba.so pic.o <<<'V1 { global: merge; dot; digit; local: *; };'
	gcc b.o -L. -la -Wl,-rpath,"$PWD" -Wl,--gc-sections -o dyn
	./dyn
	gcc -static a.o b.o -o static
	./static
	gcc -r a.o b.o -o both.o
	gcc -c -x c - -o bad.o <<<'int f( { return x }' 2>&1 || echo "exit $?"
	ld -o none none.o 2>&1 || echo "exit $?"
	as -o bad.o - <<<'nonsense %rax' 2>&1 || echo "exit $?"
done
