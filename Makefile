# The commands of Ragline; README.md describes them.
SHELL := /bin/bash
.DEFAULT_GOAL := help

# Where `make run` keeps its data, and the port it serves.
DATA ?= .ragline
PORT ?= 8080
WATCH_PORT ?= 9000
# For `make token`.
TENANT ?= demo
USER ?= ada
ROLE ?= admin
# For `make build`: the host's architecture unless ARCH is arm64 or x86_64.
ARCH ?= host
# For `make deploy`: one of the environments of samconfig.toml.
ENVIRONMENT ?= dev

export DATA
export PATH := $(CURDIR)/.tools/bin:$(PATH)

API_FUNCTIONS := chat documents health search upload users
FUNCTIONS := $(API_FUNCTIONS) authorizer changes ingest webhooks
PACKAGES := $(addprefix --package ,$(FUNCTIONS))
# As part of the workspace, so that the dependencies are compiled once for this and for the tests.
BUILD_LOCAL := cargo build --workspace --bin local
LOCAL := $${CARGO_TARGET_DIR:-target}/debug/local --data $(DATA)

ifeq ($(ARCH),host)
LAMBDA_BUILD := cargo lambda build --release --lambda-dir target/lambda --compiler cargo
else ifeq ($(ARCH),arm64)
LAMBDA_BUILD := cargo lambda build --release --lambda-dir target/lambda --arm64
else
LAMBDA_BUILD := cargo lambda build --release --lambda-dir target/lambda --x86-64
endif

# `make token` takes USER from its own line, not from the shell.
ifneq ($(origin USER),command line)
USER := ada
endif

.PHONY: help run watch token redrive reindex test check openapi contract bench eval build footprint deploy

help:
	@echo "make run      serve everything on http://127.0.0.1:$(PORT)"
	@echo "make watch    the functions under cargo lambda watch on http://127.0.0.1:$(WATCH_PORT)"
	@echo "make token    TENANT= USER= ROLE=   print a token of the local issuer"
	@echo "make redrive  have what was given up tried anew"
	@echo "make reindex  have documents re-embedded that lack vectors of the model in use"
	@echo "make test     all tests"
	@echo "make check    format, lints, documentation, template"
	@echo "make openapi  write docs/openapi.json, the description of the API"
	@echo "make contract the running API against its description"
	@echo "make bench    what the door costs beside a plain GET, ingestion beside its embedder, and chat beside its model"
	@echo "make eval     DATASET=<folder>      measure the search of the running server"
	@echo "make build    build the functions for Lambda and print their sizes"
	@echo "make deploy   ENVIRONMENT=dev       deploy to AWS"

run:
	@scripts/setup.sh redis weights
	@$(BUILD_LOCAL)
	@exec $(LOCAL) serve --port $(PORT)

watch:
	@scripts/setup.sh redis weights cargo-lambda
	@$(BUILD_LOCAL)
	@# As cargo-lambda builds them; functions that are compiled at their first request block each other.
	@for function in $(FUNCTIONS); do cargo build --bin $$function || exit 1; done
	@exec $(LOCAL) watch --port $(WATCH_PORT)

token:
	@$(BUILD_LOCAL) --quiet
	@$(LOCAL) token --tenant $(TENANT) --user $(USER) --role $(ROLE)

redrive:
	@$(BUILD_LOCAL) --quiet
	@$(LOCAL) redrive

reindex:
	@$(BUILD_LOCAL) --quiet
	@$(LOCAL) reindex

test:
	@scripts/setup.sh redis weights node-clients openai-client
	cargo test --workspace

check:
	@scripts/setup.sh template-tools openapi-tools sam
	cargo fmt --all --check
	cargo clippy --workspace --all-targets -- -D warnings
	RUSTDOCFLAGS="-D warnings" cargo doc --workspace --no-deps --document-private-items
	.tools/bin/python scripts/check_template.py
	.tools/bin/openapi-spec-validator docs/openapi.json
	SAM_CLI_TELEMETRY=0 AWS_DEFAULT_REGION=us-east-1 .tools/bin/sam validate --lint --template template.yaml

openapi:
	cargo build --workspace --bin openapi
	@$${CARGO_TARGET_DIR:-target}/debug/openapi

contract:
	@scripts/setup.sh redis schemathesis
	@$(BUILD_LOCAL)
	@python3 tests/contract/run.py --local $${CARGO_TARGET_DIR:-target}/debug/local --schemathesis .tools/bin/schemathesis

bench:
	@scripts/setup.sh redis weights
	cargo bench --workspace --bench door --bench ingestion --bench chat

EVAL_TENANT = eval-$(notdir $(abspath $(DATASET)))

eval:
	@$(BUILD_LOCAL) --quiet
	@test -n "$(DATASET)" || { echo "usage: make eval DATASET=<folder> [PORT=8080]" >&2; exit 2; }
	@python3 tests/eval/eval.py --url http://127.0.0.1:$(PORT) --dataset $(DATASET) --tenant $(EVAL_TENANT) \
		--operator "$$($(LOCAL) token --tenant platform --user eval --role operator)" \
		--token "$$($(LOCAL) token --tenant $(EVAL_TENANT) --user eval --role editor)"

build:
	@scripts/setup.sh redis cargo-lambda
	$(LAMBDA_BUILD) $(PACKAGES)
	@$(MAKE) --no-print-directory footprint

# Sizes of the binaries, and their resident memory once warm where they can run on this machine.
footprint:
	@$(BUILD_LOCAL) --quiet
	@python3 scripts/footprint.py $(FUNCTIONS)

deploy:
	@scripts/setup.sh cargo-lambda sam
	$(MAKE) --no-print-directory build ARCH=arm64
	SAM_CLI_TELEMETRY=0 sam deploy --config-env $(ENVIRONMENT)
