"""Asks every route of an installation for what it can do, as whoever may."""

import hashlib
import json
import socket
import time
import urllib.parse
import urllib.request
from typing import Any

from doubles import BUCKET, Aws
from gateway import Gateway
from runtime_api import Services
from smoke import Api, form

# How long the stream and the queues may take to be through.
SETTLED = 3


class Tour:
    """One way past everything."""

    def __init__(self, gateway: Gateway, local: Services, aws: Aws) -> None:
        self.gateway, self.local, self.aws = gateway, local, aws
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
        self.put("put.md", b"# Put\n\nSwans eat algae.\n")
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
        address = self.ada.ask("GET", f"/documents/{ducks}/content").expect(302).headers["location"]
        with urllib.request.urlopen(address) as original:
            assert b"bread" in original.read()
        self.ada.ask("PATCH", f"/documents/{ducks}", {"metadata": {"a": "b"}}).expect(200)
        self.ada.ask("PATCH", f"/documents/{ducks}", {"collection": "board"}).expect(200)
        time.sleep(SETTLED)
        self.aws.send("IngestQueue", {"reindex": {}})
        self.ducks = ducks
        # So that somebody reads what is not there any more.
        self.aws.remove("/text/")

    def put(self, name: str, text: bytes) -> str:
        """A document whose bytes are put at an address that is signed for them, and are looked for before that."""
        sha256 = hashlib.sha256(text).hexdigest()
        announced = {"filename": name, "content_type": "text/markdown", "size_bytes": len(text), "sha256": sha256}
        said = self.ada.ask("POST", "/documents/upload", announced).expect(201).json()
        # Once more, whereupon it is looked whether they are there by now.
        self.ada.ask("POST", "/documents/upload", announced).expect(200, 201)
        # As the message that asks whether they came does.
        awaited = {"tenant": "demo", "document": said["document"]["id"], "version": 1, "expires_at": int(time.time()) + 60}
        self.aws.send("IngestQueue", {"expire": awaited})
        time.sleep(1)
        upload = said["upload"]
        headers = {**upload["headers"], "content-type": "text/markdown"}
        request = urllib.request.Request(upload["url"], text, headers, method=upload["method"])
        urllib.request.urlopen(request).close()
        self.ada.ready(said["document"]["id"])
        id: str = said["document"]["id"]
        return id

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
        # Bytes that come for a document that is gone are cleared away.
        self.aws.s3.put_object(Bucket=BUCKET, Key=f"t/demo/{self.ducks}/1/original", Body=b"late")
        self.ada.ask("DELETE", "/webhooks/crm").expect(200, 202, 204)
