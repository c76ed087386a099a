# Everything that can be made here. `make` alone lists it. Recipes only name what runs; logic lives in hack/.
# A target that needs Python makes .venv from the hashed lock first (hack/venv.sh): instant when it is up to date.

SHELL := /bin/bash
.SHELLFLAGS := -eu -o pipefail -c
.DEFAULT_GOAL := help
MAKEFLAGS += --no-print-directory

PYTHON ?=
PY := .venv/bin/python
# Tools (kubectl, etcd, kind, ...) that hack/tools found, fetched or built.
TOOLS_BIN = $(shell $(PY) -m hack.tools --print-bin)
KUBECTL = PATH="$(TOOLS_BIN):$$PATH" kubectl
CRDS := config/crd
ENGINE ?= docker
IMAGE ?= cluster-api-provider-kind:dev
BASE_IMAGE ?=
RELEASE ?= out/release
ARGS ?=
ALSO ?=
PROFILE ?= conformance/profiles/local.yaml

export PYTHON

.PHONY: help
help: ## List the targets
	@awk 'BEGIN { FS = ":.*## " } /^## / { printf "\n%s\n", substr($$0, 4) } /^[a-z0-9-]+:.*## / { printf "  %-18s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)

## Try it

.PHONY: demo demo-status demo-down
demo: tools ## Run the main job here: a management API, the manager, a first cluster
	@$(PY) -m devenv.demo up
demo-status: venv ## Show what the demo runs and how to talk to it
	@$(PY) -m devenv.demo status
demo-down: venv ## End every process of the demo and remove every file
	@$(PY) -m devenv.demo down

.PHONY: capi-up capi-down
capi-up: tools-capi ## Play with Cluster API itself: its core, clusterctl, our CRDs and manager as local processes
	@$(PY) -m devenv.playground up
capi-down: venv ## End every process of it and remove every file
	@$(PY) -m devenv.playground down

## Use it, against the cluster of the current kubeconfig

.PHONY: install uninstall run
install: tool-kubectl ## Install the CRDs and wait until they are served
	@$(KUBECTL) apply -k $(CRDS)
	@$(KUBECTL) kustomize $(CRDS) | $(KUBECTL) wait --for=condition=Established --timeout=60s -f -
uninstall: tool-kubectl ## Remove the CRDs; refuses while there are KINDClusters
	@PATH="$(TOOLS_BIN):$$PATH" hack/uninstall.sh $(CRDS)
run: tools ## Run the manager in the foreground; flags: make run ARGS="--log-level=debug"
	@PATH="$(TOOLS_BIN):$$PATH" $(PY) -m provider $(ARGS)

## Test it

.PHONY: test test-unit test-component test-contract test-envtest test-local test-capi test-conformance test-e2e test-kills test-hostile test-mutations reliability
test: venv ## All that needs no container engine: unit, static checks, generated files, component, contract, envtest, local (ALSO: more tiers)
	@CONFORMANCE_PROFILE=$(PROFILE) $(PY) -m hack.tiers unit $(ALSO) envtest component local static contract generated coverage -- $(ARGS)
test-unit: venv ## Unit tier alone (Python only, seconds)
	@$(PY) -m hack.tiers unit -- $(ARGS)
test-component: venv ## Component tier: real processes around fake commands (Python only)
	@$(PY) -m hack.tiers component -- $(ARGS)
test-contract: venv ## Contract tier: one suite for each implementation of a port
	@$(PY) -m hack.tiers contract -- $(ARGS)
test-envtest: venv ## Envtest tier: against a real etcd and kube-apiserver
	@$(PY) -m hack.tiers envtest -- $(ARGS)
test-local: venv ## Local tier: the embedded runtime with its real processes
	@$(PY) -m hack.tiers local -- $(ARGS)
test-capi: venv ## Cluster API tier: its real core manager and clusterctl (compiled on first use: 4 minutes)
	@$(PY) -m hack.tiers capi -- $(ARGS)
