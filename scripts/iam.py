"""IAM in small: what the roles of the template allow, to the functions themselves and to the sessions of tenants."""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from aws_calls import Call
from template_checks.stack import Stack, strings
from template_checks.tenants import ACTING, KEEPING, admits

SERVICES = ("bedrock:", "dynamodb:", "s3:", "sqs:", "sts:")
# What Lambda itself does with the role of the function, to deliver records and messages and to report what it gives up.
BY_LAMBDA = {
    "dynamodb:DescribeStream",
    "dynamodb:GetRecords",
    "dynamodb:GetShardIterator",
    "dynamodb:ListStreams",
    "sqs:DeleteMessage",
    "sqs:GetQueueAttributes",
    "sqs:ReceiveMessage",
}
GIVEN_UP = "ChangesFailureQueue"
# Policies for settings that are not those of the tour.
NOT_SET = {"EmbedBeforePolicy", "RerankPolicy"}


@dataclass(frozen=True)
class Permission:
    """One action on one resource, for a function or for its sessions."""

    function: str
    for_tenants: bool
    action: str
    # A logical id of the template, with what is behind it for indexes and objects.
    resource: str

    def __str__(self) -> str:
        who = f"a session of {self.function}" if self.for_tenants else self.function
        return f"{who}: {self.action} on {self.resource}"


class Roles:
    """The roles of the functions as they are where tenants have sessions."""

    def __init__(self, stack: Stack, functions: tuple[str, ...]) -> None:
        self.statements: list[tuple[str, bool, dict[str, Any]]] = []
        roles = {stack.role(function): function for function in functions}
        given = {
            name: [roles[role["Ref"]] for role in policy["Roles"] if role["Ref"] in roles]
            for name, policy in stack.of_type("AWS::IAM::Policy").items()
            if name not in NOT_SET
        }
        data = {f"{function}Data": function for function in ACTING}
        for holder, statement in stack.statements():
            if "Principal" in statement:
                continue
            own = [roles[holder]] if holder in roles else given.get(holder, [])
            self.statements += [(function, False, statement) for function in own]
            if holder in data:
                self.statements.append((data[holder], True, statement))
        self.boundary = [statement for holder, statement in stack.statements() if holder == "TenantBoundary"]

    def permissions(self) -> set[Permission]:
        """All that the roles allow of these services, but for what Lambda does with it."""
        return {
            Permission(function, for_tenants, action, resource)
            for function, for_tenants, statement in self.statements
            for action in set(strings(statement["Action"])) - BY_LAMBDA
            for resource in resources(statement)
            if action.startswith(SERVICES) and resource != GIVEN_UP
        }

    def used(self, call: Call) -> set[Permission]:
        """The permissions by which a call is admitted; none if it is not."""
        of_tenant = call.tenant is not None
        if of_tenant and not any(any(grants(statement, call)) for statement in self.boundary):
            return set()
        return {
            Permission(function, for_tenants, call.action, resource)
            for function, for_tenants, statement in self.statements
            if (function, for_tenants) == (call.function, of_tenant)
            for resource in grants(statement, call)
        }


def resources(statement: dict[str, Any]) -> Iterator[str]:
    """What a statement is about, by logical ids. Models are one; of vector indexes, that of the first edition is there."""
    held = statement["Resource"]
    for resource in held if isinstance(held, list) else [held]:
        ((kind, value),) = resource.items()
        if kind == "Fn::GetAtt":
            yield value[0]
        elif "foundation-model" in str(value):
            yield "foundation-model/*"
        elif "Edition" not in value:
            yield value.replace("${", "", 1).replace(".Arn}", "", 1)


def grants(statement: dict[str, Any], call: Call) -> Iterator[str]:
    """The resources of a statement that a call is about, if it admits the call."""
    if call.action in strings(statement["Action"]) and all(
        holds(test, key, wanted, call)
        for test, keys in statement.get("Condition", {}).items()
        for key, wanted in keys.items()
    ):
        yield from (name for name in resources(statement) if admits(name, call.resource, call.tenant or ""))


def holds(test: str, key: str, wanted: Any, call: Call) -> bool:
    """Whether a condition of a statement holds for a call."""
    if (test, key) in (("ForAllValues:StringLike", "dynamodb:LeadingKeys"), ("StringLike", "s3:prefix")):
        return all(any(admits(pattern, each, call.tenant or "") for pattern in strings(wanted)) for each in call.keys)
    if test == "ForAllValues:StringEquals":
        return set(call.keys) <= set(strings(wanted))
    if (test, wanted) in (("Null", "false"), ("StringEquals", "SPECIFIC_ATTRIBUTES")):
        return bool(call.keys)
    if (test, key) == ("StringEquals", "aws:PrincipalTag/keeps-keys"):
        return call.function in KEEPING
    raise ValueError(f"unknown condition {test} {key}")
