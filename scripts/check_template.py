#!/usr/bin/env python3
"""Checks template.yaml without an AWS account: linters, and what the template promises once SAM has translated it.

Usage: check_template.py [--template FILE] [TRANSLATED]

Writes the translated CloudFormation document to TRANSLATED, or to a temporary file. Needs the packages aws-sam-translator
and cfn-lint (1.57 or later, the first to know vector indexes). The last line reads `N passed, M failed`; the exit status is
1 if anything failed.
"""

import argparse
import json
import logging
import os
import re
import sys
import tempfile
import tomllib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

# The translator asks boto for a region, if only to name the partition.
os.environ.setdefault("AWS_DEFAULT_REGION", "us-east-1")

from cfnlint.api import lint_file  # noqa: E402
from samtranslator.model.exceptions import InvalidDocumentException  # noqa: E402
from samtranslator.translator.transform import transform  # noqa: E402
from samtranslator.yaml_helper import yaml_parse  # noqa: E402

ROOT = Path(__file__).resolve().parent.parent
STREAMING = {"chat"}
# Routes that anyone may ask.
OPEN = {("/health", "GET"), ("/health/ready", "GET"), ("/openapi.json", "GET")}
# What the authorizer may do with what, and no more. It answers for everybody, so it sees least.
AUTHORIZER_MAY = {
    ("authorizerLogs", "logs:CreateLogStream"),
    ("authorizerLogs", "logs:PutLogEvents"),
    ("MainTable", "dynamodb:GetItem"),
}
# What `ingest` may do with queues.
RECEIVE = ("sqs:DeleteMessage", "sqs:GetQueueAttributes", "sqs:ReceiveMessage")
INGEST_MAY = {
    "ArrivalsQueue": set(RECEIVE),
    "IngestQueue": {*RECEIVE, "sqs:ChangeMessageVisibility", "sqs:SendMessage"},
}
# What the webhooks' worker may do with what, and no more. It speaks to addresses that tenants gave.
WEBHOOKS_MAY = {
    ("webhooksLogs", "logs:CreateLogStream"),
    ("webhooksLogs", "logs:PutLogEvents"),
    ("WebhookQueue", "sqs:DeleteMessage"),
    ("WebhookQueue", "sqs:GetQueueAttributes"),
    ("WebhookQueue", "sqs:ReceiveMessage"),
    ("WebhookQueue", "sqs:SendMessage"),
    ("MainTable", "dynamodb:GetItem"),
    ("MainTable", "dynamodb:UpdateItem"),
}
INTEGRATION = re.compile(r"functions/\$\{(\w+)\.Arn\}/(response-streaming-)?invocations$")
# The variables that name embedding models.
MODEL = re.compile(r"(PREVIOUS_)?(EMBED|OPENAI_)")
# A policy cannot name objects that do not exist yet, so this one wildcard is as narrow as it gets.
OBJECTS = re.compile(r"\$\{\w+\.Arn\}/t/\*")
# What API Gateway says of callers and their plans.
GATEWAY_ERRORS = {
    "ACCESS_DENIED",
    "AUTHORIZER_CONFIGURATION_ERROR",
    "AUTHORIZER_FAILURE",
    "EXPIRED_TOKEN",
    "INVALID_API_KEY",
    "MISSING_AUTHENTICATION_TOKEN",
    "QUOTA_EXCEEDED",
    "THROTTLED",
    "UNAUTHORIZED",
}
# Of what a stream delivers again.
LIMITS = ("MaximumRecordAgeInSeconds", "MaximumRetryAttempts")

Problems = Iterator[str]


class NoManagedPolicies:
    """Stands in for IAM, which SAM would ask for the ARNs of managed policies: the template calls none by its name."""

    def load(self) -> dict[str, str]:
        return {}


