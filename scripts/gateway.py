"""API Gateway and Lambda in small: one address in front of built functions, which are invoked as on AWS.

A request becomes a REST proxy event for the function of its route, once the authorizer has said who it comes from; chat answers in
the streaming format. At /2015-03-31/functions/<name>/invocations the services of `local` deliver messages and records.
"""

import base64
import json
import pathlib
import threading
import tomllib
import urllib.parse
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from typing import Any

from runtime_api import ROOT, Answer, RuntimeApi, running
from servers import Handler, Threaded

OPEN = ("/health", "/health/ready", "/openapi.json")
END_OF_HEAD = b"\0" * 8
STREAM = "application/vnd.awslambda.http-integration-response"


class Lambda:
    """The functions, each in one environment that takes one event at a time."""

    def __init__(self) -> None:
        self.environments: dict[str, tuple[RuntimeApi, threading.Lock]] = {}

    def add(self, function: str, api: RuntimeApi) -> None:
        self.environments[function] = (api, threading.Lock())

    def invoke(self, function: str, event: Any) -> Answer:
        api, turn = self.environments[function]
        with turn:
            return api.invoke(event)


class Gateway(Threaded):
    """What clients ask."""

    def __init__(self, functions: Lambda, port: int = 0) -> None:
        super().__init__(("127.0.0.1", port), GatewayHandler)
        self.functions = functions
        router = tomllib.loads((ROOT / "Cargo.toml").read_text())["workspace"]["metadata"]["lambda"]["watch"]["router"]
        # What is written out is found before what stands for anything.
        self.router = sorted(router.items(), key=lambda each: ["{" in part for part in each[0].split("/")])
        self.sample = json.loads((ROOT / "events" / "users" / "me.json").read_text())
        # The authorizer's answers, by the header.
        self.known: dict[str, dict[str, Any]] = {}
        threading.Thread(target=self.serve_forever, daemon=True).start()

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.server_port}"

    def route(self, method: str, path: str) -> tuple[str, str, dict[str, str]] | None:
        """The function of a request, its resource, and what the path holds in the place of names."""
        parts = path.split("/")
        for resource, rule in self.router:
            names = resource.split("/")
            if len(names) == len(parts) and all(n == p or n.startswith("{") for n, p in zip(names, parts, strict=True)):
                held = {n.strip("{}"): p for n, p in zip(names, parts, strict=True) if n.startswith("{")}
                rules = {method: rule} if isinstance(rule, str) else {r["method"]: r["function"] for r in rule}
                if method in rules:
                    return rules[method], resource, held
        return None

    def event(self, handler: "GatewayHandler", resource: str, held: dict[str, str]) -> dict[str, Any]:
        """A request as API Gateway hands it on, its stage in the context but not in the path."""
        parts = urllib.parse.urlsplit(handler.path)
        query, body = urllib.parse.parse_qs(parts.query, keep_blank_values=True), handler.taken()
        is_text = not handler.headers.get("content-type", "").startswith("multipart/")
        many = {name: handler.headers.get_all(name) for name in handler.headers}
        context = {**self.sample["requestContext"], "path": f"/v1{parts.path}", "resourcePath": resource}
        return {
            **self.sample,
            "resource": resource,
            "path": parts.path,
            "httpMethod": handler.command,
            "headers": {name: values[-1] for name, values in many.items()},
            "multiValueHeaders": many,
            "queryStringParameters": {name: values[-1] for name, values in query.items()} or None,
            "multiValueQueryStringParameters": query or None,
            "pathParameters": held or None,
            "requestContext": {**context, "httpMethod": handler.command},
            "body": (body.decode() if is_text else base64.b64encode(body).decode()) if body else None,
            "isBase64Encoded": not is_text,
        }

    def caller(self, event: dict[str, Any]) -> dict[str, Any] | None:
        """What the authorizer says of a request's caller; nothing of one who is to be refused."""
        held = next((value for name, value in event["headers"].items() if name.lower() == "authorization"), None)
        if held is None:
            return None
        if held not in self.known:
            arn = "arn:aws:execute-api:us-east-1:123456789012:abcde12345/v1/GET/"
            answer = self.functions.invoke("authorizer", {**event, "type": "REQUEST", "methodArn": arn})
            if answer.kind == "error":
                return None
            self.known[held] = answer.json()["context"]
        return self.known[held]


class GatewayHandler(Handler):
    server: Gateway

    def handle_any(self) -> None:
        if self.path.startswith("/2015-03-31/functions/"):
            answer = self.server.functions.invoke(self.path.split("/")[3], json.loads(self.taken()))
            self.answer(200 if answer.kind == "response" else 500, [("content-type", "application/json")], answer.body)
            return
        path = urllib.parse.urlsplit(self.path).path
        found = self.server.route(self.command, path)
        if found is None:
            self.refuse(404, "not_found")
            return
        function, resource, held = found
        event = self.server.event(self, resource, held)
        if path not in OPEN:
            context = self.server.caller(event)
            if context is None:
                self.refuse(401, "unauthenticated")
                return
            event["requestContext"] = {**event["requestContext"], "authorizer": context}
        self.hand_on(self.server.functions.invoke(function, event))

    do_GET = do_POST = do_PUT = do_PATCH = do_DELETE = handle_any

    def refuse(self, status: int, code: str) -> None:
        self.answer(
            status, [("content-type", "application/problem+json")], json.dumps({"status": status, "code": code}).encode()
        )

    def hand_on(self, answer: Answer) -> None:
        """What a function answered, as a client gets it."""
        if answer.headers.get("content-type") == STREAM:
            head, _, body = answer.body.partition(END_OF_HEAD)
            said = json.loads(head)
        else:
            said = answer.json()
            text = said.get("body") or ""
            body = base64.b64decode(text) if said.get("isBase64Encoded") else text.encode()
        headers = {**said.get("headers", {})}
        many = {name: values for name, values in said.get("multiValueHeaders", {}).items()}
        pairs = [(name, value) for name, value in headers.items() if name not in many]
        pairs += [(name, value) for name, values in many.items() for value in values]
        self.answer(said["statusCode"], pairs, body)


@contextmanager
def serving(functions: dict[str, tuple[pathlib.Path, dict[str, str]]], port: int) -> Iterator[Gateway]:
    """The gateway in front of these functions, each a program with its variables."""
    environments = Lambda()
    with ExitStack() as stack:
        for function, (binary, variables) in functions.items():
            api, _ = stack.enter_context(running(binary, function, variables))
            environments.add(function, api)
        yield Gateway(environments, port)
