#!/bin/sh
# SPDX-License-Identifier: MIT
# Prints docs/helpers.md: which helpers and maps programs can use, which are
# refused and why.  Made from the tables that the welder itself is made from, and
# the list of all helpers in <linux/bpf.h>.
set -eu
cd "$(dirname "$0")/.."
helpers=runtime-stub/helpers.def
refused=rewriter/bpf/refused.def
shapes=rewriter/shape.c
uapi=rewriter/bpf/uapi.def

# What the words of helpers.def mean, in the order of explanation.
words='SCALAR       a number
ADDRESS      a number; no address of the stack
NUMBER       a number that is no address
CONST        a number that is known before the program runs
VARARG       a number, where the format wants one
ERRNO        0 or a length, or an error (-errno)
LENGTH       how many bytes were written, or an error
VOID         nothing
TASK         a task, to load from
VALUE_OR_NULL  the address of a value, or NULL
RECORD_OR_NULL the address of a record, or NULL
MEM_OR_NULL  the address of memory, or NULL
NUMBER_OR_NULL the address of a number, or NULL
MAP          a map
RING         a ring buffer, user ring buffer or perf event array
KEY          memory of a key'"'"'s size
VALUE        memory of a value'"'"'s size
VALUE_OUT    the same, written
MEM_IN       memory that is read
IN_OR_NULL   the same, or NULL
MEM_OUT      memory that is written
OUT_OR_NULL  the same, or NULL
MEM_KEPT     memory that a dynptr leads to from then on
BUFFER       memory that the kernel may need, or NULL; is not looked at
SIZE         how many bytes the argument before it has, not 0
SIZE0        the same, perhaps 0
STRING       a constant, with its NUL
LONG_OUT     8 bytes, aligned, written
RECORD       a record that was reserved, given back
CTX          what the program was called with
CTX_UNUSED   the same; is not looked at
CALLBACK     a function of the program
FRAME_OR_NULL an address on the stack, or NULL
DYNPTR       a struct bpf_dynptr
DYNPTR_OUT   the same, written
DYNPTR_END   the same, given back
ITER         a struct bpf_iter_num
ITER_OUT     the same, written
ITER_END     the same, given back'

# rows FILE MACRO: the fields of each row, separated by |
rows() {
	sed -n "s/^$2(\(.*\))\$/\1/p" "$1" |
		sed 's/, */|/g; s/ *|/|/g; s/^ *//'
}

# Every word has a meaning; of those without, say which.
for word in $(rows $helpers HELPER | tr '|' '\n' | grep '^[A-Z][A-Z0-9_]*$' | sort -u)
do
	[ "$word" = NONE ] || printf '%s\n' "$words" | grep -q "^$word " ||
		{ echo "docs/helpers.sh: what is $word?" >&2; exit 1; }
done

cat <<'END'
# What programs can use

`./dev docs` makes this page from `runtime-stub/helpers.def`, `rewriter/bpf/refused.def`, `rewriter/shape.c` and
`rewriter/bpf/uapi.def`.

## Helpers

Results, what is written and errors are the kernel's; where they are not, [limits.md](limits.md) says so. Programs may call them from
uprobes, return probes, sessions and USDT probes alike. `bpf_copy_from_user` is for programs that may sleep: `SEC("uprobe.s")`,
`"uretprobe.s"`, `"uprobe.multi.s"`, `"usdt.s"` and so on.

| # | helper | result | arguments |
|---|---|---|---|
END
rows $helpers HELPER | sort -n | awk -F'|' '$1 < 240 {
	args = ""
	for (i = 4; i <= 8; i++)
		if ($i != "NONE")
			args = args (args == "" ? "" : ", ") $i
	printf "| %d | bpf_%s | %s | %s |\n", $1, $2, $3,
		args == "" ? "none" : args
}'
printf '\nThe words:\n\n'
printf '%s\n' "$words" | while read -r word meaning; do
	rows $helpers HELPER | grep -v '^2[45]' |
		grep -q "|$word\(|\|$\)" || continue
	echo "- \`$word\` $meaning"
done

cat <<'END'

## Helpers that are refused

The kernel offers these to programs on uprobes, too. `weld` refuses a program that calls one (exit 3) and names helper, program,
source line and reason.

| # | helper | why |
|---|---|---|
END
rows $refused REFUSED | awk -F'|' '{
	gsub(/"/, "", $3)
	printf "| %d | bpf_%s | %s |\n", $1, $2, $3
}'

cat <<'END'

## Helpers for programs of other types

The kernel offers these to networking, security and other programs; `weld` says `not for tracing programs`.

END
{
	rows $helpers HELPER
	rows $refused REFUSED
	echo '#include <linux/bpf.h>' | ${CC:-cc} -E -dD - |
		awk '/define ___?BPF_FUNC_MAPPER\(FN/ {
			while (match($0, /FN\([a-z0-9_]+/)) {
				name = substr($0, RSTART + 3, RLENGTH - 3)
				if (name != "unspec")
					print "?|" name
				$0 = substr($0, RSTART + RLENGTH)
			}
		}'
} | awk -F'|' '$1 != "?" { known[$2] = 1; next } !known[$2]++ {
	item = "bpf_" $2
	if (line != "" && length(line) + length(item) > 128) {
		print line ","
		line = item
	} else {
		line = line (line == "" ? "" : ", ") item
	}
}
END { print line }'

cat <<'END'

## Maps

All other types are refused by the map's name when a program that is welded uses it. What is different from the kernel's: [limits.md](limits.md).

END
sed -n 's/^\t{ BPF_MAP_TYPE_\([A-Z_]*\),.*/\1/p' $shapes |
	awk '{ line = line (NR > 1 ? ", " : "") $0 } END { print line }'

# names MACRO...: the types of uapi.def, in lines
names() {
	sed -En "s/^($1)\\((\\w+),.*/\\2/p" $uapi | paste -sd, |
		sed 's/,/, /g' | fold -sw 128 | sed 's/ $//'
	echo
}

cat <<'END'

## Types of the kernel

With `vmlinux.h`, or `preserve_access_index`, a program asks for the places of fields by CO-RE. It is told those of `struct pt_regs`, of
[some of `task_struct`](limits.md#tasks), and of these structs, which are the kernel's promise to user space:

END
names 'UAPI|GROWS'
cat <<'END'
As under libbpf, names decide: a program may declare only the fields that it uses. Not every field is there: those of Linux 6.1's headers
are, without padding. What differs in size from the kernel's is not there, either. Of structs that grow with the kernel
END
printf '(%s) nobody is told the size.\n\nEnumerators are told of\n\n' \
	"$(sed -n 's/^GROWS(\([a-z_]*\),.*/\1/p' $uapi | paste -sd, | sed 's/,/, /g')"
printf 'bpf_func_id, '
names ENUM
cat <<'END'
where `bpf_core_enum_value_exists()` of a helper or a type of map says whether there is such a one here, not in the kernel. Everything
else does not exist: `bpf_core_field_exists()` says so, and a program that needs it is refused. For memory of a user's library, take
the type from the library's header, not from vmlinux.h.
END