class Stack:
    """A template as CloudFormation sees it, after SAM's translation."""

    def __init__(self, template: Path) -> None:
        source = yaml_parse(template.read_text())
        for resource in source["Resources"].values():
            if "CodeUri" in resource.get("Properties", {}):
                resource["Properties"]["CodeUri"] = "s3://bucket/key"
        self.document: dict[str, Any] = transform(source, {}, NoManagedPolicies())
        (self.api,) = (api["Body"] for api in self.of_type("AWS::ApiGateway::RestApi").values())
        self.functions = self.of_type("AWS::Lambda::Function")

    def of_type(self, kind: str) -> dict[str, Any]:
        """The properties of all resources of a type, by logical id."""
        resources = self.document["Resources"].items()
        return {name: each["Properties"] for name, each in resources if each["Type"] == kind}

    def integrations(self) -> dict[tuple[str, str], dict[str, Any]]:
        """What stands behind each path and method of the API."""
        return {
            (path, method.upper()): operation["x-amazon-apigateway-integration"]
            for path, operations in self.api["paths"].items()
            for method, operation in operations.items()
        }

    def callers(self) -> dict[tuple[str, str], list[str]]:
        """The authorizers that each path and method of the API asks; SAM writes NONE for none."""
        return {
            (path, method.upper()): [name for rule in operation.get("security", []) for name in rule if name != "NONE"]
            for path, operations in self.api["paths"].items()
            for method, operation in operations.items()
        }

    def routes(self) -> dict[tuple[str, str], str]:
        """The function behind each path and method of the API."""
        return {route: target(integration)[0] for route, integration in self.integrations().items()}

    def statements(self) -> list[tuple[str, dict[str, Any]]]:
        """Every policy statement, with the logical id of the resource that holds it."""
        resources = self.document["Resources"].items()
        return [(name, node) for name, each in resources for node in walk(each) if isinstance(node, dict) and "Effect" in node]


def walk(node: Any) -> Iterator[Any]:
    """Everything in a document, the document first, whatever intrinsic functions it is wrapped in."""
    yield node
    if isinstance(node, dict | list):
        for child in node.values() if isinstance(node, dict) else node:
            yield from walk(child)


def strings(node: Any) -> list[str]:
    """Every string in a part of a document."""
    return [each for each in walk(node) if isinstance(each, str)]


def target(integration: dict[str, Any]) -> tuple[str, bool]:
    """The function that an integration calls, and whether it asks for a stream."""
    match = INTEGRATION.search(integration["uri"]["Fn::Sub"])
    return (match[1], bool(match[2])) if match else ("nothing", False)


def lint(path: Path) -> Problems:
    """Whatever cfn-lint says of a template, warnings included."""
    for match in lint_file(path):
        yield f"{match.rule.id} in line {match.linenumber}: {match.message}"


def check_routes(stack: Stack) -> Problems:
    """`cargo lambda watch` and the API send every path to the same function"""
    manifest = tomllib.loads((ROOT / "Cargo.toml").read_text())
    router = manifest["workspace"]["metadata"]["lambda"]["watch"]["router"]
    for path, rule in router.items():
        found = {method: function for (at, method), function in stack.routes().items() if at == path}
        # A bare name takes every method.
        wanted = dict.fromkeys(found or ["ANY"], rule) if isinstance(rule, str) else {r["method"]: r["function"] for r in rule}
        if found != wanted:
            yield f"{path} is {wanted} in Cargo.toml and {found} in the template"
    yield from (f"{path} is not in Cargo.toml" for path in {path for path, _ in stack.routes()} - router.keys())


def check_streaming(stack: Stack) -> Problems:
    """Routes of streaming functions stream, for as long as the function may run, and no others do"""
    for route, integration in stack.integrations().items():
        function, streaming_uri = target(integration)
        if {streaming_uri, integration.get("responseTransferMode") == "STREAM"} != {function in STREAMING}:
            yield f"{route} of {function} is {integration}"
        elif function in STREAMING:
            limit, timeout = integration.get("timeoutInMillis", 29000), stack.functions[function]["Timeout"]
            if limit != 1000 * timeout:
                yield f"{route} may take {limit} ms, {function} {timeout} s"
    yield from (f"{function} has no route" for function in STREAMING - set(stack.routes().values()))


