# `make help` lists what there is. Every target does its own set-up.
SHELL := /bin/bash
.DEFAULT_GOAL := help

PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
LOCK := requirements.lock

# What the local Kubernetes, its guests and the kernel tests drive, by their Debian names.
PACKAGES := buildah ca-certificates catatonit conntrack containerd containernetworking-plugins \
            e2fsprogs ethtool iproute2 iptables mmdebstrap nftables procps qemu-system-x86 rt-app \
            runc skopeo socat stress-ng

BENCHES := $(addprefix admission.,cpu_time acceptance mechanisms shared_groups soundness) \
           $(addprefix extender.,calls node_queries) \
           $(addprefix rubicante.,enforce burst fuzz footprint) kernel.isolation kernel.soundness \
           $(addprefix tdma.,collisions acceptance speed) \
           malacoda.sampler malacoda.load malacoda.usage malacoda.harm malacoda.stress \
           extender.scheduler_throughput

.PHONY: help
help: ## Show this help
	@grep -hE '^[a-z-]+:.*## ' $(MAKEFILE_LIST) | sed -E 's/:.*## /\t/' | expand -t 16

# Exactly what is locked, whatever the index holds on the day: nothing is resolved (--no-deps), and
# what is there is then checked.
$(BIN)/.locked: $(LOCK)
	@echo "==> Python packages into $(VENV)"
	@$(PYTHON) -m venv --clear $(VENV) 2>/dev/null || { \
	  apt-get update -qq && apt-get install -y -qq -o DPkg::Lock::Timeout=300 python3-venv >/dev/null && $(PYTHON) -m venv --clear $(VENV); }
	@$(BIN)/pip install --quiet --disable-pip-version-check --no-deps --require-hashes -r $(LOCK)
	@$(BIN)/pip check --disable-pip-version-check
	@touch $@

# k40s itself is built by the locked hatchling. Without an index, what it needs (extras included) is
# either there already, or missing in the lock and reported. The extra local is in the checkout.
$(BIN)/.installed: pyproject.toml $(BIN)/.locked
	@$(BIN)/pip install --quiet --disable-pip-version-check --no-index --no-build-isolation -e '.[plot,test,dev]'
	@touch $@

.PHONY: setup
setup: $(BIN)/.installed ## Install the Python packages (in .venv)

.PHONY: packages
packages: ## Install the Debian packages that the local cluster needs (root)
	@missing=$$(for p in $(PACKAGES); do dpkg-query -W -f '$${Status}' $$p 2>/dev/null | grep -q 'ok installed' || echo $$p; done); \
	if [ -n "$$missing" ]; then \
	  echo "==> Debian packages:" $$missing; \
	  apt-get update -qq && DEBIAN_FRONTEND=noninteractive apt-get install -y -qq \
	    -o DPkg::Lock::Timeout=300 --no-install-recommends $$missing >/dev/null; \
	fi

.PHONY: demo
demo: setup packages ## Bring up a real Kubernetes, deploy k40s, tell its story with figures (root)
	$(BIN)/k40s demo

.PHONY: demo-down
demo-down: setup ## Remove everything that the demo made (root)
	$(BIN)/k40s local down --name demo

.PHONY: check
check: setup ## Lint, types, layers, unit tests; under a minute
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/lint-imports
	$(BIN)/pytest -q -n auto tests/unit

.PHONY: test
test: setup packages ## Everything but test-gates: check, property, kernel, contract and end-to-end tests (root)
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/lint-imports
	@echo "==> unit, property and contract tests; beside them the guests, which mostly wait"
	@$(MAKE) --no-print-directory -j 2 test-units test-guests
	$(BIN)/pytest -v -p no:randomly tests/kernel
	$(BIN)/pytest -v -p no:randomly tests/e2e --ignore=tests/e2e/test_guest_node.py

.PHONY: test-units
test-units: setup
	$(BIN)/pytest -q -n auto -p no:randomly tests/property tests/unit
	$(BIN)/pytest -v -n 2 --dist loadfile --no-loadscope-reorder -p no:randomly tests/contract

.PHONY: test-guests
test-guests: setup packages
	$(BIN)/pytest -v -p no:randomly tests/guest --ignore=tests/guest/test_gate_schedules.py
	$(BIN)/pytest -v -p no:randomly tests/e2e/test_guest_node.py

.PHONY: test-gates
test-gates: setup packages ## Gate schedules on a real kernel, in a guest; not part of test: the machine has to be idle (root)
	$(BIN)/pytest -v -p no:randomly tests/guest/test_gate_schedules.py

.PHONY: coverage
coverage: setup ## Unit and property tests with their coverage, which takes twice as long
	$(BIN)/pytest -q -n auto tests/unit tests/property --cov --cov-report=term:skip-covered

.PHONY: bench
bench: setup packages ## Run the benchmarks; each prints a table (root, about 15 minutes)
	@for name in $(BENCHES); do echo "==> $$name"; $(BIN)/python -m bench.$$name || exit 1; done

.PHONY: format
format: setup ## Format the code and fix what can be fixed
	$(BIN)/ruff format .
	$(BIN)/ruff check --fix .

.PHONY: lock
lock: setup ## Pin the current dependencies, with hashes and without addresses
	$(BIN)/uv pip compile --quiet --universal --generate-hashes --extra plot --extra test --extra dev \
	  --no-emit-index-url --no-emit-find-links --python-version 3.11 \
	  --custom-compile-command "make lock" -o requirements.lock pyproject.toml
	$(BIN)/uv pip compile --quiet --universal --generate-hashes --no-annotate -c requirements.lock \
	  --no-emit-index-url --no-emit-find-links --python-version 3.11 \
	  --custom-compile-command "make lock" -o requirements-runtime.lock pyproject.toml
