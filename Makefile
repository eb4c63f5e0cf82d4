# Each target is one line of a real tool; set-up is idempotent and costs under two seconds when there is nothing to do.
BIN := .venv/bin
SEEDS ?= 1000
MINUTES ?= 5
# An ordinary user's PATH lacks the folders of nft and bird on Debian.
export PATH := $(PATH):/usr/local/sbin:/usr/sbin:/sbin
# Hundreds of processes start in the tests: they share what one of them has compiled, whatever the caller's shell says.
export PYTHONDONTWRITEBYTECODE :=
# Tests draw the same examples in every run; `make soak` is for other ones.
PYTEST := PYTHONHASHSEED=0 $(BIN)/pytest --hypothesis-profile=ci
# What `check` leaves out. Of it the labs run one at a time and alone, as their probes have limits of time. The other
# tests with namespaces each have their own and run two at a time, apart from those with servers: a process in which
# gRPC has started threads can't enter a user namespace. Tests with servers wait a lot, so they run three at a time.
MARKED := netns or interop or engines or slow
APART := netns or interop
.PHONY: setup demo check format test soak bench engines lock clean
.NOTPARALLEL:

setup:
	@scripts/setup.sh

demo: setup
	@$(BIN)/muslin lab demo

check: setup
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/mypy -n 2
	$(BIN)/lint-imports
	$(PYTEST) -q -n 2 -m "not ($(MARKED))"

format: setup
	$(BIN)/ruff format .
	$(BIN)/ruff check --fix .

test: check
	@scripts/engines/build.sh --status
	$(PYTEST) -q -n 3 --dist loadfile -m "(engines or slow) and not ($(APART))" --ignore=tests/lab --durations=10
	$(PYTEST) -q -n 2 --dist loadfile -m "$(APART)" --ignore=tests/lab --durations=5
	$(PYTEST) -v -m "$(MARKED)" tests/lab --durations=10

soak: setup
	$(BIN)/python -m tests.soak --seeds $(SEEDS) --minutes $(MINUTES)

bench: setup
	$(BIN)/python -m tests.bench

engines:
	scripts/engines/build.sh

lock: setup
	scripts/lock.sh

clean:
	rm -rf build .mypy_cache .ruff_cache .pytest_cache .hypothesis .import_linter_cache
