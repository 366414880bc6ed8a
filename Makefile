# Every target sets up what it needs, says what it installs, and is quick the second time.
# `make help` lists them.

SHELL := /bin/bash
.DEFAULT_GOAL := help
.PHONY: help demo test compiled lint format types docs check chaos bench package chart cluster image lock clean

BIN := $${HEADGATE_VENV:-.venv}/bin
# What pytest gets besides: `make test ARGS="-k queue"`.
ARGS ?=

help:  ## this list
	@awk -F ':.*## ' '/^[a-z-]+:.*## / {printf "  make %-9s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

demo:  ## ten jobs against four sandboxes, without Headgate and with it
	@scripts/setup-python run
	@$(BIN)/headgate demo

test:  ## every test, the chaos tests too
	@scripts/setup-python dev
	@scripts/setup-tools toxiproxy
	@scripts/setup-cluster >/dev/null || test -z "$$CI"
	@echo "==> the SDKs' own environments (built once)" >&2; $(BIN)/python -m tests.sdk.environments >/dev/null
	@echo "==> the Kubernetes clients' own environments (built once)" >&2; $(BIN)/python -m tests.kubernetes.environments >/dev/null
	@$(BIN)/python -m pytest $(ARGS)

compiled:  ## the tests of what can be compiled, against a Headgate compiled with mypyc
	@scripts/setup-python dev
	@scripts/setup-tools toxiproxy
	@scripts/check-compiled $(ARGS)

lint:  ## ruff and the Dockerfile's lint
	@scripts/setup-python dev
	@$(BIN)/ruff check
	@$(BIN)/ruff format --check
	@scripts/check-dockerfile

format:  ## puts the code in ruff's shape
	@scripts/setup-python dev
	@$(BIN)/ruff check --fix
	@$(BIN)/ruff format

types:  ## mypy, strict
	@scripts/setup-python dev
	@$(BIN)/mypy

docs:  ## writes docs/policy.md from the policy schema
	@scripts/setup-python dev
	@$(BIN)/python -m proxy.cli.policy_reference >docs/.policy.new && mv docs/.policy.new docs/policy.md

check: lint types test compiled package chart  ## all that CI runs

chaos:  ## breaks the network in every way, and prints what held as a table
	@scripts/setup-python dev
	@scripts/setup-tools toxiproxy
	@$(BIN)/python -m chaos $(ARGS)

bench:  ## side by side with HAProxy, nginx and Envoy
	@scripts/setup-python dev
	@scripts/setup-python bench
	@compiled=$$(scripts/compile) && $$compiled/bin/python -m bench $(or $(ARGS),all)

package:  ## builds the wheel and the sdist, and uses the wheel in an environment of its own
	@scripts/setup-python dev
	@scripts/check-package

chart:  ## lints and renders the Helm chart
	@scripts/setup-tools helm
	@scripts/check-chart

cluster:  ## a real Kubernetes on loopback, with a node, until Ctrl-C
	@scripts/setup-python dev
	@exec $(BIN)/python -m tests.cluster

image:  ## builds the container image (docker, podman or buildah)
	@scripts/build-image

lock:  ## pins every dependency anew
	@scripts/lock

clean:  ## removes what the other targets made, but not the cache outside the tree
	@rm -rf .venv build dist .mypy_cache .pytest_cache .ruff_cache .hypothesis
	@find . -name __pycache__ -type d -prune -exec rm -rf {} +
