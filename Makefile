# `make help` lists what there is. Every target does its own set-up.
SHELL := /bin/bash
.DEFAULT_GOAL := help

PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
LOCK := requirements.lock

# What the local Kubernetes, its guests and the tests drive, by their Debian names. Of prometheus the
# tests use the programs; its service, which Debian starts, is switched off.
PACKAGES := buildah ca-certificates catatonit conntrack containerd containernetworking-plugins \
            debian-archive-keyring e2fsprogs ethtool iproute2 iptables kmod mmdebstrap nftables \
            procps prometheus qemu-system-x86 rt-app runc skopeo socat stress-ng
# What the tests of the live page drive.
BROWSER_PACKAGES := chromium fonts-dejavu-core

define install_packages
	@missing=$$(for p in $(1); do dpkg-query -W -f '$${Status}' $$p 2>/dev/null | grep -q 'ok installed' || echo $$p; done); \
	if [ -n "$$missing" ]; then \
	  echo "==> Debian packages:" $$missing; \
	  apt-get update -qq && DEBIAN_FRONTEND=noninteractive apt-get install -y -qq \
	    -o DPkg::Lock::Timeout=300 --no-install-recommends $$missing >/dev/null; \
	  if [[ " $$missing " == *" prometheus "* && -d /run/systemd/system ]]; then \
	    systemctl disable --quiet --now prometheus.service; \
	  fi; \
	fi
endef

BENCHES := $(addprefix admission.,cpu_time refusals acceptance hi_over_low mechanisms shared_groups soundness) \
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
	@$(BIN)/pip install --quiet --disable-pip-version-check --no-index --no-build-isolation -e '.[plot,test,docs,dev]'
	@touch $@

.PHONY: setup
setup: $(BIN)/.installed ## Install the Python packages (in .venv)

.PHONY: packages
packages: ## Install the Debian packages that the local cluster needs (root)
	$(call install_packages,$(PACKAGES))

.PHONY: browser
browser: # Install the Debian packages that the tests of the page need (root)
	$(call install_packages,$(BROWSER_PACKAGES))

.PHONY: demo
demo: setup packages ## Bring up a real Kubernetes, deploy k40s, tell its story with figures (root)
	$(BIN)/k40s demo

.PHONY: recording
recording: setup packages ## The same, kept as a picture for the documents: docs/images/demo.svg (root)
	$(BIN)/k40s demo --recording docs/images/demo.svg

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

# Tests that a stall of the machine can fail are looked at a second time, aloud (tests/second_look.py):
# where no more than so many files of a kind have failed. SECOND_LOOK=0 looks once only.
SECOND_LOOK ?= 1
LOOKS := build/second-looks.txt
LOOK := $(BIN)/python -m tests.second_look --files $(SECOND_LOOK) --report $(LOOKS)

.PHONY: test
test: setup packages ## Everything: check, property, browser, kernel, contract and end-to-end tests (root)
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/lint-imports
	@rm -f $(LOOKS)
	@echo "==> unit, property and contract tests; beside them the guests, which mostly wait"
	@$(MAKE) --no-print-directory -j 2 test-units test-guests
	@$(MAKE) --no-print-directory test-browser
	$(LOOK) tests/kernel -- -v -p no:randomly --durations=15
	$(LOOK) tests/e2e -- -v -p no:randomly --durations=15 --ignore=tests/e2e/test_guest_node.py
	@! test -e $(LOOKS) || cat $(LOOKS)

.PHONY: test-units
test-units: setup
	$(BIN)/pytest -q -n auto -p no:randomly tests/property tests/unit
	$(LOOK) tests/contract -- -v -n 2 --dist loadfile --no-loadscope-reorder -p no:randomly

.PHONY: test-guests
test-guests: setup packages
	$(LOOK) tests/guest -- -v -p no:randomly
	$(LOOK) tests/e2e/test_guest_node.py -- -v -p no:randomly

.PHONY: test-browser
test-browser: setup browser ## The live page in a real Chromium without a window (root)
	$(LOOK) tests/browser -- -q -p no:randomly

.PHONY: screenshots
screenshots: setup browser ## Make the pictures of the page in the documents again (docs/images/page-*.png)
	K40S_SCREENSHOTS=1 $(BIN)/pytest -q -p no:randomly tests/browser/test_pictures.py

