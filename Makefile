# The commands of Ragline; README.md describes them.
SHELL := /bin/bash
.DEFAULT_GOAL := help

# Where `make run` keeps its data, and the port it serves.
DATA ?= .ragline
PORT ?= 8080
WATCH_PORT ?= 9000
PROMETHEUS_PORT ?= 9095
# For `make token`.
TENANT ?= demo
USER ?= ada
ROLE ?= admin
# For `make build`: the host's architecture unless ARCH is arm64 or x86_64.
ARCH ?= host
# For `make deploy` and `make delete`: one of the environments of samconfig.toml, parameters of the template as NAME=VALUE, and
# YES=1 not to be asked. DATA_TOO=1 has `make delete` remove the tables, the bucket and the secret as well.
ENVIRONMENT ?= dev
PARAMETERS ?=
export PARAMETERS
ASK := $(if $(YES),--yes)

# For `make load`: what users do (mix, documents, search, chat or upload).
SCENARIO ?= mix
# For `make rival`: as many as there are cores.
WORKERS ?= $(shell getconf _NPROCESSORS_ONLN)

export DATA
export PATH := $(CURDIR)/.tools/bin:$(PATH)

API_FUNCTIONS := chat documents health search upload users
FUNCTIONS := $(API_FUNCTIONS) authorizer changes ingest webhooks
PACKAGES := $(addprefix --package ,$(FUNCTIONS))
# As part of the workspace, so that the dependencies are compiled once for this and for the tests.
BUILD_LOCAL := cargo build --workspace --bin local
LOCAL := $${CARGO_TARGET_DIR:-target}/debug/local --data $(DATA)
# Optimised, for what is measured from outside.
BUILD_FAST := cargo build --workspace --profile bench --bin local --bin scripted-llm
FAST := --programs $${CARGO_TARGET_DIR:-target}/release

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

# For `make freeze`: for how long environments are frozen, and how many of them each time.
FROZEN ?= 1,60,400
ENVIRONMENTS ?= 40

.PHONY: help run observe watch token redrive reindex test chaos check openapi dashboards observed contract bench load soak rival growth eval build \
	footprint deploy delete smoke cost invoke lambda cold freeze

help:
	@echo "make run      serve everything on http://127.0.0.1:$(PORT)"
	@echo "make observe  the same with a Prometheus beside it on http://127.0.0.1:$(PROMETHEUS_PORT)"
	@echo "make watch    the functions under cargo lambda watch on http://127.0.0.1:$(WATCH_PORT)"
	@echo "make token    TENANT= USER= ROLE=   print a token of the local issuer"
	@echo "make redrive  have what was given up tried anew"
	@echo "make reindex  have documents re-embedded that lack vectors of the model in use"
	@echo "make test     all tests"
	@echo "make chaos    each part fails while the whole is under load: what users see, and that nothing is lost"
	@echo "make check    format, lints, documentation, template"
	@echo "make openapi  write docs/openapi.json, the description of the API"
	@echo "make dashboards   write ops/grafana, the dashboards, and the table of metrics"
	@echo "make contract the running API against its description"
	@echo "make observed every query of ops/ against a real Prometheus, and what clients counted"
	@echo "make bench    what the door costs beside a plain GET, and ranking, ingestion, chat and telemetry beside their least"
	@echo "make load     USERS= MINUTES= SCENARIO=   load a server of its own with users, step by step"
	@echo "make soak     USERS= MINUTES=       whether memory and descriptors of a loaded server stay flat"
	@echo "make rival    WORKERS=              Ragline beside the same route in FastAPI"
	@echo "make growth   how search and ingestion grow with what is stored"
	@echo "make eval     DATASET=<folder> IDENTIFIERS=<n>   measure the search of the running server"
	@echo "make invoke   run the functions as Lambda does, and hold their calls against their roles"
	@echo "make lambda   the functions in environments that are frozen, recycled and killed"
	@echo "make cold     cold starts, warm events and memory of the built functions, beside a bare one and a rival"
	@echo "make freeze   FROZEN=1,60,400 ENVIRONMENTS=40   the first request after environments were frozen"
	@echo "make build    build the functions for Lambda and print their sizes"
	@echo "make deploy   ENVIRONMENT=dev PARAMETERS=   deploy to AWS"
	@echo "make delete   ENVIRONMENT=dev       delete what was deployed, but for the data"
	@echo "make smoke    URL= TOKEN=           try an API from end to end"
	@echo "make cost     USERS= REQUESTS= CHATS= DOCUMENTS=   what a month costs on AWS"

