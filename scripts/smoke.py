#!/usr/bin/env python3
"""Tries an API from end to end, wherever it is: health, token, upload, search, chat, limits, deletion.

Usage: TOKEN=<token of an editor> smoke.py [--timeout SECONDS] URL

Leaves nothing behind but a conversation's entry, which it deletes too. Needs nothing but Python. Waits when it is told to by
429, and provokes one at the end. The exit status is 1 after the first step that fails.
"""

import argparse
import json
import os
import sys
import time
import urllib.error
import urllib.request
import uuid
from collections.abc import Callable, Iterator
from typing import Any

# Where the limit of the user is higher, running into it would take too long and cost too much.
MOST_PROVOKED = 200


class Failed(Exception):
    """A step did not come out as it must."""


class Answer:
    """What the API said."""

    def __init__(self, status: int, headers: Any, body: bytes) -> None:
        self.status, self.headers, self.body = status, headers, body

    def json(self) -> Any:
        return json.loads(self.body)

    def expect(self, *statuses: int) -> "Answer":
        if self.status not in statuses:
            raise Failed(f"answered {self.status}, not {statuses}: {self.body[:300].decode(errors='replace')}")
        return self


class NoRedirects(urllib.request.HTTPRedirectHandler):
    """Leaves a redirection to whoever asked."""

    def redirect_request(self, *_: Any) -> None:
        return None


OPENER = urllib.request.build_opener(NoRedirects)


class Api:
    """The API, asked with a token."""

    def __init__(self, url: str, token: str, timeout: float) -> None:
        self.url, self.token, self.timeout = url.rstrip("/"), token, timeout

    def ask(self, method: str, path: str, body: Any = None, patient: bool = True, **headers: str) -> Answer:
        """One request; once more, when its time has come, if there were too many."""
        while True:
            try:
                with self.open(method, path, body, **headers) as response:
                    return Answer(response.status, response.headers, response.read())
            except urllib.error.HTTPError as error:
                answer = Answer(error.code, error.headers, error.read())
            if answer.status != 429 or not patient:
                return answer
            wait = float(answer.headers["retry-after"])
            print(f"      (too many requests; waiting {wait:.0f} s)", flush=True)
            time.sleep(wait)

    def open(self, method: str, path: str, body: Any = None, **headers: str) -> Any:
        """The open answer to a request, to be read as it comes."""
        sent = {name.replace("_", "-"): value for name, value in headers.items()}
        if self.token:
            sent.setdefault("authorization", f"Bearer {self.token}")
        if body is not None and not isinstance(body, bytes):
            body = json.dumps(body).encode()
            sent.setdefault("content-type", "application/json")
        url = path if "://" in path else self.url + path
        return OPENER.open(urllib.request.Request(url, data=body, headers=sent, method=method), timeout=self.timeout)

    def until(self, what: str, ask: Callable[[], Any]) -> Any:
        """What `ask` returns once it returns something; it is asked again for as long as may be waited."""
        end = time.monotonic() + self.timeout
        while time.monotonic() < end:
            if (found := ask()) is not None:
                return found
            time.sleep(1)
        raise Failed(f"{what} did not happen in {self.timeout:.0f} s")

    def ready(self, document: str) -> dict[str, Any]:
        """A document once it is ready."""

        def look() -> dict[str, Any] | None:
            found = self.ask("GET", f"/documents/{document}", cache_control="no-cache").expect(200).json()
            if found["status"] == "failed":
                raise Failed(f"{document} failed: {found['error']}")
            return found if found["status"] == "ready" else None

        return self.until(f"{document} being ready", look)


def events(response: Any) -> Iterator[tuple[str, Any]]:
    """The events of a stream, as they come (WHATWG HTML, "Server-sent events")."""
    name, data = "message", []
    for line in response:
        field, _, value = line.decode().rstrip("\r\n").partition(":")
        value = value.removeprefix(" ")
        if field == "event":
            name = value
        elif field == "data":
            data.append(value)
        elif not field and not value and data:
            yield name, json.loads("\n".join(data))
            name, data = "message", []


