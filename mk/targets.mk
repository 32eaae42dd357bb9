# Targets that check, measure and deliver what the Makefile builds.

# These compile nothing themselves: they install what is missing, and then build
# and run in a make of their own.
BARE := clean help deps demo check check-page asan tsan valgrind fuzz soak bench validate paper format format-check lint dist
again = @$(MAKE) --no-print-directory

deps: ## install missing packages (root or sudo), else name them
	@tools/deps.sh build

demo: ## build, run the main job on the bundled trace, show the result
	@tools/deps.sh report
	$(again) all
	@tools/demo.sh

check: ## every test; ends with "N passed, N failed"
	@tools/deps.sh test
	$(again) check-only

# Scripts come first, and of them those that take longest. Hosts of the cluster
# mostly wait: 31 s of CPU in 115.
export WAITING := cluster.test.sh
SLOW    := $(foreach s,cluster survive docs run paced report advise,tests/$(s).test.sh)
SCRIPTS := $(SLOW) $(filter-out $(SLOW),$(wildcard tests/*.test.sh))

check-only: moegps $(TESTS)
	@tests/run.sh $(SCRIPTS) $(TESTS)

check-page: ## what a reader does with a page, tried in headless Chromium
	@tools/deps.sh page
	$(again) all
	@tests/check_page.sh

check-unit: $(BUILD)/moegps $(TESTS) ## the test programs alone, without the scripts
	@tests/run.sh $(TESTS)

build-tests: $(TESTS) $(BENCHES) $(BUILD)/validate ## the programs that test and measure

asan: ## the tests under address and undefined-behaviour sanitizers
	@tools/deps.sh test
	$(again) BUILD=$(BUILD)/asan check-only \
	    CFLAGS='-O1 -g -fsanitize=address,undefined -fno-sanitize-recover=undefined -fno-omit-frame-pointer'

# What has threads of its own: training, planning, and the search of advise.
THREADED := $(foreach t,neural planner_team search,$(BUILD)/tests/test_$(t))

tsan: ## the threaded parts under the thread sanitizer (clang and its libomp)
	@tools/deps.sh ci
	$(again) BUILD=$(BUILD)/tsan CC=clang CFLAGS='-O1 -g -fsanitize=thread' tsan-only

tsan-only: $(THREADED)
	@tests/tsan.sh $(THREADED)

valgrind: ## a run on two ranks, its report and advice under valgrind
	@tools/deps.sh valgrind
	$(again) all
	@tests/valgrind.sh

# A sanitizer that finds a fault ends the program, and libFuzzer keeps the input.
fuzz: ## fuzz each parser (clang): make fuzz SECONDS=60, FUZZ="plan set" for some
	$(again) BUILD=$(BUILD)/fuzz CC=clang fuzz-only SECONDS=$(or $(SECONDS),60) \
	    CFLAGS='-O1 -g -fsanitize=fuzzer-no-link,address,undefined -fno-sanitize-recover=undefined'

fuzz-only: $(BUILD)/tests/fuzz/fuzz $(BUILD)/moegps
	@SECONDS_EACH=$(SECONDS) tests/fuzz/run.sh $< $(BUILD)/moegps

$(BUILD)/tests/fuzz/fuzz: $(BUILD)/tests/fuzz/fuzz.o $(BUILD)/tests/fuzz/h5.o $(LIB)
	$(call say,LD,$@)
	$(Q)$(LINK) -fsanitize=fuzzer

soak: ## kill, stop and resume runs at random, and compare: make soak MINUTES=120 SEED=
	@tools/deps.sh test
	$(again) all
	@tests/soak.sh $(or $(MINUTES),120) $(SEED)

bench: deps ## print speed as ratios to the raw alternatives
	$(again) bench-only

bench-only: moegps $(BENCHES)
	@tests/bench/run.sh $(BENCHES)

$(BUILD)/validate: $(patsubst %.c,$(BUILD)/%.o,$(wildcard tests/validate/*.c)) $(LIB)
	$(call say,LD,$@)
	$(Q)$(LINK)

validate: deps ## print how far the cost models are off: results/validation.md
	$(again) validate-only

validate-only: $(BUILD)/validate
	@$< > $(BUILD)/validation.md; rc=$$?; \
	 cat $(BUILD)/validation.md; cp $(BUILD)/validation.md results/; exit $$rc

deployments: moegps ## compare with published systems: results/deployments.md
	@tools/deployments.py

evaluate: moegps ## judge the predictors on the bundled traces: results/evaluate.md
	@tools/evaluate.sh

paper: ## compare the paper's claims with runs and models: results/paper.md
	@tools/deps.sh test
	$(again) paper-only

paper-only: moegps
	@/usr/bin/python3 tools/paper.py

FORMATTED = $(wildcard src/*/*.[ch] include/moegps/*.h tests/*.[ch] tests/*/*.[ch])

# Another version lays out differently.
CLANG_FORMAT ?= clang-format-14

format: ## lay out sources with clang-format
	@$(CLANG_FORMAT) -i $(FORMATTED)

format-check: ## fail where `make format` would change something
	@$(CLANG_FORMAT) --dry-run --Werror $(FORMATTED)

lint: ## cppcheck: fails on what tests/cppcheck.supp does not explain
	@tools/deps.sh ci
	@cppcheck --quiet --std=c11 --enable=warning,performance,portability --error-exitcode=1 \
	    --suppressions-list=tests/cppcheck.supp --suppress=missingIncludeSystem -D_GNU_SOURCE -Iinclude src

man: moegps ## man pages, of what --help says: build/man
	@tools/man.sh $(BUILD)/moegps $(BUILD)/man

install: moegps man ## install below PREFIX
	install -D -m 755 $(BUILD)/moegps $(DESTDIR)$(PREFIX)/bin/moegps
	install -d $(DESTDIR)$(PREFIX)/share/man/man1
	install -m 644 $(BUILD)/man/*.1 $(DESTDIR)$(PREFIX)/share/man/man1
	install -D -m 644 tools/completion.bash $(DESTDIR)$(PREFIX)/share/bash-completion/completions/moegps
	install -D -m 644 tools/completion.zsh $(DESTDIR)$(PREFIX)/share/zsh/site-functions/_moegps
	cd jobs && find . -type f -exec install -D -m 644 {} \
	    $(DESTDIR)$(PREFIX)/share/moegps/jobs/{} \;

dist: ## an archive of the last commit: build/moegps-VERSION.tar.gz
	@mkdir -p $(BUILD)
	@git archive --prefix=moegps-$(VERSION:.dirty=)/ -o $(BUILD)/moegps-$(VERSION:.dirty=).tar.gz HEAD
	@echo $(BUILD)/moegps-$(VERSION:.dirty=).tar.gz

.PHONY: deps demo check check-only check-page check-unit build-tests asan tsan tsan-only valgrind fuzz fuzz-only soak bench bench-only validate validate-only deployments evaluate paper \
        paper-only format format-check lint man install dist
