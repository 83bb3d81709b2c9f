"""What functions may do, and with what."""

import re

from .stack import Problems, Stack, strings

# What the authorizer may do with what, and no more. It answers for everybody, so it sees least.
AUTHORIZER_MAY = {
    ("authorizerLogs", "logs:CreateLogStream"),
    ("authorizerLogs", "logs:PutLogEvents"),
    ("MainTable", "dynamodb:GetItem"),
}
# A policy cannot name objects that do not exist yet, so this one wildcard is as narrow as it gets.
OBJECTS = re.compile(r"\$\{\w+\.Arn\}/t/(\$\{!aws:PrincipalTag/tenant\}/)?\*")
# Actions that know no resource, or none that is there before: of a VPC and of traces.
EVERYWHERE = {
    "ec2:AssignPrivateIpAddresses",
    "ec2:CreateNetworkInterface",
    "ec2:DeleteNetworkInterface",
    "ec2:DescribeNetworkInterfaces",
    "ec2:DescribeSubnets",
    "ec2:UnassignPrivateIpAddresses",
    "xray:PutTelemetryRecords",
    "xray:PutTraceSegments",
}


def check_wildcards(stack: Stack) -> Problems:
    """No policy allows a wildcard, but for the objects under the tenants' prefix and for actions that know no resource"""
    for name, statement in stack.statements():
        if statement["Effect"] == "Deny":
            continue
        yield from (f"{name}: {key} allows all the rest" for key in statement if key.startswith("Not"))
        for key in ("Action", "Principal", "Resource"):
            for text in strings(statement.get(key)):
                objects = key == "Resource" and OBJECTS.fullmatch(text)
                anywhere = key == "Resource" and EVERYWHERE.issuperset(strings(statement["Action"]))
                if "*" in text and not objects and not anywhere:
                    yield f"{name}: {key} {text}"


def check_roles(stack: Stack) -> Problems:
    """Every function has a role of its own, without policies of AWS, which are full of wildcards"""
    roles, own = stack.of_type("AWS::IAM::Role"), stack.of_type("AWS::IAM::ManagedPolicy")
    used = [stack.role(function) for function in stack.functions]
    yield from (f"{role} serves several functions" for role in sorted(set(used)) if used.count(role) > 1)
    for role in used:
        for policy in roles[role].get("ManagedPolicyArns", []):
            named = [name for name in strings(policy) if name in own]
            # Where the condition does not hold there is none.
            if policy != {
                "Fn::If": [policy.get("Fn::If", [""])[0], *({"Ref": name} for name in named), {"Ref": "AWS::NoValue"}]
            }:
                yield f"{role} has {policy}"


def check_authorizer_permissions(stack: Stack) -> Problems:
    """The authorizer may read plans and write its log, and nothing else"""
    role = stack.role("authorizer")
    if stack.allowed(role) != AUTHORIZER_MAY:
        yield f"{role} allows {sorted(stack.allowed(role))}"
    for policy, properties in stack.of_type("AWS::IAM::Policy").items():
        if {"Ref": role} in properties["Roles"]:
            yield f"{role} is also given {policy}"


def check_vector_search(stack: Stack) -> Problems:
    """SearchVectors is allowed in statements of its own, on an index"""
    searches = [(n, s) for n, s in stack.statements() if "dynamodb:SearchVectors" in strings(s.get("Action"))]
    if not searches:
        yield "nobody may search"
    for name, statement in searches:
        if len(strings(statement["Action"])) > 1:
            yield f"{name}: {statement['Action']}"
        yield from (f"{name}: {text}" for text in strings(statement["Resource"]) if "/index/" not in text)


CHECKS = [check_wildcards, check_roles, check_authorizer_permissions, check_vector_search]
