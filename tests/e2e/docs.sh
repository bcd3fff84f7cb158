#!/usr/bin/env bash
# SPDX-License-Identifier: MIT
# docs/helpers.md is what its tables make of it, and names every helper once.
. "$(dirname "$0")/../common.sh"
sh $SOURCE/docs/helpers.sh > $t/helpers.md
diff $SOURCE/docs/helpers.md $t/helpers.md ||
	die "docs/helpers.md is not made from today's tables: run ./dev docs"

cat > $t/all.c <<'X'
#include <stdio.h>
#include <linux/bpf.h>
#define NAME(x) "bpf_" #x
static const char *const all[] = { __BPF_FUNC_MAPPER(NAME) };
int main(void)
{
	for (unsigned i = 1; i < sizeof(all) / sizeof(*all); i++)
		puts(all[i]);
	return 0;
}
X
$CC -o $t/all $t/all.c
$t/all | sort > $t/want
sed -n 's/^| [0-9]* | \(bpf_[a-z0-9_]*\) .*/\1/p' $t/helpers.md > $t/named
sed -n '/^## Helpers for programs of other types/,/^## Maps/p' $t/helpers.md |
	grep '^bpf_' | grep -o 'bpf_[a-z0-9_]*' >> $t/named
sort $t/named > $t/got
# The page also has what this <linux/bpf.h> is too old for.
[ -z "$(uniq -d $t/got)" ] || die "named twice: $(uniq -d $t/got)"
[ -z "$(comm -23 $t/want $t/got)" ] || die "missing: $(comm -23 $t/want $t/got)"
[ "$(wc -l < $t/got)" = 211 ] || die "$(wc -l < $t/got) helpers, not 211"
