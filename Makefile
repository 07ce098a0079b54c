# clustermesos: `make demo` shows it, `make test` proves it, `make help` lists the rest.
.DEFAULT_GOAL := help
.DELETE_ON_ERROR:
MAKEFLAGS += --no-print-directory

PYTHON ?= python3
export PYTHONPATH :=
# Where a shell forbids them, every test's process would compile the library, and pytest all tests, anew.
export PYTHONDONTWRITEBYTECODE :=
# The project's own Python, Node, Terraform and cdktf come first; whatever else the machine has is not used.
TOOLS_PATH := $(CURDIR)/.tools/bin:$(CURDIR)/.venv/bin
RUN := PATH="$(TOOLS_PATH):$$PATH" JSII_NODE="$(CURDIR)/.tools/bin/node" .venv/bin/python
# What needs a program of its own, takes a third of a second or more, or is the rest of a matrix: `make check`
# leaves it to `make test`.
FAST := not (terraform or embedded or checkov or root or slow)

.PHONY: drills help demo demo-destroy test check bench venv tools system lock clean

help: ## this list
	@awk -F ':.*## ' '/^[a-z-]+:.*## / {printf "  make %-13s %s\n", $$1, $$2}' Makefile

demo: venv ## deploy cluster.yaml into an AWS API that runs on this machine, and show what was built
	@$(RUN) -m scripts.tools node terraform aws-plugin cdktf
	@$(RUN) -m scripts.demo deploy

demo-destroy: venv ## destroy what `make demo` built and stop the AWS API
	@$(RUN) -m scripts.tools node terraform aws-plugin cdktf
	@$(RUN) -m scripts.demo destroy

test: venv system ## everything that CI checks
	@$(RUN) -m scripts.tools
	@$(MAKE) lint
	@$(RUN) -m scripts.whole_test

check: venv ## before each commit, in under 2 minutes: lint, types, import layers and the fast tests
	@$(RUN) -m scripts.tools node
	@$(MAKE) lint
	@$(RUN) -m pytest -q -n auto --dist loadfile -m "$(FAST)"

.PHONY: lint
lint:
	@.venv/bin/ruff check .
	@.venv/bin/ruff format --check .
	@.venv/bin/mypy
	@.venv/bin/lint-imports

bench: venv ## measure synth and memory against the prebuilt bindings, boots, and sizes of user data; writes docs/performance.md, docs/user-data.md, docs/boot-times.md, docs/reconcile.md
	@$(RUN) -m scripts.tools node terraform aws-plugin cdktf consul
	@$(RUN) -m scripts.bench
	@$(RUN) -m scripts.bench_sizes
	@$(RUN) -m scripts.bench_boots
	@$(RUN) -m scripts.bench_reconcile

drills: venv system ## boot the lab's cluster as root, break it in every drill; writes docs/drills.md
	@$(RUN) -m scripts.tools
	@$(RUN) -m pytest tests/lab
	@$(RUN) -m scripts.drills

venv: ## the Python environment .venv, from requirements/dev.lock
	@$(PYTHON) -m scripts.environment

tools: venv ## Node, Terraform, the AWS plugin, cdktf, checkov, ZooKeeper, Consul, consul-template, dockerd, WireGuard, a registry, under .tools/
	@$(RUN) -m scripts.tools

system: ## the system packages that tests need (apt, as root)
	@sh scripts/system_packages.sh

lock: venv ## write requirements/*.lock anew from pyproject.toml; UPGRADE=1 takes the newest versions
	@$(RUN) -m scripts.tools node
	@$(RUN) -m scripts.lock $(if $(UPGRADE),--upgrade)

clean: ## remove .venv, .tools and what was generated; state, secrets and the download cache stay
	@rm -rf .venv .tools cdktf.out build dist .mypy_cache .ruff_cache .pytest_cache .hypothesis .import_linter_cache
	@find bench cloud-init constructs_lib examples scripts stacks tests -name __pycache__ -prune -exec rm -rf {} +
