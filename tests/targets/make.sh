# SPDX-License-Identifier: MIT
# A workload for make: variables, functions, patterns, includes, errors.
# bash make.sh DIRECTORY [TIMES]
set -e
rm -rf "$1/work"
mkdir -p "$1/work"
cd "$1/work"
times=${2:-1}
export LC_ALL=C
unset LD_PRELOAD # make asks by other ways how old files are
cat >Makefile <<'EOF'
MAKEFLAGS += -rR
NAMES := one two three
reverse = $(if $(1),$(call reverse,$(wordlist 2,99,$(1))) $(firstword $(1)))
define RULE
$(1).out: $(1).in
	@echo making $$@ from $$<
	@cat $$< >$$@
endef
all: $(NAMES:%=%.out) late
	@echo $(call reverse,$(NAMES)) $(words $^) $(sort $^)
	@echo $(patsubst %.out,%,$(filter-out late,$^)) $(origin NAMES)
	@echo $(foreach n,$(NAMES),$(subst o,0,$(n))) $(shell echo shell)
$(foreach n,$(NAMES),$(eval $(call RULE,$(n))))
%.in:
	@seq 1 9 >$@
late: | dir
	@echo $(notdir $(CURDIR)) $(flavor NAMES) '$(value reverse)'
dir:
	@mkdir -p $@
ifeq ($(words $(NAMES)),3)
-include none.mk
include made.mk
endif
made.mk:
	@echo 'MADE = yes' >$@
fails:
	@exit 3
.PHONY: all late fails
.INTERMEDIATE: one.in
EOF
for ((i = 0; i < times; i++)); do
	rm -rf ./*.out ./*.in dir made.mk
	make all
	make all
	make -n -B all | cksum
	make -k fails none 2>&1 || echo "exit $?"
	make -p -n | grep -v '^#' | cksum
done