def check_authorizer(stack: Stack) -> Problems:
    """Every route but the open ones asks the authorizer, which sees whole requests and is known by one header"""
    ((name, scheme),) = stack.api["components"]["securitySchemes"].items()
    for route, authorizers in stack.callers().items():
        wanted = [] if route in OPEN else [name]
        if authorizers != wanted:
            yield f"{route} asks {authorizers}, not {wanted}"
    yield from (f"{route} does not exist" for route in OPEN - stack.callers().keys())

    authorizer = scheme["x-amazon-apigateway-authorizer"]
    if authorizer["type"] != "request":
        yield f"it is of the type {authorizer['type']}"
    if authorizer["identitySource"] != "method.request.header.Authorization":
        yield f"its answers are kept by {authorizer['identitySource']}"
    # What the issuer takes back is believed for so long.
    if not 0 < authorizer["authorizerResultTtlInSeconds"] <= 300:
        yield f"its answers are kept for {authorizer['authorizerResultTtlInSeconds']} s"
    if {"Fn::GetAtt": ["authorizer", "Arn"]} not in walk(authorizer["authorizerUri"]):
        yield f"it is {authorizer['authorizerUri']}"

    invoked_by = [
        permission
        for permission in stack.of_type("AWS::Lambda::Permission").values()
        if permission["FunctionName"] in ({"Ref": "authorizer"}, {"Fn::GetAtt": ["authorizer", "Arn"]})
    ]
    if [permission["Principal"] for permission in invoked_by] != ["apigateway.amazonaws.com"]:
        yield f"it may be invoked by {invoked_by}"
    for permission in invoked_by:
        if not any("/authorizers/" in text for text in strings(permission["SourceArn"])):
            yield f"it may be invoked for {permission['SourceArn']}"

    role = stack.functions["authorizer"]["Role"]["Fn::GetAtt"][0]
    allowed = set()
    for holder, statement in stack.statements():
        if holder == role and statement.get("Principal") is None:
            resource = statement["Resource"]["Fn::GetAtt"][0]
            allowed |= {(resource, action) for action in strings(statement["Action"])}
    if allowed != AUTHORIZER_MAY:
        yield f"{role} allows {sorted(allowed)}"
    for policy, properties in stack.of_type("AWS::IAM::Policy").items():
        if {"Ref": role} in properties["Roles"]:
            yield f"{role} is also given {policy}"


def check_wildcards(stack: Stack) -> Problems:
    """No policy allows a wildcard, but for the objects under the tenants' prefix"""
    for name, statement in stack.statements():
        if statement["Effect"] == "Deny":
            continue
        yield from (f"{name}: {key} allows all the rest" for key in statement if key.startswith("Not"))
        for key in ("Action", "Principal", "Resource"):
            for text in strings(statement.get(key)):
                if "*" in text and not (key == "Resource" and OBJECTS.fullmatch(text)):
                    yield f"{name}: {key} {text}"


def check_roles(stack: Stack) -> Problems:
    """Every function has a role of its own, without managed policies, which are full of wildcards"""
    roles = stack.of_type("AWS::IAM::Role")
    used = [properties["Role"]["Fn::GetAtt"][0] for properties in stack.functions.values()]
    yield from (f"{role} serves several functions" for role in set(used) if used.count(role) > 1)
    yield from (f"{role} has {roles[role]['ManagedPolicyArns']}" for role in used if "ManagedPolicyArns" in roles[role])


def check_vector_search(stack: Stack) -> Problems:
    """SearchVectors is allowed in statements of its own, on an index"""
    searches = [(n, s) for n, s in stack.statements() if "dynamodb:SearchVectors" in strings(s.get("Action"))]
    if not searches:
        yield "nobody may search"
    for name, statement in searches:
        if len(strings(statement["Action"])) > 1:
            yield f"{name}: {statement['Action']}"
        yield from (f"{name}: {text}" for text in strings(statement["Resource"]) if "/index/" not in text)


def check_models(stack: Stack) -> Problems:
    """Functions that embed know the same models, the one before too, and may search by the index of each"""
    functions = {name: each["Environment"]["Variables"] for name, each in stack.functions.items()}
    models = {
        name: {variable: value for variable, value in variables.items() if MODEL.match(variable)}
        for name, variables in functions.items()
        if "EMBEDDER" in variables
    }
    if models.keys() != {"chat", "ingest", "search"}:
        yield f"{sorted(models)} embed"
    for name, variables in models.items():
        if variables != models["search"]:
            yield f"{name} has other models than search"
        current = {variable for variable in variables if not variable.startswith("PREVIOUS_")}
        if {f"PREVIOUS_{variable}" for variable in current} != variables.keys() - current:
            yield f"{name} knows {sorted(variables)}"
        role = stack.functions[name]["Role"]["Fn::GetAtt"][0]
        searched = [s["Resource"] for n, s in stack.statements() if n == role and s["Action"] == "dynamodb:SearchVectors"]
        suffixes = ("", "_${EmbeddingEdition}", "_${PreviousEmbeddingEdition}")
        wanted = [{"Fn::Sub": f"${{ChunksTable.Arn}}/index/by_embedding{suffix}"} for suffix in suffixes]
        if searched != [wanted]:
            yield f"{role} may search by {searched}"


