#!/usr/bin/env python3
"""Holds what the functions call in DynamoDB against what their roles allow: no call without a permission, no permission without
a call.

Usage: permissions.py [--folder target/debug]

The built functions run as on Lambda (gateway.py), with streams and queues, and every route is asked for what it can do. Objects and
messages are files there, so of S3 and SQS this says nothing. Needs the packages of check_template.py. The last line reads
`N calls, M permissions, K differences`.
"""

import argparse
import logging
import pathlib
import socket
import sys
import time
import urllib.parse
from typing import Any

from gateway import Call, Gateway, serving
from runtime_api import ROOT, Services, services
from smoke import Api, form
from template_checks.stack import Stack, strings, translate

FUNCTIONS = ("authorizer", "changes", "chat", "documents", "health", "ingest", "search", "upload", "users", "webhooks")
# Permissions that nothing here has use for, and what has.
ELSEWHERE = {
    ("chat", "BatchGetItem", "ChunksTable"): "passages that only their words lead to, in collections of more than a hundred",
    ("ingest", "PutItem", "MainTable"): "a mark, when the cache cannot be told that something is stale",
    ("ingest", "SearchVectors", "ChunksTable/index/by_embedding"): "whether the index of another model answers",
    ("ingest", "UpdateItem", "ChunksTable"): "vectors of another model",
    ("search", "BatchGetItem", "ChunksTable"): "passages that only their words lead to, in collections of more than a hundred",
}
# What Lambda itself does to deliver the stream, with the role of the function.
STREAM = {"DescribeStream", "GetRecords", "GetShardIterator", "ListStreams"}
# How long the stream and the queues may take to be through.
SETTLED = 3


