# Everything here makes its own environment in .venv from nothing but Python >= 3.11.
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin

.PHONY: help man axe coverage demo test test-faults test-system lint fuzz clean install uninstall deb dist mutate bench-agent bench-buffer bench-collectors bench-detect bench-forecast bench-hub bench-resilience bench-sampling bench-transformer pictures

help:
	@grep -hE '^## ' $(MAKEFILE_LIST) | sed 's/^## //'

## make demo       a hub and an agent on this host, live, until Ctrl-C
demo: $(VENV)/run.stamp
	@exec $(BIN)/rebellion demo

## make test       the whole test suite
test: $(VENV)/dev.stamp
	@$(BIN)/python -m pytest -q -n auto --dist loadfile

## make test-faults   every fault with five seeds each, and what each came to; its short form is part of make test
test-faults: $(VENV)/dev.stamp
	@$(BIN)/python -m pytest -q -n 2 tests/faults -m "long or not long"

## make axe        what the page's accessibility test needs, from npm, into build/axe
axe: build/axe/stamp
build/axe/stamp: tests/integration/page/axe/package.json tests/integration/page/axe/package-lock.json
	@mkdir -p build/axe
	@cp $^ build/axe/
	@npm ci --prefix build/axe --ignore-scripts --no-audit --no-fund --silent
	@touch $@
## make test-system   boots a systemd in a container, installs the package, starts, breaks and removes the service (root, Debian)
test-system: $(VENV)/dev.stamp
	@tests/system/prepare.sh >/dev/null
	@$(MAKE) --no-print-directory deb
	@nice $(BIN)/python -m pytest -q -m booted tests/system

## make lint       ruff, mypy --strict, import-linter
lint: $(VENV)/dev.stamp
	@$(BIN)/ruff check .
	@$(BIN)/ruff format --check .
	@$(BIN)/mypy
	@$(BIN)/lint-imports --no-cache

## make bench-agent   CPU and memory of the agent at 1 s, as shipped and with the host's series only; NETDATA=1 fetches Debian's Netdata (root) and runs it beside the agent for two minutes
bench-agent: $(VENV)/run.stamp
	@$(BIN)/python benchmarks/agent_cost.py $(if $(NETDATA),--netdata build/netdata --seconds 120,--profile default --profile host)

## make bench-sampling   what each sampling strategy keeps of labelled series; DATA=nab_dev.zip
DATA ?= $(firstword $(wildcard nab_dev.zip ../shared/data/nab_dev.zip) nab_dev.zip)
bench-sampling: $(VENV)/run.stamp
	@$(BIN)/python benchmarks/sampling.py --data "$(DATA)"

## make pictures   draws the pictures of the documentation again; DATA=nab_dev.zip
pictures: $(VENV)/run.stamp
	@$(BIN)/python benchmarks/sampling_pictures.py
	@$(BIN)/python benchmarks/knowing_pictures.py --data "$(DATA)"

## make bench-buffer   the buffer beside a bounded deque and asyncio.Queue
bench-buffer: $(VENV)/run.stamp
	@$(BIN)/python benchmarks/buffer.py

## make bench-resilience   what a guarded call and a recovered call cost beside others', and what breakers do when it matters
bench-resilience: $(VENV)/run.stamp
	@$(BIN)/python benchmarks/resilience_bench.py
	@$(BIN)/python benchmarks/recovery_bench.py
	@$(BIN)/python benchmarks/behaviour.py

## make bench-transformer   microseconds a series a tick; PEERS=transformer_peers.py measures others beside it
PEERS ?= $(wildcard ../shared/tools/transformer_peers.py)
bench-transformer: $(VENV)/run.stamp
	@$(BIN)/python benchmarks/transformer_bench.py $(if $(PEERS),--peers "$(PEERS)")

## make bench-detect   detectors by NAB's rules, and what they cost; JUDGE=detect_eval.py, DATA=nab_dev.zip
JUDGE ?= $(wildcard ../shared/tools/detect_eval.py)
bench-detect: $(VENV)/run.stamp
	@$(BIN)/python benchmarks/detect_bench.py $(if $(and $(JUDGE),$(wildcard $(DATA))),--judge "$(JUDGE)" --data "$(dir $(DATA))")
	@$(if $(and $(JUDGE),$(wildcard $(DATA))),$(BIN)/python benchmarks/detect_altered.py --judge "$(JUDGE)" --data "$(dir $(DATA))")
	@$(if $(JUDGE),$(BIN)/python benchmarks/detect_generated.py --judge "$(JUDGE)")

