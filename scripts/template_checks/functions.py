"""How functions are released, and what they are told."""

import re
import tomllib

from .api import STREAMING
from .stack import ROOT, Problems, Stack, strings

# The variables that name embedding models.
MODEL = re.compile(r"(PREVIOUS_)?(EMBED|OPENAI_)")
# The variables that name language models.
ANSWERER = {"LLM", "LLM_MODEL", "LLM_MODELS", "LLM_BASE_URL", "LLM_API_KEY", "LLM_PRICES"}
# What may be given as ARNs of models, and what not.
MODEL_ARNS = {
    "": True,
    "arn:aws:bedrock:us-east-1::foundation-model/amazon.nova-lite-v1:0": True,
    "arn:aws:bedrock:us-east-1:123456789012:inference-profile/us.amazon.nova-lite-v1:0": True,
    "arn:aws:bedrock:*::foundation-model/amazon.nova-lite-v1:0": False,
    "arn:aws:bedrock:us-east-1::foundation-model/*": False,
    "*": False,
}
# The functions that ask the cache, which are in the VPC with it if there is one.
CACHED = {"changes", "chat", "documents", "health", "ingest", "search", "upload", "users"}


def check_releases(stack: Stack) -> Problems:
    """Every function is published for each release, and whatever calls it calls what was published"""
    versions = stack.of_type("AWS::Lambda::Version")
    for name in stack.functions:
        if list(stack.aliases.values()).count(name) != 1:
            yield f"{name} is not published"
        # The parameter Release as it is by default.
        if f"{name}Version0000000000" not in versions:
            yield f"{name} is not published for each release"
    callers = [*stack.of_type("AWS::Lambda::Permission").items(), *stack.of_type("AWS::Lambda::EventSourceMapping").items()]
    yield from (
        f"{name} calls {caller['FunctionName']}"
        for name, caller in callers
        if caller["FunctionName"].get("Ref") not in stack.aliases
    )


def check_canary(stack: Stack) -> Problems:
    """A release that is given requests bit by bit is taken back when an alarm goes off"""
    groups, alarms = stack.of_type("AWS::CodeDeploy::DeploymentGroup"), stack.of_type("AWS::CloudWatch::Alarm")
    for alias, function in stack.aliases.items():
        policy = stack.document["Resources"][alias].get("UpdatePolicy", {}).get("CodeDeployLambdaAliasUpdate", {})
        group = groups.get(policy.get("DeploymentGroupName", {}).get("Ref"))
        if group is None:
            yield f"{function} is released at once"
            continue
        watched = {alarm["Name"]["Ref"] for alarm in group["AlarmConfiguration"]["Alarms"]}
        if not {"ApiErrorsAlarm", "SearchSlowAlarm"} <= watched <= alarms.keys():
            yield f"{function} is watched by {sorted(watched)}"
        if "DEPLOYMENT_STOP_ON_ALARM" not in group["AutoRollbackConfiguration"]["Events"]:
            yield f"{function} stays when there is an alarm"


def check_environments(stack: Stack) -> Problems:
    """samconfig.toml gives parameters that there are, and values that they may have; it does not say which release it is"""
    known = stack.document["Parameters"]
    for name, environment in tomllib.loads((ROOT / "samconfig.toml").read_text()).items():
        given = environment["deploy"]["parameters"]["parameter_overrides"] if isinstance(environment, dict) else []
        for parameter, _, value in (pair.partition("=") for pair in given):
            if parameter not in known.keys() - {"Release"}:
                yield f"{name} gives {parameter}"
                continue
            allowed = known[parameter].get("AllowedValues", [value])
            if value not in map(str, allowed):
                yield f"{name} gives {parameter}={value}, and it may be {allowed}"


def check_bounds(stack: Stack) -> Problems:
    """Functions have a timeout that API Gateway waits for, a log that ends, and can be given environments of their own"""
    routed, logs = set(stack.routes().values()), stack.of_type("AWS::Logs::LogGroup")
    for name, function in stack.functions.items():
        if name in (routed | {"authorizer"}) - STREAMING and function["Timeout"] > 29:
            yield f"{name} may take {function['Timeout']} s"
        log = function["LoggingConfig"].get("LogGroup", {}).get("Ref")
        if logs.get(log, {}).get("RetentionInDays") != {"Ref": "LogRetentionDays"}:
            yield f"{name} logs to {log}"
        if name in (routed | {"authorizer"}) - {"health"} and "ReservedConcurrentExecutions" not in function:
            yield f"{name} may take all environments of the account"


def check_cache(stack: Stack) -> Problems:
    """The cache is encrypted, bounded and signed in to by IAM; functions that ask it know it, and share its VPC"""
    (cache,) = stack.of_type("AWS::ElastiCache::ServerlessCache").values()
    ((name, user),) = stack.of_type("AWS::ElastiCache::User").items()
    (users,) = stack.of_type("AWS::ElastiCache::UserGroup").values()
    # A public address is there from Valkey 9 on.
    if (cache["Engine"], cache["MajorEngineVersion"]) != ("valkey", "9"):
        yield f"it is {cache['Engine']} {cache['MajorEngineVersion']}"
    if cache["ConnectionType"] != {"Ref": "Cache"}:
        yield f"it is connected as {cache['ConnectionType']}"
    limits = cache.get("CacheUsageLimits", {})
    if not all("Maximum" in limits.get(kind, {}) for kind in ("DataStorage", "ECPUPerSecond")):
        yield f"its bill is bounded by {limits}"
    if user["AuthenticationMode"] != {"Type": "iam"} or user["UserId"] != user["UserName"]:
        yield f"{name} is {user}"
    if cache.get("UserGroupId") != {"Ref": "ServerlessCacheUsers"} or users["UserIds"] != [{"Ref": name}]:
        yield f"{cache.get('UserGroupId')} with {users['UserIds']} may sign in"
    variables = [{key: stack.variables(each)[key] for key in ("REDIS_URL", "REDIS_IAM_USER")} for each in sorted(CACHED)]
    if not strings(variables[0]["REDIS_URL"])[1].startswith("rediss://") or any(each != variables[0] for each in variables):
        yield f"functions find it at {variables}"
    (connect,) = (s for n, s in stack.statements() if n == "CacheConnectPolicy")
    if {resource["Fn::GetAtt"][0] for resource in connect["Resource"]} != {"ServerlessCache", name}:
        yield f"functions may connect to {connect['Resource']}"
    may = {role["Ref"] for role in stack.properties("CacheConnectPolicy")["Roles"]}
    if may != {stack.role(function) for function in CACHED}:
        yield f"{sorted(may)} may connect"
    inside = {function for function, properties in stack.functions.items() if "VpcConfig" in properties}
    if inside != CACHED:
        yield f"{sorted(inside)} are in the VPC"