class Tour:
    """Asks every route, as whoever may."""

    def __init__(self, gateway: Gateway, local: Services) -> None:
        self.gateway, self.local = gateway, local
        self.ada = self.api(role="owner")
        self.bob = self.api(user="bob", role="editor")
        self.root = self.api(tenant="platform", user="root", role="operator")

    def api(self, **claims: str) -> Api:
        """The API for whom a token speaks."""
        return Api(self.gateway.url, self.local.token(**claims), 60)

    def forget(self) -> None:
        """Empties the cache, so that the next function asks the database for what it must know."""
        url = urllib.parse.urlsplit(self.local.variables["REDIS_URL"])
        with socket.create_connection((url.hostname, url.port)) as connection:
            connection.sendall(b"FLUSHALL\r\n")
            connection.recv(16)

    def go(self) -> None:
        limits = {"user_per_minute": 100000, "tenant_per_hour": 1000000, "ip_per_minute": 100000}
        self.root.ask("PUT", "/tenants/demo", {"name": "Demo", "limits": limits}).expect(200)
        self.root.ask("GET", "/tenants/demo").expect(200)
        for path in ("/health", "/health/ready", "/openapi.json"):
            self.ada.ask("GET", path).expect(200)
        self.newcomers()
        self.people()
        self.keys()
        self.webhooks()
        self.documents()
        self.answers()
        self.rest()
        time.sleep(SETTLED)

    def newcomers(self) -> None:
        """Each function is the first to see somebody, and the first to be asked when nothing is cached."""
        announced = {"filename": "a.md", "content_type": "text/markdown", "size_bytes": 0}
        asked: list[tuple[str, str, Any]] = [
            ("GET", "/documents", None),
            ("GET", "/conversations", None),
            ("POST", "/search", {"query": "ducks"}),
            ("POST", "/chat", {"message": "ducks?", "stream": False}),
            ("POST", "/documents/upload", announced),
        ]
        for number, (method, path, body) in enumerate(asked):
            for headers in ({}, {"idempotency_key": f"n{number}"}) if method == "POST" else ({},):
                self.forget()
                self.api(user=f"new-{number}-{len(headers)}", role="editor").ask(method, path, body, **headers)
                self.forget()
                self.ada.ask(method, path, body, **headers)

    def people(self) -> None:
        for id, access in (("open", "tenant"), ("board", "members")):
            self.ada.ask("PUT", f"/collections/{id}", {"access": access}).expect(200, 201)
        self.ada.ask("GET", "/users/me").expect(200)
        self.bob.ask("GET", "/users/me").expect(200)
        self.bob.ask("PATCH", "/users/me", {"name": "Bob"}).expect(200)
        self.ada.ask("GET", "/users").expect(200)
        self.ada.ask("PUT", "/users/carl", {"role": "admin", "collections": [{"id": "board", "role": "editor"}]}).expect(
            200, 201
        )
        self.ada.ask("GET", "/users/carl").expect(200)
        self.ada.ask("PUT", "/users/carl", {"role": "owner"}).expect(200)
        self.ada.ask("DELETE", "/users/carl").expect(200, 202, 204)
        self.ada.ask("GET", "/users?limit=1").expect(200)

    def keys(self) -> None:
        created = self.ada.ask("POST", "/keys", {"name": "robot", "role": "editor"}, idempotency_key="k1").expect(201).json()
        self.ada.ask("POST", "/keys", {"name": "robot", "role": "editor"}, idempotency_key="k1").expect(201)
        robot = Api(self.gateway.url, created["key"], 60)
        robot.ask("GET", "/documents").expect(200)
        robot.ask("POST", "/chat", {"message": "What do ducks eat?", "stream": False}).expect(200)
        self.ada.ask("GET", "/keys").expect(200)
        self.ada.ask("DELETE", f"/keys/{created['id']}").expect(200, 202, 204)

    def webhooks(self) -> None:
        hook = {"url": "http://127.0.0.1:9/hook", "events": ["document.ready", "document.failed", "document.deleted"]}
        self.ada.ask("PUT", "/webhooks/crm", hook).expect(200, 201)
        self.ada.ask("GET", "/webhooks").expect(200)
        self.ada.ask("GET", "/webhooks/crm").expect(200)
        self.ada.ask("POST", "/webhooks/crm/test").expect(200, 202)
        self.ada.ask("GET", "/webhooks/crm/deliveries").expect(200)

    def upload(self, name: str, text: str, **fields: str) -> str:
        body, kind = form(name, text.encode(), **fields)
        answer = self.ada.ask("POST", "/documents/upload", body, content_type=kind).expect(200, 202)
        id: str = answer.json()["document"]["id"]
        self.ada.ready(id)
        return id

    def documents(self) -> None:
        ducks = self.upload(
            "ducks.md", "# Ducks\n\nDucks eat pondweed, snails and insects of the pond XK-42.\n", collection="open"
        )
        self.upload("ducks.md", "# Ducks\n\nDucks eat pondweed, snails and insects of the pond XK-42.\n", collection="open")
        self.upload("geese.md", "Geese eat grass.\n", collection="board")
        self.upload("ducks.md", "# Ducks\n\nDucks eat bread, which is not good for them.\n", document_id=ducks)
        broken, kind = form("broken.pdf", b"%PDF-1.7 is not all that is needed")
        failing = self.ada.ask("POST", "/documents/upload", broken, content_type=kind).expect(202).json()["document"]["id"]
        self.ada.until("the broken file failing", lambda: self.failed(failing))
        # Of a version that nobody was served, the mark of its bytes goes when it is replaced.
        self.upload("whole.md", "It was broken.\n", document_id=failing)
        announced = {"filename": "late.md", "content_type": "text/markdown", "size_bytes": 12}
        late = self.ada.ask("POST", "/documents/upload", announced, idempotency_key="u1").expect(201).json()["document"]["id"]
        self.ada.ask("POST", "/documents/upload", announced, idempotency_key="u1").expect(201)
        self.ada.ask("DELETE", f"/documents/{late}").expect(202)
        for path in (
            "/documents",
            "/documents?collection=open&limit=1",
            "/documents?status=ready",
            f"/documents/{ducks}",
            "/collections",
        ):
            self.ada.ask("GET", path).expect(200)
        for part in ("chunks", "text"):
            self.ada.ask("GET", f"/documents/{ducks}/{part}").expect(200)
        self.ada.ask("GET", f"/documents/{ducks}/content").expect(302)
        self.ada.ask("PATCH", f"/documents/{ducks}", {"metadata": {"a": "b"}}).expect(200)
        self.ada.ask("PATCH", f"/documents/{ducks}", {"collection": "board"}).expect(200)
        time.sleep(SETTLED)
        self.local.run("reindex")
        self.ducks = ducks

    def failed(self, document: str) -> bool | None:
        """True once a document is failed."""
        answer = self.ada.ask("GET", f"/documents/{document}", cache_control="no-cache").expect(200)
        return answer.json()["status"] == "failed" or None

    def answers(self) -> None:
        self.ada.ask("POST", "/search", {"query": "what do ducks eat at XK-42?"}).expect(200)
        filters = {"type": "eq", "key": "year", "value": 2026}
        self.ada.ask("POST", "/search", {"query": "what do ducks eat?", "filters": filters}).expect(200)
        for api in (self.ada, self.bob):
            question = {"message": "What do ducks eat?", "filters": filters, "stream": False}
            said = api.ask("POST", "/chat", question, idempotency_key="c1").expect(200).json()
            more = {"message": "And geese?", "conversation_id": said["conversation_id"]}
            api.ask("POST", "/chat", more).expect(200)
            api.ask("GET", "/conversations").expect(200)
            api.ask("GET", f"/conversations/{said['conversation_id']}").expect(200)
        self.ada.ask("DELETE", f"/conversations/{said['conversation_id']}").expect(204, 404)
        first = self.ada.ask("GET", "/conversations").json()["data"][0]["id"]
        self.ada.ask("DELETE", f"/conversations/{first}").expect(200, 202, 204)

    def rest(self) -> None:
        for path in ("/usage", "/audit", "/audit?limit=1"):
            self.ada.ask("GET", path).expect(200)
        self.ada.ask("DELETE", f"/documents/{self.ducks}").expect(202)
        self.ada.ask("DELETE", "/collections/board").expect(200, 202, 204)
        self.ada.ask("DELETE", "/users/bob").expect(200, 202, 204)
        time.sleep(SETTLED)
        self.ada.ask("GET", f"/documents/{self.ducks}/purge").expect(200)
        self.ada.ask("DELETE", "/webhooks/crm").expect(200, 202, 204)