def check_answerers(stack: Stack) -> Problems:
    """Chat alone may ask language models, for answers that are streamed, and only by Bedrock's own settings"""
    allowed = [(n, s) for n, s in stack.statements() if "bedrock:InvokeModelWithResponseStream" in strings(s.get("Action"))]
    if [name for name, _ in allowed] != ["AnswerPolicy"]:
        yield f"{sorted(name for name, _ in allowed)} may answer"
    for name, statement in allowed:
        resource = stack.document["Resources"][name]
        if resource.get("Condition") != "AnswersWithBedrock" or resource["Properties"]["Roles"] != [{"Ref": "chatRole"}]:
            yield f"{name} is {resource}"
        if strings(statement["Action"]) != ["bedrock:InvokeModelWithResponseStream"]:
            yield f"{name}: {statement['Action']}"
    parameters = stack.document["Parameters"]
    if parameters["LlmApiKey"].get("NoEcho") is not True:
        yield "LlmApiKey is shown"
    arns = re.compile(parameters["LlmModelArns"]["AllowedPattern"])
    for arn, wanted in (
        ("", True),
        ("arn:aws:bedrock:us-east-1::foundation-model/amazon.nova-lite-v1:0", True),
        ("arn:aws:bedrock:us-east-1:123456789012:inference-profile/us.amazon.nova-lite-v1:0", True),
        ("arn:aws:bedrock:::foundation-model/amazon.nova-2-lite-v1:0", True),
        ("arn:aws:bedrock:*::foundation-model/amazon.nova-lite-v1:0", False),
        ("arn:aws:bedrock:us-east-1::foundation-model/*", False),
        ("*", False),
    ):
        if bool(arns.fullmatch(arn)) is not wanted:
            yield f"LlmModelArns and {arn!r}"
    chat = stack.functions["chat"]["Environment"]["Variables"]
    missing = {"LLM", "LLM_MODEL", "LLM_MODELS", "LLM_BASE_URL", "LLM_API_KEY", "LLM_PRICES"} - chat.keys()
    yield from (f"chat is not told {variable}" for variable in sorted(missing))
    if parameters["ChatSeconds"]["MaxValue"] >= stack.functions["chat"]["Timeout"]:
        yield "an answer may take longer than the function"


def check_encryption(stack: Stack) -> Problems:
    """Tables, buckets and queues are encrypted, and tables can be restored"""
    for name, table in stack.of_type("AWS::DynamoDB::Table").items():
        if table.get("SSESpecification", {}).get("SSEEnabled") is not True:
            yield f"{name} is not encrypted"
        if table.get("PointInTimeRecoverySpecification", {}).get("PointInTimeRecoveryEnabled") is not True:
            yield f"{name} has no point-in-time recovery"
    for name, bucket in stack.of_type("AWS::S3::Bucket").items():
        if "BucketEncryption" not in bucket:
            yield f"{name} is not encrypted"
    for name, queue in stack.of_type("AWS::SQS::Queue").items():
        if queue.get("SqsManagedSseEnabled") is not True:
            yield f"{name} is not encrypted"


