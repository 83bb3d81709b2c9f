"""The sessions of tenants: who has them, and how far they reach."""

import re
from typing import Any

from .stack import Problems, Stack, strings

TAG = "aws:PrincipalTag/tenant"
# The functions that reach what is a tenant's. The authorizer and health read a plan and nothing.
ACTING = {"changes", "chat", "documents", "ingest", "search", "upload", "users", "webhooks"}
# Those that write what is found by the hash of an API key.
KEEPING = {"changes", "users"}
# What the functions' own roles may do with tables and bucket beside reading the stream, whose items are no tenant's.
OWN = {
    ("HEALTH", "dynamodb:GetItem"),
    ("KEY#*", "dynamodb:GetItem"),
    ("keys of items", "dynamodb:Scan"),
    ("t/ping", "s3:GetObject"),
    ("t/ping", "s3:ListBucket"),
}
# What is acme's, in the forms of shared::tables and shared::clients, and what is not.
MINE = {
    "items": ("T#acme", "T#acme#U#ada", "T#acme#DOC#01J", "T#acme#board", "T#acme#board#TERM#duck"),
    "objects": ("t/acme/01J/1/original", "t/acme/01J/1/text/0"),
}
OTHERS = {
    "items": ("T#acme2", "T#acm", "T#globex", "T#globex#DOC#01J", "T#acme2#board", "KEY#00", "HEALTH", "acme#board"),
    "objects": ("t/acme2/01J/1/original", "t/globex/01J/1/original", "t/ping", "x/t/acme/01J"),
}


def admits(pattern: str, text: str, tenant: str) -> bool:
    """Whether IAM takes a text for one of a pattern (StringLike, or a resource) in a session of the tenant."""
    parts = re.split(r"([*?])", pattern.replace("${!", "${").replace(f"${{{TAG}}}", tenant))
    expression = "".join({"*": ".*", "?": "."}.get(part) or re.escape(part) for part in parts)
    return re.fullmatch(expression, text, re.DOTALL) is not None


def leading_keys(statement: dict[str, Any]) -> list[str]:
    """The patterns of partition keys that a statement is for; none if it is for all, or for requests without a key as well."""
    condition = statement.get("Condition", {})
    if condition.get("Null") != {"dynamodb:LeadingKeys": "false"}:
        return []
    return list(condition.get("ForAllValues:StringLike", {}).get("dynamodb:LeadingKeys", []))


def check_sessions(stack: Stack) -> Problems:
    """Each function has sessions of a role that it alone assumes, for one tenant that is named and within the boundary"""
    known = {name for name in stack.functions if "TENANT_ROLE_ARN" in stack.variables(name)}
    if known != ACTING:
        yield f"{sorted(known)} have sessions"
    for name in sorted(ACTING):
        role, session = stack.role(name), f"{name}TenantRole"
        if stack.variables(name).get("TENANT_ROLE_ARN") != when_given({"Fn::GetAtt": [session, "Arn"]}, ""):
            yield f"{name} has sessions of {stack.variables(name).get('TENANT_ROLE_ARN')}"
        properties = stack.properties(session)
        (trust,) = properties["AssumeRolePolicyDocument"]["Statement"]
        if trust["Principal"] != {"AWS": {"Fn::GetAtt": [role, "Arn"]}}:
            yield f"{session} trusts {trust['Principal']}"
        if trust["Condition"] != {
            "StringLike": {"aws:RequestTag/tenant": "?*"},
            "ForAllValues:StringEquals": {"aws:TagKeys": ["tenant"]},
        }:
            yield f"{session} is given out on {trust['Condition']}"
        if properties.get("PermissionsBoundary") != {"Ref": "TenantBoundary"}:
            yield f"{session} has no boundary"
        if properties["ManagedPolicyArns"] != [{"Ref": f"{name}Data"}] or "Policies" in properties:
            yield f"{session} may do {properties}"
        if bool(properties.get("Tags")) != (name in KEEPING):
            yield f"{session} has the tags {properties.get('Tags')}"
        if stack.document["Resources"][session].get("Condition") != "GivesTenantsSessions":
            yield f"{session} is always there"
        policy = stack.properties(f"{name}Sessions")
        (statement,) = policy["PolicyDocument"]["Statement"]
        if policy["Roles"] != [{"Ref": role}] or statement["Resource"] != {"Fn::GetAtt": [session, "Arn"]}:
            yield f"{policy['Roles']} may assume {statement['Resource']}"


