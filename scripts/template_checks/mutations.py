"""Has every assertion fail once: each change here makes a translated template worse, and a check must say so.

What counts are the `yield`s of the checks. One that no change reaches is reported, and so is a change that none notices.
"""

import ast
import copy
import inspect
import json
import textwrap
from collections.abc import Callable, Iterator
from typing import Any

from . import CHECKS
from .alarms import check_alarms, check_bill, check_breaker, check_dashboard
from .api import (
    check_authorizer,
    check_cors,
    check_description,
    check_events,
    check_gateway_errors,
    check_plans,
    check_routes,
    check_stage,
    check_streaming,
)
from .data import check_bucket, check_encryption, check_tables
from .functions import (
    check_answerers,
    check_bounds,
    check_cache,
    check_canary,
    check_environments,
    check_models,
    check_releases,
    check_secret,
    check_telemetry,
)
from .permissions import check_authorizer_permissions, check_roles, check_vector_search, check_wildcards
from .queues import check_failures, check_queues, check_stream, check_webhooks
from .stack import Problems, Stack

Check = Callable[[Stack], Problems]
Change = Callable[[Stack], Any]
GONE = object()
INTEGRATION = "x-amazon-apigateway-integration"


def put(resource: str, *path: Any, to: Any = GONE) -> Change:
    """Sets a property of a resource, or removes it."""

    def change(stack: Stack) -> None:
        set_at(stack.properties(resource), *path, to=to)

    return change


def attribute(resource: str, name: str) -> Change:
    """Removes what stands beside the properties of a resource."""
    return lambda stack: stack.document["Resources"][resource].pop(name)


def without(resource: str) -> Change:
    """Removes a resource."""
    return lambda stack: stack.document["Resources"].pop(resource)


def route(path: str, method: str, *rest: Any, to: Any = GONE) -> Change:
    """Sets something of an operation of the API, or removes it; with no more path the operation itself."""
    return lambda stack: set_at(stack.api["paths"], path, method.lower(), *rest, to=to)


def body(*path: Any, to: Any = GONE) -> Change:
    """Sets something of the API, or removes it."""
    return lambda stack: set_at(stack.api, *path, to=to)


def variable(function: str, name: str, to: Any = GONE) -> Change:
    """Sets a variable of a function, or removes it."""
    return put(function, "Environment", "Variables", name, to=to)


def statement(holder: str, sid: str, key: str, to: Any) -> Change:
    """Sets something of a policy statement."""

    def change(stack: Stack) -> None:
        (found,) = (s for name, s in stack.statements() if name == holder and s.get("Sid") == sid)
        found[key] = to

    return change


def source(function: str, of: str, *path: Any, to: Any = GONE) -> Change:
    """Sets something of the event source of a function that comes from a resource, or removes it."""

    def change(stack: Stack) -> None:
        (found,) = (s for s in stack.sources(function) if s["EventSourceArn"]["Fn::GetAtt"][0] == of)
        set_at(found, *path, to=to)

    return change


def everywhere(old: str, new: str) -> Change:
    """Replaces a text in the whole template."""

    def change(stack: Stack) -> None:
        stack.document = json.loads(json.dumps(stack.document).replace(old, new))
        stack.__init__(stack.document)  # type: ignore[misc]

    return change


def set_at(node: Any, *path: Any, to: Any) -> None:
    """Sets what is at the end of a path, or removes it."""
    for step in path[:-1]:
        node = node[step]
    if to is GONE:
        del node[path[-1]]
    else:
        node[path[-1]] = to


def permission(stack: Stack) -> dict[str, Any]:
    """Who may invoke the authorizer."""
    return stack.properties("ApiCallerAuthorizerPermission")


AUTHORIZER = ("components", "securitySchemes", "Caller", "x-amazon-apigateway-authorizer")
ERRORS = "x-amazon-apigateway-gateway-responses"
PREFLIGHT = (INTEGRATION, "responses", "default", "responseParameters")
OTHER = {"Fn::Sub": "arn:aws:apigateway:x:lambda:path/2015-03-31/functions/${searchAliaslive}/invocations"}
ELSEWHERE = {"Fn::GetAtt": ["SomethingElse", "Arn"]}