run:
	@scripts/setup.sh redis weights
	@$(BUILD_LOCAL)
	@exec $(LOCAL) serve --port $(PORT)

observe:
	@scripts/setup.sh redis weights prometheus
	@$(BUILD_LOCAL)
	@exec python3 scripts/observe.py --port $(PORT) --prometheus-port $(PROMETHEUS_PORT) -- $(LOCAL) serve --port $(PORT)

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

# About ten minutes. FAULTS= names some of them, such as `redis`.
FAULTS ?= --all

chaos:
	@scripts/setup.sh redis faketime
	cargo test --workspace --test chaos -- $(FAULTS)

check:
	@scripts/setup.sh template-tools openapi-tools workflow-tools dashboard-tools prometheus sam
	cargo fmt --all --check
	cargo clippy --workspace --all-targets -- -D warnings
	RUSTDOCFLAGS="-D warnings" cargo doc --workspace --no-deps --document-private-items
	.tools/bin/python scripts/check_template.py
	python3 scripts/cost.py --max-rest 10 --max-month 60
	.tools/bin/openapi-spec-validator docs/openapi.json
	.tools/bin/python scripts/check_ops.py
	.tools/bin/zizmor --offline --quiet .github/workflows
	SAM_CLI_TELEMETRY=0 AWS_DEFAULT_REGION=us-east-1 .tools/bin/sam validate --lint --template template.yaml

openapi:
	cargo build --workspace --bin openapi
	@$${CARGO_TARGET_DIR:-target}/debug/openapi

dashboards:
	cargo build --workspace --bin dashboards
	@$${CARGO_TARGET_DIR:-target}/debug/dashboards

# What Prometheus says of a running server, against what its clients count.
observed:
	@scripts/setup.sh redis prometheus
	@$(BUILD_LOCAL)
	@python3 tests/observe/run.py --local $${CARGO_TARGET_DIR:-target}/debug/local

contract:
	@scripts/setup.sh redis schemathesis
	@$(BUILD_LOCAL)
	@python3 tests/contract/run.py --local $${CARGO_TARGET_DIR:-target}/debug/local --schemathesis .tools/bin/schemathesis

bench:
	@scripts/setup.sh redis weights
	cargo build --workspace --profile bench --bin authorizer --bin documents --bin extract
	cargo bench --workspace --bench door --bench candidates --bench ingestion --bench chat --bench telemetry

load:
	@scripts/setup.sh redis load-tools
	@$(BUILD_FAST)
	@.tools/load/bin/python tests/load/load.py $(FAST) --users $(or $(USERS),100) --minutes $(or $(MINUTES),1) --scenario $(SCENARIO)

soak:
	@scripts/setup.sh redis load-tools
	@$(BUILD_FAST)
	@.tools/load/bin/python tests/load/load.py --soak $(FAST) --users $(or $(USERS),50) --minutes $(or $(MINUTES),30)

rival:
	@scripts/setup.sh redis load-tools rival wrk
	@$(BUILD_FAST)
	@.tools/load/bin/python tests/load/rival/compare.py $(FAST) --gunicorn .tools/rival/bin/gunicorn --workers $(WORKERS)

growth:
	@scripts/setup.sh redis load-tools
	@$(BUILD_FAST)
	@.tools/load/bin/python tests/load/growth.py $(FAST)

