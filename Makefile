# `make` alone says what there is. Go and make are enough for run and test; further tools are built or installed on first
# use, in the user's cache folder and by version.

SHELL := /bin/bash
GO ?= go
export GO
VERSION ?= $(shell git describe --tags --always --dirty 2>/dev/null || echo unknown)
BUILD := $(GO) build -trimpath -ldflags '-X main.version=$(VERSION)'
FUZZTIME ?= 10s
export FUZZTIME

.DEFAULT_GOAL := help
.PHONY: help build run test bench bench-packages fuzz check check-fmt check-vet check-lint check-imports check-generated check-modules \
	check-size release-check release-prepare generate tidy clean

help: ## say what there is
	@awk -F ':.*## ' '/^[a-z-]+:.*## / { printf "  %-16s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)

build: ## build bin/realmgate and its plugins, bin/realmgate-plugin-*
	$(BUILD) -o bin/realmgate ./host/cmd/realmgate
	$(BUILD) -o bin/realmgate-plugin-default ./plugins/default/realmgate-plugin-default
	$(BUILD) -o bin/realmgate-plugin-aws ./plugins/aws/realmgate-plugin-aws
	$(BUILD) -o bin/realmgate-plugin-vault ./plugins/vault/realmgate-plugin-vault

run: build ## build, then serve config.hcl
	./bin/realmgate serve --config config.hcl

test: ## run the tests of all modules
	@.ci/test

bench: ## measure the daemon and print the table that docs/performance.md explains (two minutes, more on a busy machine; ROWS=remembered: those alone)
	@cd test/bench && $(GO) test -count=1 -timeout 10m -run '^TestTable$$' -args -table -rows '$(ROWS)'

bench-packages: ## run the benchmarks of all packages
	$(GO) test -run '^$$' -bench . -benchmem work

fuzz: ## run every fuzz target for FUZZTIME (10s)
	@.ci/fuzz

check: check-fmt check-vet check-size check-imports check-generated check-lint check-modules ## run all checks
	@echo '==> all checks passed'

check-fmt: ## everything is formatted by gofmt
	@unformatted=$$(git ls-files -z --cached --others --exclude-standard -- '*.go' | xargs -0 ls -d 2>/dev/null | xargs gofmt -l); \
	if [ -n "$$unformatted" ]; then echo "not formatted by gofmt:"; echo "$$unformatted"; exit 1; fi

check-vet: ## go vet finds nothing
	$(GO) vet work

check-lint: ## golangci-lint finds nothing
	@.ci/check-lint

check-imports: ## rooms import what docs/architecture.md lets them
	$(GO) test ./internal/deptest

check-generated: ## .proto files are in order and their code is up to date
	@.ci/check-generated

check-modules: ## modules are tidy and build without the workspace
	@.ci/check-modules

check-size: ## no file or function is overlong
	@.ci/check-size

release-check: ## a release of this tree could be installed, and a plugin built with its SDK (a minute or two)
	@.ci/check-release

release-prepare: ## write RELEASE=v0.2.0 into versions.yaml and all go.mod files (SET=contract: of that set alone)
	@GOWORK=off $(GO) -C tools run ./release set '$(or $(SET),all)' '$(RELEASE)' ..

generate: ## generate code from the .proto files (needs npm)
	@. .ci/lib.sh && b=$$(buf) && { [ -n "$$b" ] || { echo 'npm is missing' >&2; exit 1; }; } && GOWORK=off "$$b" generate

tidy: ## tidy the go.mod and go.sum of all modules
	@.ci/check-modules --fix

clean: ## remove what was built
	rm -rf bin out