def when_given(there: Any, otherwise: Any) -> dict[str, Any]:
    """A value that depends on whether tenants have sessions."""
    return {"Fn::If": ["GivesTenantsSessions", there, otherwise]}


def check_own_roles(stack: Stack) -> Problems:
    """Where only sessions reach what is a tenant's, functions keep what is no tenant's, and nothing else"""
    conditions = stack.document["Conditions"]
    wanted = {
        "GivesTenantsSessions": {"Fn::Not": [{"Fn::Equals": [{"Ref": "TenantIsolation"}, "off"]}]},
        "ServesByItself": {"Fn::Not": [{"Fn::Equals": [{"Ref": "TenantIsolation"}, "on"]}]},
    }
    yield from (f"{name} is {conditions.get(name)}" for name in wanted if conditions.get(name) != wanted[name])
    for name in sorted(ACTING):
        role = stack.role(name)
        given = {"Fn::If": ["ServesByItself", {"Ref": f"{name}Data"}, {"Ref": "AWS::NoValue"}]}
        if given not in stack.properties(role)["ManagedPolicyArns"]:
            yield f"{role} may not do what {name} does"
        for sid, kept in kept_by(stack, role):
            if not kept <= OWN:
                yield f"{role}: {sid} allows {sorted(kept - OWN)}"


def kept_by(stack: Stack, role: str) -> list[tuple[str, set[tuple[str, str]]]]:
    """What the statements of a role itself allow with tables and bucket, but for the stream: keys or names, and actions."""
    kept = []
    for holder, statement in stack.statements():
        stored = [action for action in strings(statement["Action"]) if action.startswith(("dynamodb:", "s3:"))]
        if holder != role or not stored or "StreamArn" in strings(statement["Resource"]):
            continue
        condition = statement.get("Condition", {})
        names = leading_keys(statement)
        if condition == {
            "ForAllValues:StringEquals": {"dynamodb:Attributes": ["pk", "sk"]},
            "StringEquals": {"dynamodb:Select": "SPECIFIC_ATTRIBUTES"},
        }:
            names = ["keys of items"]
        if stored == ["s3:GetObject"]:
            names = [text.removeprefix("${Bucket.Arn}/") for text in strings(statement["Resource"]) if text != "Fn::Sub"]
        if stored == ["s3:ListBucket"]:
            names = strings(condition.get("StringLike", {}).get("s3:prefix", "anything"))
        kept.append((statement["Sid"], {(name, action) for name in names or ["anything"] for action in stored}))
    return kept


def check_boundary(stack: Stack) -> Problems:
    """A session reaches the items and the objects of its tenant, and of nobody else"""
    statements = {s["Sid"]: s for name, s in stack.statements() if name == "TenantBoundary"}
    if statements.keys() != {"Items", "Keys", "Vectors", "Objects", "NamesOfObjects"}:
        yield f"the boundary has {sorted(statements)}"
    (objects,) = (text for text in strings(statements["Objects"]["Resource"]) if text != "Fn::Sub")
    reach = {
        "Items": ("items", leading_keys(statements["Items"])),
        "Objects": ("objects", [objects.removeprefix("${Bucket.Arn}/")]),
        "NamesOfObjects": ("objects", strings(statements["NamesOfObjects"].get("Condition", {}).get("StringLike", {}))),
    }
    for sid, (kind, patterns) in reach.items():
        for text in MINE[kind]:
            if not any(admits(pattern, text, "acme") for pattern in patterns):
                yield f"{sid} keeps acme from {text}"
        for text in OTHERS[kind]:
            if not patterns or any(admits(pattern, text, "acme") for pattern in patterns):
                yield f"{sid} lets acme reach {text}"
    keys = statements["Keys"]
    if set(leading_keys(keys)) != {*leading_keys(statements["Items"]), "KEY#*"}:
        yield f"Keys is about {leading_keys(keys)}"
    if keys["Condition"].get("StringEquals") != {"aws:PrincipalTag/keeps-keys": "true"}:
        yield f"Keys is for {keys['Condition']}"
    if set(keys["Action"]) != {"dynamodb:DeleteItem", "dynamodb:PutItem"}:
        yield f"Keys allows {keys['Action']}"


CHECKS = [check_sessions, check_own_roles, check_boundary]