def permitted(stack: Stack) -> set[tuple[str, str, str]]:
    """What roles allow in DynamoDB: function, action, and table or table/index/name, as in the default installation."""
    roles, allowed = {stack.role(function): function for function in FUNCTIONS}, set()
    for holder, statement in stack.statements():
        actions = {
            action.removeprefix("dynamodb:") for action in strings(statement["Action"]) if action.startswith("dynamodb:")
        }
        for resource in strings(statement.get("Resource")) if holder in roles else []:
            # Of the indexes, that of the first edition is there.
            if resource not in ("Fn::Sub", "Fn::GetAtt", "Arn", "StreamArn") and "Edition" not in resource:
                name = resource.replace("${", "").replace(".Arn}", "")
                allowed |= {(roles[holder], action, name) for action in actions - STREAM}
    return allowed


def called(calls: set[Call], variables: dict[str, str]) -> set[tuple[str, str, str]]:
    """Calls in the words of the template."""
    tables = {
        variables.get("TABLE_NAME", "ragline"): "MainTable",
        variables.get("CHUNKS_TABLE_NAME", "ragline-chunks"): "ChunksTable",
    }
    return {
        (function, action, tables[table] + (f"/index/{index}" if index else "")) for function, action, table, index in calls
    }


def free_port() -> int:
    with socket.socket() as one:
        one.bind(("127.0.0.1", 0))
        port: int = one.getsockname()[1]
        return port


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument(
        "--folder", type=pathlib.Path, default=ROOT / "target" / "debug", help="where `local` and the functions are"
    )
    folder = parser.parse_args().folder
    logging.disable(logging.WARNING)
    port = free_port()
    with services(folder / "local", port) as local:
        with serving({name: folder / name for name in FUNCTIONS}, local.variables, port) as (gateway, calls):
            Tour(gateway, local).go()
            made = called(calls, local.variables)
    allowed = permitted(Stack(translate(ROOT / "template.yaml", {"Canary": "true"})))
    unpermitted, unused = sorted(made - allowed), sorted(allowed - made - ELSEWHERE.keys())
    for function, action, resource in unpermitted:
        print(f"FAIL  {function} calls {action} on {resource}, which its role does not allow")
    for function, action, resource in unused:
        print(f"FAIL  {function} may call {action} on {resource}, and does not")
    print(f"{len(made)} calls, {len(allowed)} permissions, {len(unpermitted) + len(unused)} differences")
    return 1 if unpermitted or unused else 0


if __name__ == "__main__":
    sys.exit(main())
