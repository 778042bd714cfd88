# Every target sets up what it needs: Python 3.11 or later and make are enough.
PYTHON ?= python3
VENV ?= .venv
BIN := $(VENV)/bin
PIP := $(BIN)/python -m pip install --quiet --disable-pip-version-check

DEMO ?= demo-out
# Long runs: where the annotated photos are, where results go, how long to train.
DATA ?= data/plates/annotations.jsonl
STAMPS ?= data/stamps/annotations.jsonl
RUNS ?= runs
# Of a training, where it is not to be as long as its recipe says.
MINUTES ?=

RECIPES := $(basename $(notdir $(wildcard recipes/*.toml)))

.DEFAULT_GOAL := help
.PHONY: help demo quick test slow coverage licences release browser check site format bench serve fuzz $(RECIPES:%=train-%) train parents invented-country evaluate crash ray identify calibration registry-search clean

help: ## list the targets
	@awk -F ':.*## ' '/^[a-z-]+:.*## / { printf "%-16s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)

# A stamp file says that the environment is as pyproject.toml and constraints.txt want it.
$(VENV)/.pip:
	$(PYTHON) -m venv $(VENV)
	$(PIP) --upgrade 'pip>=25.1'
	@touch $@

$(VENV)/.installed: $(VENV)/.pip pyproject.toml constraints.txt
	$(PIP) --constraint constraints.txt --editable .
	@touch $@

$(VENV)/.developer: $(VENV)/.installed
	$(PIP) --constraint constraints.txt --editable '.[all]' --group dev
	@touch $@

demo: $(VENV)/.installed ## find the plates and stamps of examples/, leave pictures in demo-out/
	$(BIN)/platemark plates examples/photos --annotated $(DEMO)/plates --format table
	$(BIN)/platemark stamps examples/documents --annotated $(DEMO)/stamps --crops $(DEMO)/cut-out --format table
	@echo "Annotated pictures are in $(DEMO)/"

# These start processes, servers, browsers, databases and trainings, or run the bundled models.
SLOW_TESTS := apps cases docs matching registry server synth train usecases test_lanes.py \
	models/test_hub.py stamps/test_pipeline.py tasks/test_stamp_reader.py
# A file of tests stays in one process: what its fixtures start is started once.
PROCESSES ?= 2
PYTEST := $(BIN)/python -m pytest -n $(PROCESSES) --dist loadfile

quick: $(VENV)/.developer ## run the fast tests, in less than a minute
	$(PYTEST) -q $(SLOW_TESTS:%=--ignore=tests/%)

test: $(VENV)/.developer browser ## run all tests
	$(PYTEST) --durations=20

slow: fuzz crash invented-country ray ## long: what CI leaves out

coverage: $(VENV)/.developer browser ## run all tests and fail where too few lines are covered; build/coverage has a page
	$(PYTEST) --cov --cov-report term --cov-report html

licences: $(VENV)/.developer ## write docs/licences.md, and fail where a licence cannot be used
	$(BIN)/python .ci/licences.py docs/licences.md

release: $(VENV)/.developer ## build sdist and wheel in dist/, install the wheel afresh and use it
	$(BIN)/python .ci/release.py dist

# The tests of the web app drive it: the one of the system, else one that Playwright brings.
browser: $(VENV)/.developer ## install Chromium where there is none
	@command -v chromium >/dev/null || command -v chromium-browser >/dev/null || \
	if [ "$$(id -u)" = 0 ] && command -v apt-get >/dev/null; then \
		apt-get update --quiet && apt-get install --yes --quiet --no-install-recommends chromium; \
	else \
		$(BIN)/playwright install chromium; \
	fi

site: $(VENV)/.developer ## build the documentation in build/site
	NO_MKDOCS_2_WARNING=1 $(BIN)/mkdocs build --strict

check: $(VENV)/.developer ## lint, formatting and types
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy

format: $(VENV)/.developer ## put the source into shape
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .

bench: $(VENV)/.installed ## time every stage on this machine
	$(BIN)/platemark bench

serve: $(VENV)/.developer ## serve the HTTP API and the web app on port 8000
	$(BIN)/platemark serve

fuzz: $(VENV)/.developer ## long: send what the API describes, and what it does not, to a server
	FUZZ_EXAMPLES=300 $(BIN)/python -m pytest tests/server/test_contract.py
	$(BIN)/python benchmarks/serve.py malformed --count 10000

# One recipe makes each bundled model from random weights; `make train-plate-reader` runs one.
$(RECIPES:%=train-%): train-%: $(VENV)/.developer
	$(BIN)/platemark train recipes/$*.toml --output $(RUNS)/$* $(if $(MINUTES),--set schedule.minutes=$(MINUTES))

train: $(RECIPES:%=train-%) ## long: make all bundled models from their recipes, one after the other

# The last step of a model starts from the one before, which is in the history.
parents: ## take the parents of recipes/steps out of the history
	mkdir -p $(RUNS)/parents/plate-reader-1.1.1
	for file in model.onnx card.json; do \
		git show 1aae036:src/platemark/models/bundled/plate-reader/$$file \
			> $(RUNS)/parents/plate-reader-1.1.1/$$file || exit 1; \
	done

invented-country: $(VENV)/.developer ## minutes: teach the reader the plates of an invented country
	cd examples/invented-country && $(abspath $(BIN))/python teach.py $(abspath $(RUNS))/invented-country

evaluate: $(VENV)/.installed ## long: score the bundled models on annotated photos
	$(BIN)/platemark evaluate plates $(DATA) --split test --errors $(RUNS)/errors
	$(BIN)/platemark evaluate stamps $(STAMPS) --split test --errors $(RUNS)/stamp-errors

crash: $(VENV)/.developer ## long: kill processes that add to a registry some hundred times
	PLATEMARK_CRASH_ROUNDS=400 $(BIN)/python -m pytest tests/registry/test_crash.py

# A busy machine is slow, not wrong.
ray: $(VENV)/.developer ## run a batch on a Ray cluster of two nodes, one of which is killed
	$(PIP) --constraint constraints.txt --editable '.[ray]'
	RAY_raylet_start_wait_time_s=300 RAY_USAGE_STATS_ENABLED=0 \
		$(BIN)/python -m pytest tests/apps/batch_on_ray.py

identify: $(VENV)/.developer ## long: identify imprints of unseen stamps among 1,000 designs
	$(BIN)/platemark synth stamps --kind imprints --imprints-per-design 7 --near-copies 0.3 \
		--no-masks --count 8400 --seed 4001 --output $(RUNS)/known-4001
	$(BIN)/python benchmarks/identify.py $(RUNS)/known-4001/annotations.jsonl \
		--json $(RUNS)/identify.json

calibration: $(VENV)/.developer ## long: measure the thresholds that come with the package
	$(BIN)/platemark synth stamps --kind imprints --imprints-per-design 4 --no-masks \
		--count 4000 --seed 4002 --output $(RUNS)/known-4002
	$(BIN)/python recipes/calibration.py data/stamps/annotations.jsonl \
		$(RUNS)/known-4002/annotations.jsonl

registry-search: $(VENV)/.developer ## long: time the search among a million vectors
	$(BIN)/platemark synth stamps --kind artworks --near-copies 0.3 --count 2000 --seed 7 \
		--no-masks --output $(RUNS)/search
	$(BIN)/python benchmarks/registry_search.py $(RUNS)/search/annotations.jsonl

clean: ## remove what the targets made, except runs/
	rm -rf $(VENV) $(DEMO) build dist .mypy_cache .pytest_cache .ruff_cache .hypothesis