def check_secret(stack: Stack) -> Problems:
    """The secret is made by the stack, outlives it, and reaches functions by reference, anew with each edition"""
    for name, secret in stack.of_type("AWS::SecretsManager::Secret").items():
        resource = stack.document["Resources"][name]
        if {resource.get("DeletionPolicy"), resource.get("UpdateReplacePolicy")} != {"Retain"}:
            yield f"{name} may be lost"
        generated = secret.get("GenerateSecretString", {})
        # A comma stands between secrets.
        if generated.get("PasswordLength", 0) < 32 or generated.get("ExcludePunctuation") is not True:
            yield f"{name} is {secret}"
    signing = set()
    for name, function in stack.functions.items():
        variables = function["Environment"]["Variables"]
        if "SIGNING_SECRET" not in variables:
            continue
        signing.add(name)
        if variables["SIGNING_SECRET"] != {"Fn::Sub": "{{resolve:secretsmanager:${SigningSecret}}}"}:
            yield f"{name} has another secret"
        if variables.get("SIGNING_SECRET_EDITION") != {"Ref": "SigningSecretEdition"}:
            yield f"{name} keeps the old secret when it is replaced"
    # Those whose `main` asks for it do not start without.
    asking = {main.parts[-3] for main in (ROOT / "functions").glob("*/src/main.rs") if ".signer()" in main.read_text()}
    if signing != asking:
        yield f"{sorted(asking)} sign, and {sorted(signing)} have the secret"


def check_queues(stack: Stack) -> Problems:
    """What arrives is handed on to a queue whose messages stay hidden while they are worked on and are given up in the end"""
    queues, worker = stack.of_type("AWS::SQS::Queue"), stack.functions["ingest"]
    sources = {
        source["EventSourceArn"]["Fn::GetAtt"][0]: source
        for source in stack.of_type("AWS::Lambda::EventSourceMapping").values()
        if source["FunctionName"] == {"Ref": "ingest"}
    }
    if sources.keys() != {"ArrivalsQueue", "IngestQueue"}:
        yield f"ingest works off {sorted(sources)}"
    for name, source in sources.items():
        if source.get("FunctionResponseTypes") != ["ReportBatchItemFailures"]:
            yield f"{name}: one failure fails the whole batch"
        if "MaximumConcurrency" not in source.get("ScalingConfig", {}):
            yield f"{name}: nothing bounds its workers"
        hidden, most = queues[name]["VisibilityTimeout"], worker["Timeout"]
        # Lambda refuses less than the timeout, and asks for six of a queue whose work takes long.
        if hidden < (6 if name == "IngestQueue" else 1) * most:
            yield f"{name}: hidden for {hidden} s, with a timeout of {most} s"
        dead = queues[name]["RedrivePolicy"]["deadLetterTargetArn"]["Fn::GetAtt"][0]
        if queues[dead].get("MessageRetentionPeriod") != 1209600:
            yield f"{dead} forgets what could be kept"
    if worker.get("RecursiveLoop") != "Allow":
        yield "Lambda stops it when it sends itself messages"
    if sources["IngestQueue"]["BatchSize"] != 1:
        yield "a document waits for those of its batch"

    variables = worker["Environment"]["Variables"]
    if variables.get("INGEST_QUEUE_URL") != {"Ref": "IngestQueue"}:
        yield f"what arrives is handed on to {variables.get('INGEST_QUEUE_URL')}"
    received, attempts = queues["IngestQueue"]["RedrivePolicy"]["maxReceiveCount"], int(variables["INGEST_MAX_ATTEMPTS"])
    # The last time nothing is tried: the document becomes `failed`.
    if received != attempts + 1:
        yield f"received {received} times, attempted {attempts} times"

    role, allowed = worker["Role"]["Fn::GetAtt"][0], {}
    for holder, statement in stack.statements():
        actions = {action for action in strings(statement["Action"]) if action.startswith("sqs:")}
        if holder == role and actions:
            for queue in (each for each in strings(statement["Resource"]) if each in queues):
                allowed.setdefault(queue, set()).update(actions)
    if allowed != INGEST_MAY:
        yield f"{role} allows {allowed}"

    (bucket,) = stack.of_type("AWS::S3::Bucket").values()
    told = [each["Queue"] for each in bucket["NotificationConfiguration"]["QueueConfigurations"]]
    if told != [{"Fn::GetAtt": ["ArrivalsQueue", "Arn"]}]:
        yield f"the bucket notifies {told}"
    for name, policy in stack.of_type("AWS::SQS::QueuePolicy").items():
        if policy["Queues"] != [{"Ref": "ArrivalsQueue"}]:
            yield f"{name} opens {policy['Queues']}"
        for statement in policy["PolicyDocument"]["Statement"]:
            if statement["Principal"] != {"Service": "s3.amazonaws.com"} or "aws:SourceArn" not in statement["Condition"]["ArnEquals"]:
                yield f"{name} lets others than the bucket send"