## make bench-forecast   forecasts and predicted failures beside simpler ones; DATA=nab_dev.zip
bench-forecast: $(VENV)/run.stamp
	@$(BIN)/python benchmarks/forecast_bench.py $(if $(wildcard $(DATA)),--data "$(DATA)")

## make bench-hub   what one core of a hub takes from 1,000 agents; AGENTS=1000 SERIES=200
AGENTS ?= 1000
SERIES ?= 200
bench-hub: $(VENV)/run.stamp
	@$(BIN)/python benchmarks/hub_bench.py --agents $(AGENTS) --series $(SERIES)

## make bench-collectors   what each collector costs a tick
bench-collectors: $(VENV)/run.stamp
	@$(BIN)/python benchmarks/collectors_cost.py

## make coverage   branches of agent/resilience that its own tests do not reach; there should be none
coverage: $(VENV)/dev.stamp
	@mkdir -p build
	@$(BIN)/python -m coverage run --data-file=build/coverage --source=agent.resilience -m pytest -q -n 0 tests/unit/resilience
	@$(BIN)/python -m coverage report --data-file=build/coverage --skip-covered --show-missing --fail-under=100

## make mutate     how many defects put into the breaker its tests find; SHORT=1 tries a fixed sample, under a minute
mutate: $(VENV)/dev.stamp
	@$(BIN)/python tests/mutation/mutate.py $(if $(SHORT),--short)

## make fuzz       coverage-guided fuzzing of the protocol (atheris); SECONDS=60
SECONDS ?= 60
fuzz: $(VENV)/fuzz.stamp
	@mkdir -p build/fuzz
	@cd build/fuzz && ../../$(BIN)/python ../../tests/fuzz/fuzz_protocol.py corpus -max_total_time=$(SECONDS) -max_len=4096 -verbosity=0 -print_final_stats=1

$(VENV)/bin/python:
	@$(PYTHON) -c 'import sys; sys.exit(0 if sys.version_info >= (3, 11) else "Python >= 3.11 is needed, this is " + sys.version.split()[0] + "; choose another: make PYTHON=python3.12")'
	@$(PYTHON) -m venv $(VENV) || { rm -rf $(VENV); echo "python3 -m venv does not work here; on Debian: apt-get install python3-venv" >&2; exit 1; }

PIP := $(BIN)/python -m pip install --quiet --disable-pip-version-check --require-hashes

$(VENV)/run.stamp: requirements.lock requirements-tui.lock requirements-build.lock pyproject.toml | $(VENV)/bin/python
	@echo "installing into $(VENV) ..."
	@$(PIP) -r requirements.lock -r requirements-tui.lock -r requirements-build.lock
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check --no-deps --no-build-isolation --editable .
	@$(BIN)/python -m compileall -q agent plugins
	@touch $@

$(VENV)/dev.stamp: requirements-dev.lock $(VENV)/run.stamp
	@echo "installing what the tests need into $(VENV) ..."
	@$(PIP) -r requirements-dev.lock
	@touch $@

$(VENV)/fuzz.stamp: requirements-fuzz.lock $(VENV)/dev.stamp
	@$(PIP) -r requirements-fuzz.lock
	@touch $@

## make install    into PREFIX (/opt/rebellion) with its own environment, units and configuration; DESTDIR= for packagers
install uninstall: export PREFIX ?= /opt/rebellion
install uninstall: export DESTDIR ?=
install uninstall: export PYTHON ?= python3
install:
	@systemd/install.sh install

## make uninstall  remove it again; configuration and state stay
uninstall:
	@systemd/install.sh uninstall

## make dist       sdist and wheel into dist/
dist: $(VENV)/dev.stamp
	@$(BIN)/python packaging/make_dist.py . dist

## make man        the manual page and the completions of bash, zsh and fish, into build/share
man: $(VENV)/run.stamp
	@packaging/make_share.sh build/share $(BIN)/rebellion
	@find build/share -type f

## make deb        dist/rebellion-agent_*.deb for the Debian that this machine runs, with its own environment
PACKAGED := $(shell find agent plugins etc systemd packaging docs -type f ! -name '*.pyc')
build/deb.stamp: $(PACKAGED) requirements.lock requirements-tui.lock requirements-build.lock pyproject.toml
	@rm -f dist/rebellion-agent_*.deb
	@PYTHON=$(DEB_PYTHON) packaging/make_deb.sh
	@mkdir -p build && touch $@

DEB_PYTHON ?= /usr/bin/python3
deb: build/deb.stamp

clean:
	rm -rf $(VENV) build dist *.egg-info
