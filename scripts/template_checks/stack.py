"""A template as CloudFormation sees it, after SAM's translation."""

import os
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

# The translator asks boto for a region, if only to name the partition.
os.environ.setdefault("AWS_DEFAULT_REGION", "us-east-1")

from samtranslator.translator.transform import transform  # noqa: E402
from samtranslator.yaml_helper import yaml_parse  # noqa: E402

ROOT = Path(__file__).resolve().parents[2]
INTEGRATION = re.compile(r"functions/\$\{(\w+)\}/(response-streaming-)?invocations$")

Problems = Iterator[str]
Route = tuple[str, str]


class NoManagedPolicies:
    """Stands in for IAM, which SAM would ask for the ARNs of managed policies: the template calls none by its name."""

    def load(self) -> dict[str, str]:
        return {}


def translate(template: Path, parameters: dict[str, str]) -> dict[str, Any]:
    """What SAM makes of a template."""
    source = yaml_parse(template.read_text())
    for resource in source["Resources"].values():
        if "CodeUri" in resource.get("Properties", {}):
            resource["Properties"]["CodeUri"] = "s3://bucket/key"
    document: dict[str, Any] = transform(source, parameters, NoManagedPolicies())
    return document


class Stack:
    """A translated template."""

    def __init__(self, document: dict[str, Any]) -> None:
        self.document = document
        ((self.api_name, api),) = self.of_type("AWS::ApiGateway::RestApi").items()
        self.api = api["Body"]
        self.functions = self.of_type("AWS::Lambda::Function")
        # By what stands for it: what calls a function calls the alias to its latest release.
        self.aliases = {name: alias["FunctionName"]["Ref"] for name, alias in self.of_type("AWS::Lambda::Alias").items()}

    def of_type(self, kind: str) -> dict[str, Any]:
        """The properties of all resources of a type, by logical id."""
        resources = self.document["Resources"].items()
        return {name: each.get("Properties", {}) for name, each in resources if each["Type"] == kind}

    def properties(self, name: str) -> dict[str, Any]:
        """The properties of a resource."""
        properties: dict[str, Any] = self.document["Resources"][name]["Properties"]
        return properties

    def operations(self, preflight: bool = False) -> dict[Route, dict[str, Any]]:
        """Each path and method of the API: those that CORS adds, which no function answers, or the others."""
        return {
            (path, method.upper()): operation
            for path, operations in self.api["paths"].items()
            for method, operation in operations.items()
            if (method == "options") == preflight
        }

    def target(self, operation: dict[str, Any]) -> tuple[str, bool]:
        """The function whose release an operation invokes, and whether it asks for a stream."""
        match = INTEGRATION.search(operation["x-amazon-apigateway-integration"]["uri"]["Fn::Sub"])
        return (self.aliases.get(match[1], "nothing"), bool(match[2])) if match else ("nothing", False)

    def routes(self) -> dict[Route, str]:
        """The function behind each path and method of the API."""
        return {route: self.target(operation)[0] for route, operation in self.operations().items()}

    def sources(self, function: str) -> list[dict[str, Any]]:
        """The event sources of a function's releases."""
        sources = self.of_type("AWS::Lambda::EventSourceMapping").values()
        return [source for source in sources if self.aliases.get(source["FunctionName"]["Ref"]) == function]

    def role(self, function: str) -> str:
        """The role of a function."""
        role: str = self.functions[function]["Role"]["Fn::GetAtt"][0]
        return role

    def holders(self, function: str) -> set[str]:
        """What holds the statements for a function: its role, and those policies of the stack that the role may have."""
        role = self.role(function)
        policies = strings(self.properties(role).get("ManagedPolicyArns", []))
        return {role, *(name for name in policies if name in self.document["Resources"])}

    def variables(self, function: str) -> dict[str, Any]:
        """The environment variables of a function."""
        variables: dict[str, Any] = self.functions[function]["Environment"]["Variables"]
        return variables

    def statements(self) -> list[tuple[str, dict[str, Any]]]:
        """Every policy statement, with the logical id of the resource that holds it."""
        resources = self.document["Resources"].items()
        return [(name, node) for name, each in resources for node in walk(each) if isinstance(node, dict) and "Effect" in node]

    def allowed(self, *holders: str) -> set[tuple[str, str]]:
        """What the statements of these holders allow, as resource and action."""
        return {
            (resource, action)
            for holder, statement in self.statements()
            if holder in holders and "Principal" not in statement
            for resource in strings(statement["Resource"])
            if resource in self.document["Resources"]
            for action in strings(statement["Action"])
        }


def walk(node: Any) -> Iterator[Any]:
    """Everything in a document, the document first, whatever intrinsic functions it is wrapped in."""
    yield node
    if isinstance(node, dict | list):
        for child in node.values() if isinstance(node, dict) else node:
            yield from walk(child)


def strings(node: Any) -> list[str]:
    """Every string in a part of a document."""
    return [each for each in walk(node) if isinstance(each, str)]