def check_models(stack: Stack) -> Problems:
    """Functions that embed know the same models, the one before too, and may search by the index of each"""
    functions = {name: stack.variables(name) for name in stack.functions}
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
        role = stack.role(name)
        searched = [s["Resource"] for n, s in stack.statements() if n == role and s["Action"] == "dynamodb:SearchVectors"]
        suffixes = ("", "_${EmbeddingEdition}", "_${PreviousEmbeddingEdition}")
        wanted = [{"Fn::Sub": f"${{ChunksTable.Arn}}/index/by_embedding{suffix}"} for suffix in suffixes]
        if searched != [wanted]:
            yield f"{role} may search by {searched}"


def check_answerers(stack: Stack) -> Problems:
    """Chat alone may ask language models, and only for streams of models that are named; an answer ends before its function"""
    streams = "bedrock:InvokeModelWithResponseStream"
    allowed = [name for name, statement in stack.statements() if streams in strings(statement["Action"])]
    if allowed != ["AnswerPolicy"]:
        yield f"{sorted(allowed)} may answer"
        return
    policy = stack.document["Resources"]["AnswerPolicy"]
    if policy.get("Condition") != "AnswersWithBedrock" or policy["Properties"]["Roles"] != [{"Ref": "chatRole"}]:
        yield f"AnswerPolicy is {policy}"
    (statement,) = policy["Properties"]["PolicyDocument"]["Statement"]
    if statement["Action"] != streams:
        yield f"AnswerPolicy allows {statement['Action']}"
    parameters = stack.document["Parameters"]
    if parameters["LlmApiKey"].get("NoEcho") is not True:
        yield "LlmApiKey is shown"
    arns = re.compile(parameters["LlmModelArns"]["AllowedPattern"])
    for arn, wanted in MODEL_ARNS.items():
        if bool(arns.fullmatch(arn)) is not wanted:
            yield f"LlmModelArns and {arn!r}"
    missing = ANSWERER - stack.variables("chat").keys()
    yield from (f"chat is not told {variable}" for variable in sorted(missing))
    if parameters["ChatSeconds"]["MaxValue"] >= stack.functions["chat"]["Timeout"]:
        yield "an answer may take longer than the function"


def check_telemetry(stack: Stack) -> Problems:
    """Functions log JSON, and all tell of traces and failures in the same way; keys for it are shown nowhere"""
    parameters, conditions = stack.document["Parameters"], stack.document["Conditions"]
    if parameters["SentryDsn"].get("NoEcho") is not True:
        yield "SentryDsn is shown"
    for condition, way in (("Traces", "xray"), ("ExportsTraces", "otlp")):
        if conditions[condition] != {"Fn::Equals": [{"Ref": "Tracing"}, way]} or way not in parameters["Tracing"]["AllowedValues"]:
            yield f"{condition} holds if {conditions[condition]}"
    # A caller whose word counts can have everything traced.
    if [parameters[name]["Default"] for name in ("Tracing", "TraceCallersDecide", "TraceContents")] != ["off", "false", "false"]:
        yield "more is told than was asked for"
    secret = {"Fn::Sub": "{{resolve:secretsmanager:${TraceHeadersSecret}}}"}
    wanted = {
        "LOG_FORMAT": "json",
        "LOG_DEBUG_SHARE": {"Ref": "LogDebugShare"},
        "OTEL_EXPORTER_OTLP_ENDPOINT": {"Fn::If": ["ExportsTraces", {"Ref": "TraceEndpoint"}, ""]},
        "OTEL_EXPORTER_OTLP_HEADERS": {"Fn::If": ["SendsTraceHeaders", secret, ""]},
        "OTEL_TRACES_SAMPLER_ARG": {"Ref": "TraceSampleRatio"},
        "OTEL_INSTRUMENTATION_GENAI_CAPTURE_MESSAGE_CONTENT": {"Ref": "TraceContents"},
        "SENTRY_DSN": {"Ref": "SentryDsn"},
        "SENTRY_ENVIRONMENT": {"Ref": "AWS::StackName"},
        "SENTRY_RELEASE": {"Fn::Sub": "ragline@${Release}"},
    }
    for name in stack.functions:
        variables = stack.variables(name)
        yield from (
            f"{name} is told {variable}={variables.get(variable)}"
            for variable, value in wanted.items()
            if variables.get(variable) != value
        )


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
    for name in stack.functions:
        variables = stack.variables(name)
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


CHECKS = [
    check_releases,
    check_canary,
    check_environments,
    check_bounds,
    check_cache,
    check_models,
    check_answerers,
    check_telemetry,
    check_secret,
]