CHANGES: list[tuple[Check, Change]] = [
    (
        check_routes,
        route("/search", "POST", INTEGRATION, "uri", to={**OTHER, "Fn::Sub": OTHER["Fn::Sub"].replace("search", "users")}),
    ),
    (check_routes, body("paths", "/new", to={"get": {INTEGRATION: {"uri": OTHER}}})),
    (check_description, route("/search", "POST")),
    (check_description, body("paths", "/new", to={"get": {INTEGRATION: {"uri": OTHER}}})),
    # What `ResponseTransferMode: STREAM` makes of it, which is SAM's word for nothing.
    (check_streaming, route("/chat", "POST", INTEGRATION, "responseTransferMode")),
    (check_streaming, route("/search", "POST", INTEGRATION, "responseTransferMode", to="STREAM")),
    (check_streaming, route("/chat", "POST", INTEGRATION, "timeoutInMillis")),
    (check_streaming, everywhere("${chatAliaslive}", "${searchAliaslive}")),
    (check_authorizer, route("/documents", "GET", "security", to=[])),
    (check_authorizer, route("/documents", "GET", "security", to=[{"Caller": []}])),
    (check_authorizer, route("/health", "GET", "security", to=[{"Caller": []}])),
    (check_authorizer, body("components", "securitySchemes", "Other", to={})),
    (check_authorizer, body(*AUTHORIZER, "type", to="token")),
    (check_authorizer, body(*AUTHORIZER, "identitySource", to="method.request.header.X")),
    (check_authorizer, body(*AUTHORIZER, "authorizerResultTtlInSeconds", to=3600)),
    (check_authorizer, body(*AUTHORIZER, "authorizerUri", to=OTHER)),
    (check_authorizer, lambda stack: set_at(permission(stack), "Principal", to="*")),
    (check_authorizer, lambda stack: set_at(permission(stack), "SourceArn", to="arn:aws:execute-api:x:x:x/*")),
    (check_plans, put("Api", "ApiKeySourceType", to="HEADER")),
    (check_plans, without("StandardUsagePlanKey")),
    (check_plans, put("StandardUsageKey", "Value", "Fn::Sub", to=["something else"])),
    (check_plans, put("StandardUsagePlan", "Throttle")),
    (check_plans, put("StandardUsagePlan", "ApiStages", to=[{"ApiId": "other"}])),
    (check_stage, put("ApiStage", "AccessLogSetting")),
    (check_stage, put("ApiStage", "MethodSettings", 0, "ThrottlingRateLimit")),
    (check_stage, put("ApiStage", "MethodSettings", 1)),
    (check_cors, route("/search", "OPTIONS")),
    (check_cors, route("/search", "OPTIONS", "security", to=[{"Caller": []}])),
    (check_cors, route("/search", "OPTIONS", *PREFLIGHT, "method.response.header.Access-Control-Allow-Origin", to="'*'")),
    (check_cors, route("/search", "OPTIONS", *PREFLIGHT, "method.response.header.Access-Control-Allow-Methods", to="'GET'")),
    (check_cors, body(ERRORS, "THROTTLED", "responseParameters", "gatewayresponse.header.Access-Control-Allow-Origin")),
    (check_cors, variable("search", "ALLOWED_ORIGINS")),
    (check_gateway_errors, body(ERRORS, "THROTTLED")),
    (
        check_gateway_errors,
        body(ERRORS, "THROTTLED", "responseParameters", "gatewayresponse.header.Content-Type", to="'text/plain'"),
    ),
    (check_gateway_errors, body(ERRORS, "THROTTLED", "responseTemplates", "application/json", to="{")),
    (check_gateway_errors, body(ERRORS, "THROTTLED", "responseTemplates", "application/json", to="{}")),
    (check_gateway_errors, body(ERRORS, "THROTTLED", "statusCode", to="500")),
    (check_gateway_errors, body(ERRORS, "UNAUTHORIZED", "responseParameters", "gatewayresponse.header.WWW-Authenticate")),
    (check_events, lambda stack: stack.functions.update(new={})),
    (check_events, everywhere("${searchAliaslive}", "${usersAliaslive}")),
    (check_releases, lambda stack: stack.aliases.pop("searchAliaslive")),
    (check_releases, without("searchVersion0000000000")),
    (check_releases, put("searchSearchPermissionStage", "FunctionName", to={"Ref": "search"})),
    (check_canary, attribute("searchAliaslive", "UpdatePolicy")),
    (check_canary, put("searchDeploymentGroup", "AlarmConfiguration", "Alarms", to=[])),
    (check_canary, without("ThrottlesAlarm")),
    (check_canary, put("searchDeploymentGroup", "AutoRollbackConfiguration", "Events", to=[])),
    (check_environments, lambda stack: stack.document["Parameters"].pop("Canary")),
    (check_environments, lambda stack: set_at(stack.document["Parameters"]["Canary"], "AllowedValues", to=["x"])),
    (check_bounds, put("search", "Timeout", to=60)),
    (check_bounds, put("searchLogs", "RetentionInDays")),
    (check_bounds, put("search", "ReservedConcurrentExecutions")),
    (check_cache, put("ServerlessCache", "MajorEngineVersion", to="8")),
    (check_cache, put("ServerlessCache", "ConnectionType", to="vpc")),
    (check_cache, put("ServerlessCache", "CacheUsageLimits", "DataStorage")),
    (check_cache, put("ServerlessCacheUser", "AuthenticationMode", to={"Type": "no-password-required"})),
    (check_cache, put("ServerlessCache", "UserGroupId")),
    (check_cache, variable("search", "REDIS_URL", to="redis://elsewhere")),
    (check_cache, everywhere("rediss://", "redis://")),
    (check_cache, statement("CacheConnectPolicy", "ConnectToCache", "Resource", to=[ELSEWHERE])),
    (check_cache, lambda stack: stack.properties("CacheConnectPolicy")["Roles"].pop()),
    (check_cache, put("search", "VpcConfig")),
    (check_models, variable("search", "EMBEDDER")),
    (check_models, variable("chat", "EMBEDDING_MODEL", to="other")),
    (check_models, lambda stack: [stack.variables(name).pop("PREVIOUS_EMBEDDER") for name in ("chat", "ingest", "search")]),
    (check_models, statement("searchRole", "SearchChunks", "Resource", to=[])),
    (check_answerers, put("AnswerPolicy", "Roles", to=[{"Ref": "chatRole"}, {"Ref": "searchRole"}])),
    (check_answerers, statement("EmbedPolicy", "Embed", "Action", to=["bedrock:InvokeModelWithResponseStream"])),
    (check_answerers, statement("AnswerPolicy", "Answer", "Action", to=["bedrock:InvokeModelWithResponseStream", "x"])),
    (check_answerers, variable("chat", "LLM_API_KEY")),
    (check_answerers, put("chat", "Timeout", to=200)),
    (check_answerers, lambda stack: stack.document["Parameters"]["LlmApiKey"].pop("NoEcho")),
    (check_answerers, lambda stack: stack.document["Parameters"]["LlmModelArns"].update(AllowedPattern=".*")),
    (check_telemetry, lambda stack: stack.document["Parameters"]["SentryDsn"].pop("NoEcho")),
    (check_telemetry, lambda stack: stack.document["Parameters"]["Tracing"].update(AllowedValues=["off", "xray"])),
    (check_telemetry, lambda stack: stack.document["Parameters"]["TraceContents"].update(Default="true")),
    (check_telemetry, variable("ingest", "OTEL_EXPORTER_OTLP_HEADERS", to="x-api-key=secret")),
    (check_telemetry, variable("webhooks", "SENTRY_DSN")),
    (check_secret, attribute("SigningSecret", "DeletionPolicy")),
    (check_secret, put("SigningSecret", "GenerateSecretString", "PasswordLength", to=8)),
    (check_secret, variable("chat", "SIGNING_SECRET", to="secret")),
    (check_secret, variable("chat", "SIGNING_SECRET_EDITION")),
    (check_secret, variable("chat", "SIGNING_SECRET")),
    (check_wildcards, statement("searchRole", "SearchChunks", "NotResource", to="x")),
    (check_wildcards, statement("searchRole", "SearchChunks", "Action", to="dynamodb:*")),
    (check_wildcards, statement("searchRole", "SearchChunks", "Resource", to="*")),
    (check_roles, put("search", "Role", to={"Fn::GetAtt": ["chatRole", "Arn"]})),
    (check_roles, put("searchRole", "ManagedPolicyArns", to=["arn:aws:iam::aws:policy/AdministratorAccess"])),
    (
        check_roles,
        put(
            "searchRole", "ManagedPolicyArns", to=[{"Fn::If": ["Traces", "arn:aws:iam::aws:policy/X", {"Ref": "AWS::NoValue"}]}]
        ),
    ),
    (check_authorizer_permissions, statement("authorizerRole", "ReadPlans", "Action", to="dynamodb:PutItem")),
    (check_authorizer_permissions, put("EmbedPolicy", "Roles", to=[{"Ref": "authorizerRole"}])),
    (check_vector_search, everywhere("dynamodb:SearchVectors", "dynamodb:Query")),
    (check_vector_search, statement("searchRole", "SearchChunks", "Action", to=["dynamodb:Query", "dynamodb:SearchVectors"])),
    (check_vector_search, statement("searchRole", "SearchChunks", "Resource", to={"Fn::Sub": "${ChunksTable.Arn}"})),
    (check_queues, source("ingest", "ArrivalsQueue", "FunctionName", to={"Ref": "usersAliaslive"})),
    (check_queues, source("ingest", "IngestQueue", "FunctionResponseTypes")),
    (check_queues, source("ingest", "IngestQueue", "ScalingConfig")),
    (check_queues, put("IngestQueue", "VisibilityTimeout", to=30)),
    (check_queues, put("IngestDeadLetters", "MessageRetentionPeriod")),
    (check_queues, put("ingest", "RecursiveLoop")),
    (check_queues, source("ingest", "IngestQueue", "BatchSize", to=10)),
    (check_queues, variable("ingest", "INGEST_QUEUE_URL", to={"Ref": "ArrivalsQueue"})),
    (check_queues, variable("ingest", "INGEST_MAX_ATTEMPTS", to="50")),
    (check_queues, statement("ingestRole", "HandOnAndHide", "Action", to="sqs:SendMessage")),
    (check_queues, put("Bucket", "NotificationConfiguration", "QueueConfigurations", 0, "Queue", to=ELSEWHERE)),
    (check_queues, put("ArrivalsQueuePolicy", "Queues", to=[{"Ref": "WebhookQueue"}])),
    (check_queues, statement("ArrivalsQueuePolicy", "BucketMaySend", "Principal", to="*")),
    (check_webhooks, source("webhooks", "WebhookQueue", "EventSourceArn", to=ELSEWHERE)),
    (check_webhooks, source("webhooks", "WebhookQueue", "FunctionResponseTypes")),
    (check_webhooks, source("webhooks", "WebhookQueue", "ScalingConfig")),
    (check_webhooks, source("webhooks", "WebhookQueue", "BatchSize", to=100)),
    (check_webhooks, put("WebhookQueue", "VisibilityTimeout", to=30)),
    (check_webhooks, put("webhooks", "Timeout", to=10)),
    (check_webhooks, put("WebhookQueue", "MessageRetentionPeriod", to=3600)),
    (check_webhooks, put("WebhookDeadLetters", "MessageRetentionPeriod")),
    (check_webhooks, variable("search", "WEBHOOK_QUEUE_URL", to={"Ref": "WebhookQueue"})),
    (check_webhooks, statement("webhooksRole", "NoteDeliveries", "Action", to="dynamodb:Query")),
    (check_stream, source("changes", "MainTable", "EventSourceArn", to={"Fn::GetAtt": ["ChunksTable", "StreamArn"]})),
    (check_stream, source("changes", "MainTable", "FunctionResponseTypes")),
    (check_stream, source("changes", "MainTable", "BisectBatchOnFunctionError")),
    (check_stream, source("changes", "MainTable", "MaximumRetryAttempts")),
    (check_stream, source("changes", "MainTable", "FilterCriteria")),
    (check_stream, source("changes", "MainTable", "DestinationConfig", "OnFailure", "Destination", to=ELSEWHERE)),
    (check_stream, statement("changesRole", "ReportDiscardedRecords", "Resource", to=ELSEWHERE)),
    (check_failures, put("WebhookQueue", "RedrivePolicy")),
    (check_failures, source("changes", "MainTable", "DestinationConfig")),
    (check_failures, without("ChangesFailureAlarm")),
    (check_encryption, put("MainTable", "SSESpecification", "SSEEnabled", to=False)),
    (check_encryption, put("Bucket", "BucketEncryption")),
    (check_encryption, put("IngestQueue", "SqsManagedSseEnabled")),
    (check_tables, put("MainTable", "PointInTimeRecoverySpecification")),
    (check_tables, put("MainTable", "DeletionProtectionEnabled", to=False)),
    (check_tables, attribute("MainTable", "DeletionPolicy")),
    (check_tables, put("ChunksTable", "BillingMode", to="PROVISIONED")),
    (check_tables, put("MainTable", "GlobalSecondaryIndexes", 0, "OnDemandThroughput")),
    (check_bucket, attribute("Bucket", "DeletionPolicy")),
    (check_bucket, put("Bucket", "PublicAccessBlockConfiguration", "BlockPublicPolicy", to=False)),
    (check_bucket, put("Bucket", "LifecycleConfiguration", "Rules", 0)),
    (check_bucket, put("Bucket", "LifecycleConfiguration", "Rules", 1)),
    (check_bucket, put("Bucket", "CorsConfiguration", "Fn::If", 1, "CorsRules", 0, "AllowedOrigins", to=["*"])),
    (check_bucket, statement("BucketPolicy", "TlsOnly", "Condition", to={})),
    (check_alarms, without("StreamLagAlarm")),
    (check_alarms, lambda stack: stack.document["Resources"].update(NewAlarm=stack.document["Resources"]["StreamLagAlarm"])),
    (check_alarms, put("StreamLagAlarm", "MetricName", to="Errors")),
    (check_alarms, put("StreamLagAlarm", "AlarmActions")),
    (check_alarms, put("StreamLagAlarm", "TreatMissingData", to="breaching")),
    (check_alarms, put("StreamLagAlarm", "Dimensions", 0, "Value", to="changes")),
    (check_alarms, without("AlarmSubscription")),
    (check_alarms, without("MonthlyCost")),
    (check_breaker, without("chatCacheBreakerFilter")),
    (check_breaker, put("chatCacheBreakerFilter", "FilterPattern", to='{ $.message = "x" }')),
    (check_breaker, put("chatCacheBreakerFilter", "MetricTransformations", 0, "MetricName", to="Other")),
    (check_dashboard, put("Dashboard", "DashboardBody", "Fn::Sub", to="{")),
    (check_dashboard, everywhere("${IngestQueue.QueueName}", "${OtherQueue.QueueName}")),
    (check_bill, without("StreamLagAlarm")),
    (check_bill, put("ingest", "MemorySize", to=4096)),
]


