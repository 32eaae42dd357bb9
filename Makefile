# moe-gps. `make help` lists the targets. Settings can be given on the command
# line: make CC=clang PREFIX=/opt/moegps V=1
ifeq ($(origin CC),default) # make's own choice is cc
CC      := gcc
endif
# A pkg-config module (MPI=mpich HDF5=hdf5-mpich), a folder in which the library
# is installed, or a compiler wrapper; without, what is there is found.
MPI     ?=
HDF5    ?=
PREFIX  ?= /usr/local
BUILD   ?= build
CFLAGS  ?= -O3 -g
WERROR  ?=
V       ?= 0

WARN     := -Wall -Wextra -Wpedantic -Wshadow -Wconversion -Wstrict-prototypes \
            -Wmissing-prototypes -Wvla
VERSION  := $(shell tools/version.sh)
ALL_CPPFLAGS = -Iinclude -I$(BUILD) $(LIB_CPPFLAGS) -D_GNU_SOURCE $(CPPFLAGS)
ALL_CFLAGS = -std=gnu17 -fopenmp $(WARN) $(WERROR) $(CFLAGS)
COMPILE  = $(CC) $(ALL_CPPFLAGS) $(ALL_CFLAGS) -MMD -MP
LINK     = $(CC) $(ALL_CFLAGS) $(LDFLAGS) -o $@ $(filter %.o %.a,$^) $(LIBS)

SRC      := $(filter-out src/cli/main.c,$(wildcard src/*/*.c))
OBJ      := $(SRC:%.c=$(BUILD)/%.o)
LIB      := $(BUILD)/libmoegps.a
TESTS    := $(patsubst tests/%.c,$(BUILD)/tests/%,$(wildcard tests/test_*.c \
            tests/parallel/test_*.c))
BENCHES  := $(patsubst tests/%.c,$(BUILD)/tests/%,$(wildcard tests/bench/bench_*.c))

export CC MPI HDF5 BUILD CPPFLAGS
# As root, Open MPI wants to be told twice.
export OMPI_ALLOW_RUN_AS_ROOT := 1
export OMPI_ALLOW_RUN_AS_ROOT_CONFIRM := 1

ifeq ($(V),0)
Q := @
say = @echo '  $(1) $(2)'
endif
# Ends a recipe that prints: $@ is written only when its content changes.
into = > $@.new && { cmp -s $@.new $@ || cp $@.new $@; }; rc=$$?; rm $@.new; exit $$rc

all: moegps ## build the program

include mk/targets.mk
# Where the libraries are, for targets that compile.
ifneq ($(filter-out $(BARE),$(or $(MAKECMDGOALS),all)),)
include $(BUILD)/libraries.mk
export MPIRUN
endif

$(BUILD)/libraries.mk: FORCE
	@mkdir -p $(@D)
	@tools/deps.sh flags $(into)

# All that decides how sources are compiled, except for what is warned about.
$(BUILD)/settings: FORCE
	@echo '$(CC) $(CFLAGS) $(ALL_CPPFLAGS) $(LDFLAGS) $(LIBS)' $(into)

$(BUILD)/version.h: FORCE
	@printf '#define MOE_%s "%s"\n' VERSION '$(VERSION)' CFLAGS \
	    '$(strip $(ALL_CFLAGS))' CC '$(CC)' PREFIX '$(PREFIX)' TABLES_SHA256 \
	    "$$(sha256sum < jobs/silicon/tables.h5 | cut -c-64)" $(into)

# Templates of figures, as rows of C: {"name", "text"},
$(BUILD)/gnuplot_templates.h: $(wildcard src/figures/*.gp)
	@mkdir -p $(@D)
	@for f in $^; do echo "{\"$$(basename $$f .gp)\","; \
	    sed 's/[\\"]/\\&/g; s/.*/"&\\n"/' $$f; echo '},'; done > $@

# A script in Python, the same way.
$(BUILD)/torch_script.h: src/recording/torch.py
	@mkdir -p $(@D)
	@sed 's/[\\"]/\\&/g; s/.*/"&\\n",/' $< > $@

# What pages look like and run, without comments and indentation.
$(BUILD)/page_%.h: src/document/page.%
	@mkdir -p $(@D)
	@sed -e 's|^ *//.*||; s/^ *//; /^$$/d' -e 's/[\\"]/\\&/g; s/.*/"&\\n",/' $< > $@

$(BUILD)/src/document/page_parts.o: $(BUILD)/page_css.h $(BUILD)/page_js.h

$(BUILD)/src/recording/torch.o: $(BUILD)/torch_script.h

$(BUILD)/src/figures/templates.o: $(BUILD)/gnuplot_templates.h

$(BUILD)/moegps: $(BUILD)/src/cli/main.o $(LIB)
	$(call say,LD,$@)
	$(Q)$(LINK)

# A link, so that `make` and `make asan` each leave their own program here.
moegps: $(BUILD)/moegps FORCE
	@ln -sfn $< $@

$(LIB): $(OBJ)
	$(call say,AR,$@)
	$(Q)rm -f $@ && ar rcs $@ $^

$(BUILD)/%.o: %.c $(BUILD)/settings | $(BUILD)/version.h
	$(call say,CC,$<)
	$(Q)mkdir -p $(@D)
	$(Q)$(COMPILE) $(if $(filter tests/%,$<),-Itests) -c -o $@ $<

# A hundred programs: gold takes a tenth of ld's time, where it is installed.
GOLD := $(if $(shell command -v ld.gold),-fuse-ld=gold)
$(TESTS): %: %.o $(BUILD)/tests/harness.o $(LIB)
	$(call say,LD,$@)
	$(Q)$(LINK) $(CHECK_LIBS) $(GOLD)

# The linear programs that tests compare with, where Clp is installed.
$(BUILD)/tests/test_share: LIBS += $(CLP_LIBS)

$(BENCHES): %: %.o $(LIB)
	$(call say,LD,$@)
	$(Q)$(LINK)

-include $(wildcard $(BUILD)/src/*/*.d $(BUILD)/tests/*.d $(BUILD)/tests/*/*.d)

clean: ## remove what was built
	rm -rf $(BUILD) moegps

help: ## this list
	@sed -n 's/^\([a-z-]*\):.*## /\1\t/p' Makefile mk/*.mk | expand -t 14

FORCE:
.PHONY: all clean help FORCE