def check_webhooks(stack: Stack) -> Problems:
    """Notices stay hidden for six timeouts of `webhooks`, outlive their day, and it may do no more than it must"""
    queues, worker = stack.of_type("AWS::SQS::Queue"), stack.functions["webhooks"]
    (source,) = (
        source
        for source in stack.of_type("AWS::Lambda::EventSourceMapping").values()
        if source["FunctionName"] == {"Ref": "webhooks"}
    )
    if source["EventSourceArn"] != {"Fn::GetAtt": ["WebhookQueue", "Arn"]}:
        yield f"it works off {source['EventSourceArn']}"
    if source.get("FunctionResponseTypes") != ["ReportBatchItemFailures"]:
        yield "one failure fails the whole batch"
    if "MaximumConcurrency" not in source.get("ScalingConfig", {}):
        yield "nothing bounds its workers"
    # Side by side, or a slow receiver held up the others of its batch: SIDE_BY_SIDE in the function.
    if source["BatchSize"] > 10:
        yield f"{source['BatchSize']} notices come together"
    queue, most = queues["WebhookQueue"], worker["Timeout"]
    if queue["VisibilityTimeout"] < 6 * most:
        yield f"hidden for {queue['VisibilityTimeout']} s, with a timeout of {most} s"
    # CLAIM and the longest that a receiver may take, in the function.
    if not 15 < most < 60:
        yield f"it may take {most} s, while a receiver may take 15 s and a claim ends after 60 s"
    if queue["MessageRetentionPeriod"] < 2 * 86400:
        yield f"notices are kept for {queue['MessageRetentionPeriod']} s"
    dead = queue["RedrivePolicy"]["deadLetterTargetArn"]["Fn::GetAtt"][0]
    if queues[dead].get("MessageRetentionPeriod") != 1209600:
        yield f"{dead} forgets what could be kept"

    told = {name for name, each in stack.functions.items() if "WEBHOOK_QUEUE_URL" in each.get("Environment", {}).get("Variables", {})}
    senders = {stack.functions[name]["Role"]["Fn::GetAtt"][0] for name in told}
    may = {
        name
        for name, statement in stack.statements()
        if "sqs:SendMessage" in strings(statement["Action"]) and "WebhookQueue" in strings(statement["Resource"])
    }
    if told != {"changes", "users", "webhooks"} or senders != may:
        yield f"{sorted(told)} know the queue, and {sorted(may)} may send to it"
    role, allowed = worker["Role"]["Fn::GetAtt"][0], set()
    for holder, statement in stack.statements():
        if holder == role and statement.get("Principal") is None:
            allowed |= {(statement["Resource"]["Fn::GetAtt"][0], action) for action in strings(statement["Action"])}
    if allowed != WEBHOOKS_MAY:
        yield f"{role} allows {sorted(allowed)}"


def check_stream(stack: Stack) -> Problems:
    """Records of the main table that fail come back from the first of them on, are given up in the end, and leave a trace"""
    (source,) = (
        mapping
        for mapping in stack.of_type("AWS::Lambda::EventSourceMapping").values()
        if mapping["EventSourceArn"] == {"Fn::GetAtt": ["MainTable", "StreamArn"]}
    )
    if source["FunctionName"] != {"Ref": "changes"}:
        yield f"they go to {source['FunctionName']}"
    if source.get("FunctionResponseTypes") != ["ReportBatchItemFailures"]:
        yield "one failure fails the whole batch"
    if source.get("BisectBatchOnFunctionError") is not True:
        yield "a batch that fails as a whole is not divided"
    # Left out they are -1, which stands for ever: a record that always fails would hold up its shard for a day.
    yield from (f"{limit} is missing" for limit in LIMITS if source.get(limit, -1) < 0)
    if "FilterCriteria" not in source:
        yield "every message of a conversation invokes the function"

    destination = source["DestinationConfig"]["OnFailure"]["Destination"]
    queue = destination["Fn::GetAtt"][0]
    if queue not in stack.of_type("AWS::SQS::Queue"):
        yield f"{queue} is no queue"
    role = stack.functions["changes"]["Role"]["Fn::GetAtt"][0]
    sends = [s for name, s in stack.statements() if name == role and "sqs:SendMessage" in strings(s["Action"])]
    if [statement["Resource"] for statement in sends] != [{"Fn::GetAtt": ["WebhookQueue", "Arn"]}, destination]:
        yield f"{role} may not send to {queue}, or to others too"


