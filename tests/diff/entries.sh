#!/usr/bin/env bash
# All function entries of each development target, welded at once: at least 98
# in a hundred can be placed, and a short workload prints the same and counts
# the same as under the kernel's uprobes.  tests/soak.sh has the long ones.
. "$(dirname "$0")/../common.sh"
. "$(dirname "$0")/../targets/common.sh"
export SHORT=1
entries_begin

for name in $(targets); do
	target_find $name || continue
	coverage 98
	judge
done
