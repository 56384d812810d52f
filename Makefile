# The two ways in: `make local` for a notebook on this machine, `make test` for the tests. `make help` lists the rest.
SHELL := /bin/bash
.DEFAULT_GOAL := help
.PHONY: help venv local local-down local-status test test-slow lint bench requirements release clean
# What the collection is tried on.
CORES := 2.16 2.17 2.18 2.19 2.20 2.21

help: ## Show this list
	@sed -nE 's/^([a-z-]+):.*## (.*)/  make \1\t\2/p' Makefile | expand -t 22

venv: ## Make .venv with what the playbooks need
	@tools/venv requirements.txt

local: ## The notebook on this machine, in a machine of a local EC2
	@tools/local

local-down: ## Remove everything that `make local` made (IMAGES=1: the machine image too)
	@tools/local-down

local-status: ## Show what runs
	@.venv/bin/python -m local_ec2 status

test: ## Run the tests (20 to 40 minutes on 2 cores)
	@tools/test

test-slow: ## Run those that take longer, too
	@tools/test --slow

lint: ## Check the style of everything
	@tools/venv tests/requirements.txt
	@tools/lint

bench: ## Measure what bench/README.md lists, on the machine of `make local`
	@tools/venv tests/requirements.txt
	@.venv/bin/python -m bench

requirements: ## Choose the newest versions that fit the .in files
	@tools/venv requirements-bootstrap.txt
	@for file in requirements local_ec2/requirements tests/requirements tests/ops/requirements; do \
	  .venv/bin/uv pip compile --quiet --generate-hashes --no-header --python-version 3.11 $$file.in -o $$file.txt; done
	@for core in $(CORES); do echo "ansible-core~=$$core.0" | .venv/bin/uv pip compile --quiet --generate-hashes --no-header \
	  --no-annotate --no-deps --python-version 3.12 - | sed ':a; /\\$$/ { N; s/ *\\\n */ /; ba }'; done >tests/ops/cores.txt

release: ## Build the tarball of this version, and tag it
	@tools/venv requirements.txt
	@tools/release

clean: local-down ## Remove the virtual environment and caches too
	@rm -rf .venv .cache .ansible
