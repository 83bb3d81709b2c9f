#!/usr/bin/env bash
# Tries a deployed stack from end to end, with a token for the client credentials in TOKEN_URL, CLIENT_ID and CLIENT_SECRET.
# Usage: scripts/smoke_stack.sh STACK
set -euo pipefail
cd "$(dirname "$0")/.."

: "${1:?usage: scripts/smoke_stack.sh STACK}" "${TOKEN_URL:?}" "${CLIENT_ID:?}" "${CLIENT_SECRET:?}"

url=$(aws cloudformation describe-stacks --stack-name "$1" \
    --query "Stacks[0].Outputs[?OutputKey=='ApiUrl'].OutputValue" --output text)
# The secret not among the arguments, since arguments can be read by every process of the machine.
TOKEN=$(curl --silent --show-error --fail "$TOKEN_URL" --data grant_type=client_credentials \
    --config <(printf 'user = "%s:%s"\n' "$CLIENT_ID" "$CLIENT_SECRET") |
    python3 -c 'import json, sys; print(json.load(sys.stdin)["access_token"])')
export TOKEN
exec python3 scripts/smoke.py "$url"