def unfailed(document: dict[str, Any]) -> Problems:
    """The assertions that no change makes fail, and the changes that no check notices."""
    reached: dict[Check, set[int]] = {check: set() for check in CHECKS}
    for number, (check, change) in enumerate(CHANGES):
        stack = Stack(copy.deepcopy(document))
        change(stack)
        lines = set(failing(check, stack))
        if not lines:
            yield f"change {number}, for {check.__name__}, is not noticed"
        reached[check] |= lines
    for check in CHECKS:
        yield from (
            f"{check.__name__}: nothing makes line {line} fail" for line in sorted(set(assertions(check)) - reached[check])
        )


def failing(check: Check, stack: Stack) -> Iterator[int]:
    """The lines of a check that have a problem with a stack. What a check cannot make out is one too, but of no line."""
    problems = check(stack)
    try:
        for _ in problems:
            yield problems.gi_frame.f_lineno  # type: ignore[attr-defined]
    except (AttributeError, LookupError, TypeError, ValueError):
        yield 0


def assertions(check: Check) -> list[int]:
    """The lines of a check's `yield`s in its file."""
    lines, first = inspect.getsourcelines(check)
    tree = ast.parse(textwrap.dedent("".join(lines)))
    return [first - 1 + node.lineno for node in ast.walk(tree) if isinstance(node, ast.Yield | ast.YieldFrom)]
