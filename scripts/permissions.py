#!/usr/bin/env python3
"""Holds what the functions call in AWS against what their roles allow: no call without a permission, no permission without a call.

Usage: permissions.py [--folder target/debug]

The built functions run as on Lambda (gateway.py), with streams and queues, and every route is asked for what it can do (tour.py).
DynamoDB is the embedded one; S3, SQS, STS and Bedrock are doubles (doubles.py, bedrock.py). Tenants have sessions, so what is
asked for a tenant and what a function asks for itself are held against different roles, with the keys of each call; without
sessions a function's role has both. Needs the packages of check_template.py, and moto. The last line reads
`N calls, M permissions, K differences`.
"""

import argparse
import logging
import pathlib
import socket
import sys
from typing import Any

from aws_calls import Call, Calls, Recorder, Targets
from doubles import ACCOUNT, BUCKET, Aws, aws
from gateway import serving
from iam import Permission, Roles
from runtime_api import ROOT, Services, services
from template_checks.stack import Stack, translate
from template_checks.tenants import ACTING
from tour import Tour

FUNCTIONS = ("authorizer", "changes", "chat", "documents", "health", "ingest", "search", "upload", "users", "webhooks")
# Permissions that nothing here has use for, and what has.
ELSEWHERE = {
    Permission("chat", True, "dynamodb:BatchGetItem", "ChunksTable"): "passages that only their words lead to, in many collections",
    Permission("search", True, "dynamodb:BatchGetItem", "ChunksTable"): "passages that only their words lead to, in many collections",
    Permission("ingest", True, "dynamodb:PutItem", "MainTable"): "a mark, when the cache cannot be told that something is stale",
    Permission(
        "ingest", True, "dynamodb:SearchVectors", "ChunksTable/index/by_embedding"
    ): "whether the index of another model answers",
    Permission("ingest", True, "dynamodb:UpdateItem", "ChunksTable"): "vectors of another model",
}


def variables(function: str, local: Services, double: Aws, way: str) -> dict[str, str]:
    """What a function is told, so that all it asks of AWS goes this way."""
    told = {
        **local.variables,
        "DYNAMODB_ENDPOINT": way,
        "S3_ENDPOINT": way,
        "STS_ENDPOINT": way,
        "BLOBS_URL": f"s3://{BUCKET}",
        "INGEST_QUEUE_URL": f"{way}/{ACCOUNT}/IngestQueue",
        "WEBHOOK_QUEUE_URL": f"{way}/{ACCOUNT}/WebhookQueue",
        "AWS_ENDPOINT_URL_BEDROCK_RUNTIME": way,
        "AWS_ACCESS_KEY_ID": function,
        "AWS_SECRET_ACCESS_KEY": "double",
        "EMBEDDER": "bedrock",
        "EMBEDDING_MODEL": "amazon.titan-embed-text-v2:0",
        "LLM": "bedrock",
        "LLM_BASE_URL": way,
    }
    role = f"arn:aws:iam::{ACCOUNT}:role/{function}TenantRole"
    return {**told, "TENANT_ROLE_ARN": role} if function in ACTING else told


def toured(folder: pathlib.Path, stack: Stack) -> Calls:
    """What the functions call while everything is asked of them."""
    calls, port = Calls(), free_port()
    with services(folder / "local", port) as local, aws(stack) as double:
        names = {"ragline": "MainTable", "ragline-chunks": "ChunksTable", BUCKET: "Bucket"}
        names |= {queue: queue for queue in double.queues}
        tables = {local.variables.get("TABLE_NAME", "ragline"): "MainTable"}
        targets = Targets(local.variables["DYNAMODB_ENDPOINT"], double.url, names | tables)
        functions: dict[str, Any] = {}
        for function in FUNCTIONS:
            way = Recorder(function, targets, calls).url
            functions[function] = (folder / function, variables(function, local, double, way))
        with serving(functions, port) as gateway:
            double.deliver(lambda function, event: gateway.functions.invoke(function, event).json())
            Tour(gateway, local, double).go()
    return calls


def free_port() -> int:
    with socket.socket() as one:
        one.bind(("127.0.0.1", 0))
        port: int = one.getsockname()[1]
        return port


def described(call: Call) -> str:
    who = f"a session of {call.function} for {call.tenant}" if call.tenant else call.function
    return f"{who} calls {call.action} on {call.resource} {' '.join(call.keys)}"


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument(
        "--folder", type=pathlib.Path, default=ROOT / "target" / "debug", help="where `local` and the functions are"
    )
    folder = parser.parse_args().folder
    logging.disable(logging.WARNING)
    stack = Stack(translate(ROOT / "template.yaml", {"Canary": "true"}))
    calls, roles = toured(folder, stack), Roles(stack, FUNCTIONS)
    allowed, used, refused = roles.permissions(), set[Permission](), []
    for call in calls:
        by = roles.used(call)
        used |= by
        refused += [] if by else [described(call)]
    unused = sorted(map(str, allowed - used - ELSEWHERE.keys()))
    for text in sorted(refused):
        print(f"FAIL  {text}, which it may not")
    for text in unused:
        print(f"FAIL  not used by {text}")
    made = {(call.function, call.tenant is None, call.action, call.resource.partition("/t/")[0]) for call in calls}
    print(f"{len(made)} calls, {len(allowed)} permissions, {len(refused) + len(unused)} differences")
    return 1 if refused or unused else 0


if __name__ == "__main__":
    sys.exit(main())
