"""The API: its routes, who may use them, how they answer, and how much they take."""

import json
import tomllib

from .stack import ROOT, Problems, Stack, strings, walk

STREAMING = {"chat"}
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
# What browsers compare the origin of a page with.
ORIGIN = {"Fn::If": ["HasOrigin", {"Fn::Sub": "'${AllowedOrigin}'"}, "'https://none.invalid'"]}


def described() -> dict[tuple[str, str], bool]:
    """The routes that the API's description has, and whether anyone may ask them."""
    description = json.loads((ROOT / "docs" / "openapi.json").read_text())
    return {
        (path, method.upper()): operation.get("security", description.get("security")) in ([], [{}])
        for path, operations in description["paths"].items()
        for method, operation in operations.items()
        if method in ("delete", "get", "patch", "post", "put")
    }


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


def check_description(stack: Stack) -> Problems:
    """The API has the routes of its description, and no others"""
    yield from (f"{route} is only described" for route in sorted(described().keys() - stack.routes().keys()))
    yield from (f"{route} is not described" for route in sorted(stack.routes().keys() - described().keys()))


def check_streaming(stack: Stack) -> Problems:
    """Routes of streaming functions stream, for as long as the function may run, and no others do"""
    for route, operation in stack.operations().items():
        integration = operation["x-amazon-apigateway-integration"]
        function, streaming_uri = stack.target(operation)
        if {streaming_uri, integration.get("responseTransferMode") == "STREAM"} != {function in STREAMING}:
            yield f"{route} of {function} is {integration}"
        elif function in STREAMING:
            limit, timeout = integration.get("timeoutInMillis", 29000), stack.functions[function]["Timeout"]
            if limit != 1000 * timeout:
                yield f"{route} may take {limit} ms, {function} {timeout} s"
    yield from (f"{function} has no route" for function in sorted(STREAMING - set(stack.routes().values())))


def check_authorizer(stack: Stack) -> Problems:
    """Every route but the open ones asks the authorizer, which sees whole requests and is known by one header"""
    schemes = stack.api["components"]["securitySchemes"]
    for route, operation in stack.operations().items():
        asked = {name for rule in operation.get("security", []) for name in rule if name != "NONE"}
        # The key is that of the usage plan, which the authorizer names.
        wanted = set() if described().get(route) else {"Caller", "api_key"}
        if asked != wanted:
            yield f"{route} asks {sorted(asked)}, not {sorted(wanted)}"
    if schemes.keys() != {"Caller", "api_key"}:
        yield f"there are {sorted(schemes)}"

    authorizer = schemes["Caller"]["x-amazon-apigateway-authorizer"]
    if authorizer["type"] != "request":
        yield f"it is of the type {authorizer['type']}"
    if authorizer["identitySource"] != "method.request.header.Authorization":
        yield f"its answers are kept by {authorizer['identitySource']}"
    # What the issuer takes back is believed for so long.
    if not 0 < authorizer["authorizerResultTtlInSeconds"] <= 300:
        yield f"its answers are kept for {authorizer['authorizerResultTtlInSeconds']} s"
    if {"Ref": "authorizerAliaslive"} not in walk(authorizer["authorizerUri"]):
        yield f"it is {authorizer['authorizerUri']}"

    invoked_by = [
        permission
        for permission in stack.of_type("AWS::Lambda::Permission").values()
        if any(text.startswith("authorizer") for text in strings(permission["FunctionName"]))
    ]
    if [permission["Principal"] for permission in invoked_by] != ["apigateway.amazonaws.com"]:
        yield f"it may be invoked by {invoked_by}"
    for permission in invoked_by:
        if not any("/authorizers/" in text for text in strings(permission["SourceArn"])):
            yield f"it may be invoked for {permission['SourceArn']}"


def check_plans(stack: Stack) -> Problems:
    """Every usage plan has one key, which only the authorizer can name and does name, and a limit"""
    if stack.properties(stack.api_name).get("ApiKeySourceType") != "AUTHORIZER":
        yield "callers choose their plan"
    plans, keys = stack.of_type("AWS::ApiGateway::UsagePlan"), stack.of_type("AWS::ApiGateway::ApiKey")
    bound = {
        (each["UsagePlanId"]["Ref"], each["KeyId"]["Ref"]) for each in stack.of_type("AWS::ApiGateway::UsagePlanKey").values()
    }
    if {plan for plan, _ in bound} != plans.keys() or {key for _, key in bound} != keys.keys() or len(bound) != len(plans):
        yield f"{sorted(bound)} are bound"
    named = " ".join(strings(stack.variables("authorizer")["USAGE_KEYS"]))
    for name, key in keys.items():
        if f'"{key["Value"]["Fn::Sub"][0]}"' not in named:
            yield f"the authorizer does not name {name}"
    for name, plan in plans.items():
        if not {"RateLimit", "BurstLimit"} <= plan.get("Throttle", {}).keys():
            yield f"{name} has no limit"
        if [stage["ApiId"] for stage in plan["ApiStages"]] != [{"Ref": stack.api_name}]:
            yield f"{name} is of {plan['ApiStages']}"


def check_stage(stack: Stack) -> Problems:
    """The stage has an access log and limits for all routes, of which those that stream have less"""
    (stage,) = stack.of_type("AWS::ApiGateway::Stage").values()
    if stage.get("AccessLogSetting", {}).get("DestinationArn") != {"Fn::GetAtt": ["ApiLogs", "Arn"]}:
        yield "nobody logs who called"
    settings = {(each["ResourcePath"], each["HttpMethod"]): each for each in stage.get("MethodSettings", [])}
    if settings.get(("/*", "*"), {}).get("ThrottlingRateLimit") != {"Ref": "ApiPerSecond"}:
        yield f"the limits are {settings}"
    posts = {path for path, method in stack.operations() if method == "POST" and stack.routes()[path, method] in STREAMING}
    for path in sorted(posts):
        # A slash is ~1 here.
        own = settings.get(("/" + path.replace("/", "~1"), "POST"), {})
        if own.get("ThrottlingRateLimit") != {"Ref": "ChatPerSecond"}:
            yield f"{path} has no limit of its own"


def check_cors(stack: Stack) -> Problems:
    """Pages of the configured origin may call every route and read what API Gateway itself answers; no others may"""
    preflights = stack.operations(preflight=True)
    yield from (
        f"{path} has no preflight" for path in sorted({path for path, _ in stack.routes()} - {path for path, _ in preflights})
    )
    for (path, _), operation in preflights.items():
        if operation.get("security"):
            yield f"the preflight of {path} asks {operation['security']}"
        headers = operation["x-amazon-apigateway-integration"]["responses"]["default"]["responseParameters"]
        if headers["method.response.header.Access-Control-Allow-Origin"] != ORIGIN:
            yield f"{path} is for {headers}"
        methods = headers["method.response.header.Access-Control-Allow-Methods"].strip("'").split(",")
        yield from (f"{route} is not allowed" for route in stack.routes() if route[0] == path and route[1] not in methods)
    for kind, response in stack.api["x-amazon-apigateway-gateway-responses"].items():
        if response["responseParameters"].get("gatewayresponse.header.Access-Control-Allow-Origin") != ORIGIN:
            yield f"no page can read {kind}"
    for name in stack.functions:
        if stack.variables(name).get("ALLOWED_ORIGINS") != {"Ref": "AllowedOrigin"}:
            yield f"{name} allows {stack.variables(name).get('ALLOWED_ORIGINS')}"


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
    check_description,
    check_streaming,
    check_authorizer,
    check_plans,
    check_stage,
    check_cors,
    check_gateway_errors,
    check_events,
]