def form(filename: str, content: bytes, **fields: str) -> tuple[bytes, str]:
    """A file and fields before it as multipart/form-data, and its content type (RFC 7578)."""
    edge = uuid.uuid4().hex
    parts = [f'content-disposition: form-data; name="{name}"\r\n\r\n{value}'.encode() for name, value in fields.items()]
    head = f'content-disposition: form-data; name="file"; filename="{filename}"\r\ncontent-type: text/markdown\r\n\r\n'
    parts.append(head.encode() + content)
    body = b"".join(f"--{edge}\r\n".encode() + part + b"\r\n" for part in parts)
    return body + f"--{edge}--\r\n".encode(), f"multipart/form-data; boundary={edge}"


class Smoke:
    """The steps, in their order; each leaves what the next one needs."""

    def __init__(self, api: Api) -> None:
        self.api = api
        # Words that no other document has.
        self.word = "zorblax" + uuid.uuid4().hex[:8]
        self.documents: list[str] = []

    def steps(self) -> list[tuple[str, Callable[[], str]]]:
        return [
            ("is alive", self.alive),
            ("refuses who is nobody", self.nobody),
            ("knows the token", self.token),
            ("takes a file", self.upload),
            ("takes a file at a signed address", self.signed_upload),
            ("finds what was uploaded", self.search),
            ("answers from it, with evidence", self.chat),
            ("answers from the cache", self.cache),
            ("forgets what is deleted", self.delete),
            ("limits a user", self.limits),
        ]

    def alive(self) -> str:
        version = self.api.ask("GET", "/health").expect(200).json()["version"]
        checks = self.api.ask("GET", "/health/ready").expect(200).json()["checks"]
        return f"version {version}; " + ", ".join(f"{name} {each['status']}" for name, each in checks.items())

    def nobody(self) -> str:
        answer = Api(self.api.url, "", self.api.timeout).ask("GET", "/documents").expect(401)
        if answer.headers["content-type"] != "application/problem+json":
            raise Failed(f"says so as {answer.headers['content-type']}")
        return str(answer.json()["code"])

    def token(self) -> str:
        me = self.api.ask("GET", "/users/me").expect(200).json()
        if me["role"] == "viewer":
            raise Failed("the token is a viewer's; an editor's is needed")
        return f"{me['role']} of {me['tenant']['id']}"

    def upload(self) -> str:
        text = f"# Smoke\n\nThe {self.word} engine of this test turns {len(self.word)} times a minute.\n"
        body, kind = form("smoke.md", text.encode())
        document = self.api.ask("POST", "/documents/upload", body, content_type=kind).expect(202).json()["document"]
        self.documents.append(document["id"])
        started = time.monotonic()
        self.api.ready(document["id"])
        return f"ready after {time.monotonic() - started:.1f} s"

    def signed_upload(self) -> str:
        content = f"The second text of {self.word} came by itself.\n".encode()
        announced = {"filename": "signed.md", "content_type": "text/markdown", "size_bytes": len(content)}
        answer = self.api.ask("POST", "/documents/upload", announced).expect(201).json()
        self.documents.append(answer["document"]["id"])
        upload = answer["upload"]
        headers = {name.replace("-", "_"): value for name, value in upload["headers"].items()}
        Api(self.api.url, "", self.api.timeout).ask(upload["method"], upload["url"], content, **headers).expect(200, 201, 204)
        started = time.monotonic()
        self.api.ready(answer["document"]["id"])
        return f"ready after {time.monotonic() - started:.1f} s"

    def search(self) -> str:
        def look() -> dict[str, Any] | None:
            hits = (
                self.api.ask("POST", "/search", {"query": f"How often does the {self.word} engine turn?"})
                .expect(200)
                .json()["data"]
            )
            return next((hit for hit in hits if hit["document_id"] == self.documents[0]), None)

        # The index is a moment behind.
        hit = self.api.until("finding the document", look)
        return f"score {hit['score']:.2f}"

    def chat(self) -> str:
        question = {"message": f"How often does the {self.word} engine turn?"}
        started, first, seen, answer, conversation = time.monotonic(), None, [], "", None
        with self.api.open("POST", "/chat", question) as response:
            if not response.headers["content-type"].startswith("text/event-stream"):
                raise Failed(f"answers as {response.headers['content-type']}")
            for name, data in events(response):
                first = first or time.monotonic()
                seen.append(name)
                conversation = data.get("conversation_id", conversation)
                answer += data["text"] if name == "delta" else ""
                if name == "done" and data["finish_reason"] != "stop":
                    raise Failed(f"ended with {data['finish_reason']}")
        ended = time.monotonic()
        missing = {"start", "delta", "citation", "done"} - set(seen)
        if missing or seen[0] != "start" or seen[-1] != "done":
            raise Failed(f"said {seen}")
        self.api.ask("DELETE", f"/conversations/{conversation}").expect(200, 202, 204)
        return f"{len(answer)} characters; first event after {(first or ended) - started:.1f} s, last after {ended - started:.1f} s"

    def cache(self) -> str:
        tag = self.api.ask("GET", "/documents?limit=1").expect(200).headers["etag"]
        again = self.api.ask("GET", "/documents?limit=1", if_none_match=tag).expect(304)
        return str(again.headers["cache-status"])

    def delete(self) -> str:
        for document in self.documents:
            self.api.ask("DELETE", f"/documents/{document}").expect(202)
            self.api.ask("GET", f"/documents/{document}").expect(404)
        hits = self.api.ask("POST", "/search", {"query": f"{self.word} engine"}).expect(200).json()["data"]
        if any(hit["document_id"] in self.documents for hit in hits):
            raise Failed("it is still found")
        self.documents.clear()
        return "at once"

    def limits(self) -> str:
        answer = self.api.ask("GET", "/users/me").expect(200)
        policy, left = answer.headers["ratelimit-policy"], answer.headers["ratelimit"]
        if not policy or not left:
            raise Failed("says nothing of limits")
        quota = int(policy.partition('"user";q=')[2].partition(";")[0])
        if quota > MOST_PROVOKED:
            return f"{policy} (not provoked)"
        for number in range(2 * MOST_PROVOKED):
            answer = self.api.ask("GET", "/users/me", patient=False).expect(200, 429)
            if answer.status == 429:
                code, wait = answer.json()["code"], int(answer.headers["retry-after"])
                return f"{code} after {number + 1} more, for {wait} s"
        raise Failed(f"{2 * MOST_PROVOKED} requests were answered, with {policy}")

    def clean(self) -> None:
        """Deletes what a step that failed left."""
        for document in self.documents:
            self.api.ask("DELETE", f"/documents/{document}")


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("url", help="where the API is, its stage included")
    parser.add_argument("--timeout", type=float, default=60, help="seconds that anything may take")
    arguments = parser.parse_args()
    token = os.environ.get("TOKEN", "")
    if not token:
        parser.error("TOKEN is not set")
    smoke, began = Smoke(Api(arguments.url, token, arguments.timeout)), time.monotonic()
    for title, step in smoke.steps():
        started = time.monotonic()
        try:
            said = step()
        except (Failed, LookupError, OSError, TypeError, ValueError) as error:
            print(f"FAIL  {title}: {error}", flush=True)
            smoke.clean()
            return 1
        print(f"ok    {title} ({time.monotonic() - started:.1f} s): {said}", flush=True)
    print(f"green in {time.monotonic() - began:.1f} s")
    return 0


if __name__ == "__main__":
    sys.exit(main())