def check_gateway_errors(stack: Stack) -> Problems:
    """Errors that API Gateway makes itself are problem+json, and those of authorizer and plans have their own"""
    responses = stack.api["x-amazon-apigateway-gateway-responses"]
    yield from (f"{kind} is missing" for kind in sorted(GATEWAY_ERRORS - responses.keys()))
    for kind, response in responses.items():
        if response["responseParameters"]["gatewayresponse.header.Content-Type"] != "'application/problem+json'":
            yield f"{kind} has another content type"
        body = response["responseTemplates"]["application/json"].replace("$context.error.messageString", '"text"')
        try:
            problem = json.loads(body)
        except json.JSONDecodeError as error:
            yield f"{kind}: {error}"
            continue
        missing = {"type", "title", "detail", "code", "request_id"} - problem.keys()
        yield from (f"{kind} lacks {member}" for member in sorted(missing))
        # The defaults stand for several statuses.
        status = None if kind.startswith("DEFAULT_") else int(response["statusCode"])
        if problem.get("status") != status:
            yield f"{kind} says {problem.get('status')} and is {status}"
    challenge = responses["UNAUTHORIZED"]["responseParameters"].get("gatewayresponse.header.WWW-Authenticate")
    if challenge != "'Bearer'":
        yield f"UNAUTHORIZED challenges with {challenge}"


def check_events(stack: Stack) -> Problems:
    """Every function has sample events, which take its own routes; the authorizer's take those of others"""
    for function in stack.functions:
        files = sorted((ROOT / "events" / function).glob("*.json"))
        if not files:
            yield f"{function} has none"
        for file in files:
            event = json.loads(file.read_text())
            if "httpMethod" not in event:
                continue
            taken = stack.routes().get((event["resource"], event["httpMethod"]))
            if taken is None if function == "authorizer" else taken != function:
                yield f"{file.relative_to(ROOT)} takes {event['httpMethod']} {event['resource']}"


CHECKS = [
    check_routes,
    check_streaming,
    check_authorizer,
    check_wildcards,
    check_roles,
    check_vector_search,
    check_models,
    check_answerers,
    check_encryption,
    check_secret,
    check_queues,
    check_webhooks,
    check_stream,
    check_gateway_errors,
    check_events,
]


def report(title: str, problems: Problems) -> bool:
    """Prints the outcome of one check; true if it found nothing. A check that does not find its way has failed."""
    found: list[str] = []
    try:
        found.extend(problems)
    except (LookupError, TypeError, ValueError) as error:
        found.append(repr(error))
    print("FAIL" if found else "ok  ", title)
    for problem in found:
        print("      ", problem)
    return not found


def main() -> int:
    """Runs every check and returns the exit status."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("translated", type=Path, nargs="?", help="where to write the translated document")
    parser.add_argument("--template", type=Path, default=ROOT / "template.yaml", help="the SAM template to check")
    arguments = parser.parse_args()
    logging.disable(logging.WARNING)

    outcomes = [report("cfn-lint has nothing to say about the SAM template", lint(arguments.template))]
    try:
        stack = Stack(arguments.template)
    except InvalidDocumentException as error:
        outcomes.append(report("SAM translates the template", iter([cause.message for cause in error.causes])))
    else:
        with tempfile.TemporaryDirectory() as scratch:
            translated = arguments.translated or Path(scratch, "translated.json")
            translated.write_text(json.dumps(stack.document, indent=2))
            outcomes.append(report("cfn-lint has nothing to say about its translation", lint(translated)))
        outcomes += [report(check.__doc__, check(stack)) for check in CHECKS]
    print(f"{outcomes.count(True)} passed, {outcomes.count(False)} failed")
    return 0 if all(outcomes) else 1


if __name__ == "__main__":
    sys.exit(main())
