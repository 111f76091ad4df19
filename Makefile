# Copyright The Fairlead Authors.
# SPDX-License-Identifier: Apache-2.0

SHELL := /bin/bash
.SHELLFLAGS := -euo pipefail -c
.DEFAULT_GOAL := help

export GOFLAGS := -buildvcs=false
STATE := $(CURDIR)/.fairlead
BIN := $(STATE)/bin

# The modules of go.work, and those that stay outside it.
MODULES := gen services/internal services/auth services/build services/serving services/eventing services/gateway services/fairlead services/e2e
OUTSIDE := services/tools deploy/devcluster
PACKAGES := $(addprefix ./,$(addsuffix /...,$(MODULES)))
VERSION ?= $(shell git describe --tags --always --dirty 2>/dev/null || echo dev)
LDFLAGS := -s -w -X fairlead.dev/services/internal/version.version=$(VERSION)

.PHONY: help
help: ## List the targets.
	@awk -F ':.*## ' '/^[a-z-]+:.*## / {printf "  %-12s %s\n", $$1, $$2}' Makefile

.PHONY: build
build: ## Build fairlead, a binary of each service, and the local Kubernetes into .fairlead/bin.
	@mkdir -p $(BIN)
	@deploy/devcluster/build.sh $(BIN)
	@go build -ldflags '$(LDFLAGS)' -o $(BIN)/ ./services/fairlead ./services/fairlead/cmd/...
	@go build -o $(BIN)/quickstart ./services/e2e/cmd/quickstart
	@cd services/tools && GOWORK=off go build -o $(BIN)/grpcurl github.com/fullstorydev/grpcurl/cmd/grpcurl

.PHONY: packages
packages: ## Install the Debian packages that are missing.
	@deploy/packages.sh

.PHONY: gen
gen: ## Make everything in gen/ and the generated protos anew.
	@services/tools/generate.sh

.PHONY: lint
lint: ## Lint protos and Go, and look for known vulnerabilities.
	@services/tools/lint.sh

.PHONY: verify
verify: ## Check that generated code is up to date, that protos stay compatible, and that each module builds by itself.
	@services/tools/verify.sh $(MODULES)

.PHONY: test-unit
test-unit: ## Run the fast tests, which need no cluster.
	@go test -short $(PACKAGES)

.PHONY: cluster
cluster: build ## Bring the local Kubernetes up, if it is not.
	@$(BIN)/devcluster up --state $(STATE)/devcluster

.PHONY: test
test: cluster ## Run all tests, on the local Kubernetes too.
	@cd deploy/devcluster && GOWORK=off go test ./...
	@cd services/tools && GOWORK=off go test ./...
	@services/tools/npm.sh
	@FAIRLEAD_STATE=$(STATE) FAIRLEAD_CLUSTER_KUBECONFIG=$(STATE)/devcluster/admin.kubeconfig \
		FAIRLEAD_CLUSTER_REGISTRY=$$(cat $(STATE)/devcluster/registry) go test -tags cluster -p 1 -timeout 15m $(PACKAGES)

FUZZTIME ?= 10s
.PHONY: fuzz
fuzz: ## Run each fuzz target for FUZZTIME, 10s by default.
	@services/tools/fuzz.sh $(FUZZTIME)

FAULTS := ./services/internal/store ./services/build ./services/e2e
.PHONY: soak
soak: cluster ## Run the tests of faults in their long form, which takes more than an hour.
	@FAIRLEAD_SOAK=1 FAIRLEAD_STATE=$(STATE) FAIRLEAD_CLUSTER_KUBECONFIG=$(STATE)/devcluster/admin.kubeconfig \
		FAIRLEAD_CLUSTER_REGISTRY=$$(cat $(STATE)/devcluster/registry) go test -tags cluster -count 1 -v -p 1 -timeout 6h $(FAULTS)

.PHONY: bench
bench: bench-go bench-table ## Run the Go benchmarks, then measure beside raw etcd and kube-apiserver.

.PHONY: bench-go
bench-go: ## Run the Go benchmarks.
	@go test -run '^$$' -bench . -benchtime 2s $(PACKAGES) | grep -v 'no test files'

.PHONY: bench-table
bench-table: build ## Measure raw etcd, kube-apiserver and Fairlead side by side.
	@go run ./services/e2e/cmd/bench --bin $(BIN) $(BENCH)

.PHONY: quickstart
quickstart: packages build ## From source to a running, event-driven service on a local Kubernetes, and leave it running.
	@$(BIN)/quickstart up --state $(STATE)

.PHONY: down
down: ## End all that quickstart started; data stays.
	@if [ -x $(BIN)/quickstart ]; then $(BIN)/quickstart down --state $(STATE); fi

.PHONY: clean
clean: down ## Remove all data and everything built.
	@if [ -x $(BIN)/devcluster ]; then $(BIN)/devcluster clean --state $(STATE)/devcluster; fi
	@rm -rf $(STATE)
