#!/usr/bin/env bash
# What is built without optimising links, too: a compiler that removes unused
# code hides a symbol that is missing, and `./dev build fuzz` then fails.
. "$(dirname "$0")/../common.sh"
cmake -S "$SOURCE" -B $t/build -G Ninja -DCMAKE_BUILD_TYPE=Debug >/dev/null
cmake --build $t/build -- --quiet
[ -x $t/build/bpfweld ] || die "no bpfweld"
[ "$($t/build/bpfweld --version)" = "$($W --version)" ] || die "another version"