EVAL_NAME = $(if $(DATASET),$(notdir $(abspath $(DATASET))),identifiers)
EVAL_TENANT = eval-$(EVAL_NAME)

eval:
	@$(BUILD_LOCAL) --quiet
	@test -n "$(DATASET)$(IDENTIFIERS)" || { \
		echo "usage: make eval [DATASET=<folder>] [IDENTIFIERS=500] [PORT=8080]" >&2; exit 2; }
	@python3 tests/eval/eval.py --url http://127.0.0.1:$(PORT) --tenant $(EVAL_TENANT) \
		$(if $(DATASET),--dataset $(DATASET)) --identifiers $(or $(IDENTIFIERS),0) --json $(DATA)/eval/$(EVAL_NAME).json \
		--operator "$$($(LOCAL) token --tenant platform --user eval --role operator)" \
		--token "$$($(LOCAL) token --tenant $(EVAL_TENANT) --user eval --role admin)"

build:
	@scripts/setup.sh redis cargo-lambda
	$(LAMBDA_BUILD) $(PACKAGES)
	@$(MAKE) --no-print-directory footprint

# Sizes of the binaries, plain and zipped, and their resident memory once warm where they can run on this machine.
footprint:
	@$(BUILD_LOCAL) --quiet
	@python3 scripts/footprint.py $(FUNCTIONS)

# The functions run as on Lambda: with the sample events, and then with all that they can be asked, to see whether their roles
# allow what they call, and no more.
invoke:
	@scripts/setup.sh redis template-tools doubles
	cargo build --workspace --bins
	@.tools/bin/python scripts/invoke.py --folder $${CARGO_TARGET_DIR:-target}/debug
	@.tools/bin/python scripts/permissions.py --folder $${CARGO_TARGET_DIR:-target}/debug

# The functions behind a gateway, in environments that start when they are needed, are frozen, recycled and killed.
lambda:
	@scripts/setup.sh redis
	cargo build --workspace --bins
	cargo test --workspace --test lambda -- --ignored

# The functions as they were built for Lambda, and beside them what is built in the same way.
cold:
	@scripts/setup.sh redis cargo-lambda rival-lambda
	$(LAMBDA_BUILD) $(PACKAGES) --package hello
	cargo build --workspace --profile bench --bin lambda --bin extract
	@$${CARGO_TARGET_DIR:-target}/release/lambda --functions target/lambda cold --rival .tools/rival-lambda/bin/python

freeze:
	@scripts/setup.sh redis cargo-lambda
	$(LAMBDA_BUILD) $(PACKAGES)
	cargo build --workspace --profile bench --bin lambda --bin extract
	@$${CARGO_TARGET_DIR:-target}/release/lambda --functions target/lambda freeze --seconds $(FROZEN) --environments $(ENVIRONMENTS)

deploy:
	@scripts/setup.sh cargo-lambda zig sam
	$(MAKE) --no-print-directory build ARCH=arm64
	@python3 scripts/deploy.py $(ASK) $(ENVIRONMENT)

delete:
	@scripts/setup.sh sam
	@.tools/bin/python scripts/delete.py $(ASK) $(if $(DATA_TOO),--data) ragline-$(ENVIRONMENT)

# Without URL= the running local server, with a token of its issuer.
smoke:
ifdef URL
	@python3 scripts/smoke.py $(URL)
else
	@$(BUILD_LOCAL) --quiet
	@TOKEN=$$($(LOCAL) token --tenant smoke --user smoke --role editor) python3 scripts/smoke.py http://127.0.0.1:$(PORT)
endif

cost:
	@python3 scripts/cost.py $(if $(USERS),--users $(USERS)) $(if $(REQUESTS),--requests $(REQUESTS)) \
		$(if $(CHATS),--chats $(CHATS)) $(if $(DOCUMENTS),--documents $(DOCUMENTS))