test-conformance: venv ## Conformance to Cluster API: the kit against this provider (PROFILE), and that each of its checks can fail
	@CONFORMANCE_PROFILE=$(PROFILE) $(PY) -m hack.tiers conformance conformance-selftest -- $(ARGS)
test-e2e: venv ## End to end: real engine, real kind (tools on PATH or in E2E_BIN)
	@$(PY) -m hack.tiers e2e -- $(ARGS)

test-kills: venv ## 32 kills of the manager on real kind (10 minutes; tools as for test-e2e)
	@$(PY) -m hack.tiers kills -- $(ARGS)
test-hostile: venv ## 10,000 random objects against a real API server and a manager (HOSTILE_OBJECTS)
	@HOSTILE_OBJECTS=$${HOSTILE_OBJECTS:-10000} $(PY) -m hack.tiers hostile -- $(ARGS)
test-mutations: venv ## Check the tests of faults: put known bugs into a copy; each must turn one of them red (minutes)
	@$(PY) -m hack.mutations $(ARGS)
reliability: venv ## Put what the last runs of the tiers counted (out/) into docs/reference/reliability.md
	@$(PY) -m hack.reliability --record

.PHONY: verify lint typecheck verify-gen verify-manifests benchmark benchmark-idle
verify: venv ## All static checks: lint, types, layers, generated files
	@$(PY) -m hack.tiers static generated
lint: venv ## ruff: rules and format
	@$(PY) -m ruff check . && $(PY) -m ruff format --check .
typecheck: venv ## mypy --strict
	@$(PY) -m mypy
verify-manifests: verify-gen
verify-gen: venv ## Fail when a generated file is stale
	@$(PY) -m hack.tiers generated
benchmark: tools ## Overhead over plain kind: apply to Ready against `kind create cluster --wait`; with Cluster API: ARGS=--capi
	@PATH="$(TOOLS_BIN):$$PATH" $(PY) -m benchmarks.create $(ARGS)
benchmark-idle: tools ## What the manager costs at rest: CPU, memory, writes; for many objects: ARGS="--objects 200 2000"
	@PATH="$(TOOLS_BIN):$$PATH" $(PY) -m benchmarks.idle $(ARGS)

## Work on it

.PHONY: venv tools tools-capi manifests format lock image release-artifacts clean
venv: ## Make or refresh .venv from the hashed lock
	@hack/venv.sh
tools: venv ## Get kubectl, etcd, the Kubernetes servers, kind and kwok: from PATH, cache, download or source
	@$(PY) -m hack.tools
tools-capi: venv ## The same, and what `capi` targets need: Cluster API's core manager, its manifests, clusterctl
	@$(PY) -m hack.tools --capi --quiet
tool-%: venv
	@$(PY) -m hack.tools --quiet --only $*
manifests: venv ## Write what is generated: config/crd from the models, config/rbac and docs/reference from the code
	@$(PY) -m hack.crdgen && $(PY) -m hack.rbac && $(PY) -m hack.reference && $(PY) -m hack.reliability
format: venv ## Let ruff fix and format
	@$(PY) -m ruff check --fix . && $(PY) -m ruff format .
lock: ## Lock the dependencies again (hashes for every platform; names no host)
	@hack/lock.sh $(ARGS)
image: venv ## Build the container image: IMAGE, BASE_IMAGE, ENGINE, DOCKER_CLI
	@IMAGE=$(IMAGE) BASE_IMAGE=$(BASE_IMAGE) ENGINE=$(ENGINE) hack/image.sh
release-artifacts: tool-kubectl ## Write out/release (RELEASE): a local repository for clusterctl, and the clusterctl.yaml that names it
	@$(PY) -m hack.release --out $(RELEASE)
clean: ## Remove what was made in this checkout (not the caches of the user)
	rm -rf .venv .venv.* build conformance/build dist out *.egg-info conformance/*.egg-info .mypy_cache .ruff_cache .pytest_cache .import_linter_cache .hypothesis .coverage .coverage.*
	find . -name __pycache__ -type d -prune -exec rm -rf {} +