.PHONY: test-gates
test-gates: setup packages ## Gate schedules alone, on a real kernel in a guest (root)
	$(BIN)/pytest -v -p no:randomly tests/guest/test_gate_schedules.py

# A Debian machine as it comes, emulated: no virtualization and no network is needed in it. Another
# command than the demo: make test-stock KERNELS=12 COMMAND='uname -a'. What it found: docs/local-cluster.md.
KERNELS ?= 13 12
STOCK_SECONDS ?= 10800
.PHONY: test-stock
test-stock: setup packages ## The demo on Debian 13's and 12's own kernels, emulated (KERNELS="13 12"); up to hours (root)
	@failed=""; for kernel in $(KERNELS); do \
	  echo "==> the kernel of Debian $$kernel"; \
	  $(BIN)/python -m localcluster.guest.stock --kernel $$kernel --seconds $(STOCK_SECONDS) $(if $(COMMAND),'$(COMMAND)') \
	    || failed="$$failed $$kernel"; \
	done; if [ -n "$$failed" ]; then echo "failed:$$failed"; exit 1; fi

.PHONY: test-guest-time
test-guest-time: setup packages ## Loops beside rogues, all scenes on Debian's kernels, in guests whose clock counts instructions (root)
	$(BIN)/pytest -v -s -p no:randomly tests/guest/test_guest_time.py --every-kernel

# Each scheduler against the API server of the local cluster. A version is built once, in minutes.
# What newer ones need there: docs/extender.md.
VERSIONS ?= 1.34.4 1.36.3 1.37.2 1.38.0-beta.0
SCHEDULER_TESTS := tests/contract/test_scheduler_contract.py tests/contract/test_preemption.py
.PHONY: test-schedulers
test-schedulers: setup ## The extender's contract with other kube-schedulers (VERSIONS="1.36.3 1.37.2"); builds each once
	@failed=""; for version in $(VERSIONS); do \
	  echo "==> kube-scheduler $$version"; \
	  $(BIN)/pytest -v -p no:randomly $(SCHEDULER_TESTS) --scheduler v$$version || failed="$$failed $$version"; \
	done; if [ -n "$$failed" ]; then echo "failed:$$failed"; exit 1; fi

.PHONY: pin-scheduler
pin-scheduler: setup # A further version: its pins and hashes, to be committed (VERSION=1.36.4)
	$(BIN)/python -m localcluster.images.pin_scheduler v$(VERSION)

# A link, an anchor or a picture that is not there ends it. A test builds the same, and looks for
# addresses of other hosts.
.PHONY: site
site: setup ## Build the documents as a site, into site/; it needs no network
	NO_MKDOCS_2_WARNING=1 $(BIN)/mkdocs build --strict --quiet
	@echo "site/index.html"

.PHONY: diagrams
diagrams: setup # Draw the diagrams of docs/ again, where one was changed (Node.js, npm's registry)
	npm install --silent --no-save --prefix build/diagrams beautiful-mermaid@1.1.3
	$(BIN)/python docs/theme/draw_diagrams.py build/diagrams

.PHONY: coverage
coverage: setup ## Unit and property tests with their coverage, which takes twice as long
	$(BIN)/pytest -q -n auto tests/unit tests/property --cov --cov-report=term:skip-covered

.PHONY: bench
bench: setup packages ## Run the benchmarks; each prints a table (root, about 15 minutes)
	@for name in $(BENCHES); do echo "==> $$name"; $(BIN)/python -m bench.$$name || exit 1; done

.PHONY: boards
boards: setup ## Write Grafana boards and Prometheus alerts from monitoring/ into manifests/components
	$(BIN)/python -m monitoring

.PHONY: format
format: setup ## Format the code and fix what can be fixed
	$(BIN)/ruff format .
	$(BIN)/ruff check --fix .

.PHONY: lock
lock: setup ## Pin the current dependencies, with hashes and without addresses
	$(BIN)/uv pip compile --quiet --universal --generate-hashes --extra plot --extra test --extra docs --extra dev \
	  --no-emit-index-url --no-emit-find-links --python-version 3.11 \
	  --custom-compile-command "make lock" -o requirements.lock pyproject.toml
	$(BIN)/uv pip compile --quiet --universal --generate-hashes --no-annotate -c requirements.lock \
	  --no-emit-index-url --no-emit-find-links --python-version 3.11 \
	  --custom-compile-command "make lock" -o requirements-runtime.lock pyproject.toml
