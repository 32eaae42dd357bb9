# moe-gps. `make help` lists the targets. Settings can be given on the command
# line: make CC=clang PREFIX=/opt/moegps V=1
CC      ?= gcc
MPIRUN  ?= mpirun
PREFIX  ?= /usr/local
BUILD   ?= build
CFLAGS  ?= -O3 -g
WERROR  ?=
V       ?= 0

PKGS     := ompi-c hdf5-openmpi hwloc yaml-0.1 jansson libcrypto
WARN     := -Wall -Wextra -Wpedantic -Wshadow -Wconversion -Wstrict-prototypes \
            -Wmissing-prototypes -Wvla
VERSION  := $(shell tools/version.sh)
ALL_CPPFLAGS = -Iinclude -I$(BUILD) $(patsubst -I%,-isystem %,$(shell \
            pkg-config --cflags-only-I $(PKGS) 2>/dev/null)) -D_GNU_SOURCE
ALL_CFLAGS = -std=gnu17 -fopenmp $(WARN) $(WERROR) $(CFLAGS)
LIBS     = $(shell pkg-config --libs $(PKGS) 2>/dev/null) -lhdf5_openmpi_hl \
            -ldnnl -lm

SRC      := $(filter-out src/cli/main.c,$(wildcard src/*/*.c))
OBJ      := $(SRC:src/%.c=$(BUILD)/%.o)
LIB      := $(BUILD)/libmoegps.a
TESTS    := $(patsubst tests/%.c,$(BUILD)/tests/%,$(wildcard tests/test_*.c \
            tests/parallel/test_*.c))
BENCHES  := $(patsubst tests/%.c,$(BUILD)/tests/%,$(wildcard tests/bench/bench_*.c))

ifeq ($(V),0)
Q := @
say = @echo '  $(1) $(2)'
endif

# As root, Open MPI wants to be told twice; on few cores ranks must yield.
export OMPI_ALLOW_RUN_AS_ROOT := 1
export OMPI_ALLOW_RUN_AS_ROOT_CONFIRM := 1

all: moegps ## build the program

$(BUILD)/moegps: $(BUILD)/cli/main.o $(LIB)
	$(call say,LD,$@)
	$(Q)$(CC) $(ALL_CFLAGS) $(LDFLAGS) -o $@ $^ $(LIBS)

# A link, so that `make` and `make asan` each leave their own program here.
moegps: $(BUILD)/moegps FORCE
	@ln -sfn $< $@

$(LIB): $(OBJ)
	$(call say,AR,$@)
	$(Q)rm -f $@ && ar rcs $@ $^

$(BUILD)/%.o: src/%.c | $(BUILD)/version.h
	$(call say,CC,$<)
	$(Q)mkdir -p $(@D)
	$(Q)$(CC) $(ALL_CPPFLAGS) $(ALL_CFLAGS) -MMD -MP -c -o $@ $<

$(BUILD)/tests/%: tests/%.c tests/harness.c tests/harness.h $(LIB)
	$(call say,LD,$@)
	$(Q)mkdir -p $(@D)
	$(Q)$(CC) $(ALL_CPPFLAGS) -Itests $(ALL_CFLAGS) $(LDFLAGS) -MMD -MP -o $@ \
	    $< tests/harness.c $(LIB) $(LIBS) $(shell pkg-config --libs check)

# The linear programs that tests compare with, where Clp is installed.
$(BUILD)/tests/test_share: LIBS += $(shell pkg-config --silence-errors --libs clp)

$(BUILD)/tests/bench/%: tests/bench/%.c $(LIB)
	$(call say,LD,$@)
	$(Q)mkdir -p $(@D)
	$(Q)$(CC) $(ALL_CPPFLAGS) -Itests $(ALL_CFLAGS) $(LDFLAGS) -MMD -MP -o $@ \
	    $< $(LIB) $(LIBS)

# Rewritten only when its content changes.
$(BUILD)/version.h: FORCE
	@mkdir -p $(BUILD)
	@printf '#define MOE_VERSION "%s"\n#define MOE_CFLAGS "%s"\n#define MOE_CC "%s"\n#define MOE_PREFIX "%s"\n' \
	    '$(VERSION)' '$(strip $(ALL_CFLAGS))' '$(CC)' '$(PREFIX)' > $@.new
	@cmp -s $@.new $@ && rm $@.new || mv $@.new $@

-include $(OBJ:.o=.d) $(BUILD)/cli/main.d $(addsuffix .d,$(TESTS) $(BENCHES))

deps: ## install missing packages (root or sudo), else name them
	@tools/deps.sh build

demo: ## build, run the main job on the bundled trace, show the result
	@tools/deps.sh report
	@$(MAKE) --no-print-directory all
	@tools/demo.sh

check: ## every test; ends with "N passed, N failed"
	@tools/deps.sh test
	@$(MAKE) --no-print-directory check-only

check-only: moegps $(TESTS)
	@BUILD=$(BUILD) MPIRUN=$(MPIRUN) tests/run.sh $(TESTS)

bench: deps ## print speed as ratios to the raw alternatives
	@$(MAKE) --no-print-directory bench-only

bench-only: moegps $(BENCHES)
	@BUILD=$(BUILD) MPIRUN=$(MPIRUN) tests/bench/run.sh $(BENCHES)

$(BUILD)/validate: $(wildcard tests/validate/*.[ch]) $(LIB)
	$(call say,LD,$@)
	$(Q)$(CC) $(ALL_CPPFLAGS) $(ALL_CFLAGS) $(LDFLAGS) -o $@ \
	    $(filter %.c %.a,$^) $(LIBS)

validate: deps ## print how far the cost models are off: results/validation.md
	@$(MAKE) --no-print-directory $(BUILD)/validate
	@$(BUILD)/validate > $(BUILD)/validation.md; rc=$$?; \
	 cat $(BUILD)/validation.md; cp $(BUILD)/validation.md results/; exit $$rc

evaluate: moegps ## judge the predictors on the bundled traces: results/evaluate.md
	@tools/evaluate.sh

paper: ## compare the paper's claims with runs and models: results/paper.md
	@tools/deps.sh test
	@$(MAKE) --no-print-directory all
	@MPIRUN=$(MPIRUN) /usr/bin/python3 tools/paper.py

asan: ## the tests under address and undefined-behaviour sanitizers
	@tools/deps.sh test
	@$(MAKE) --no-print-directory BUILD=$(BUILD)/asan check-only \
	    CFLAGS='-O1 -g -fsanitize=address,undefined -fno-sanitize-recover=undefined -fno-omit-frame-pointer'

install: moegps ## install below PREFIX
	install -D -m 755 $(BUILD)/moegps $(DESTDIR)$(PREFIX)/bin/moegps
	cd jobs && find . -type f -exec install -D -m 644 {} \
	    $(DESTDIR)$(PREFIX)/share/moegps/jobs/{} \;

format: ## lay out sources with clang-format
	clang-format -i $(wildcard src/*/*.[ch] include/moegps/*.h tests/*.[ch] tests/*/*.c)

clean: ## remove what was built
	rm -rf $(BUILD) moegps

help: ## this list
	@grep -hE '^[a-z]+:.*##' Makefile | sed 's/:.*## /\t/' | expand -t 12

FORCE:
.PHONY: all deps demo check check-only validate paper evaluate bench bench-only asan install format \
        clean help FORCE
