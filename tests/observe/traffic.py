"""A minute of requests of all kinds, and what their clients count of them.

What is rare is done in the first step of each actor, too: one step of all makes every series there is.
"""

import http.client
import itertools
import json
import random
import threading
import time
from collections import Counter, defaultdict
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import urlsplit

from stub import BREAKDOWN

Labels = tuple[tuple[str, str], ...]
WORDS = ["ducks", "geese", "swans", "pondweed", "snails", "grass", "nests", "lakes", "winter", "feathers", "eggs", "ponds"]


@dataclass
class Counts:
    """What clients saw, by metric and labels, and how long it took by route."""

    numbers: dict[str, Counter[Labels]] = field(default_factory=lambda: defaultdict(Counter))
    times: dict[str, list[float]] = field(default_factory=lambda: defaultdict(list))
    lock: threading.Lock = field(default_factory=threading.Lock)

    def add(self, metric: str, number: float = 1, **labels: str) -> None:
        with self.lock:
            self.numbers[metric][tuple(sorted(labels.items()))] += number  # type: ignore[assignment]


@dataclass
class Client:
    """Somebody with a token."""

    url: str
    token: str
    counts: Counts

    def call(
        self,
        method: str,
        path: str,
        route: str,
        body: Any = None,
        kind: str = "application/json",
        headers: dict[str, str] | None = None,
    ) -> tuple[int, dict[str, str], Any]:
        """An answer, counted as the server should have."""
        data = body if isinstance(body, bytes) or body is None else json.dumps(body).encode()
        connection = http.client.HTTPConnection(urlsplit(self.url).netloc, timeout=60)
        sent = {"authorization": f"Bearer {self.token}", "content-type": kind, **(headers or {})}
        began = time.monotonic()
        connection.request(method, path, data, sent if data is not None else {"authorization": sent["authorization"], **(headers or {})})
        answer = connection.getresponse()
        took = time.monotonic() - began
        text = answer.read()
        connection.close()
        told = {name.lower(): value for name, value in answer.getheaders()}
        self.count(method, route, answer.status, told, took)
        return answer.status, told, json.loads(text) if told.get("content-type", "").endswith("json") and text else text

    def count(self, method: str, route: str, status: int, told: dict[str, str], took: float) -> None:
        self.counts.add("ragline_http_request_seconds_count", method=method, route=route, status=f"{status // 100}xx")
        with self.counts.lock:
            self.counts.times[route].append(took)
        if status >= 500:
            self.counts.add("ragline_http_server_errors_total", route=route)
        if status == 429:
            self.counts.add("refused")
        elif "ratelimit" in told:
            self.counts.add("ragline_door_allowed_total")
        if "cache-status" in told:
            self.counts.add("ragline_cache_requests_total", status=cached(told["cache-status"]))


def cached(told: str) -> str:
    """What the cache had to do with an answer, by what the header says."""
    if "; hit" in told:
        return "hit"
    if "collapsed" in told:
        return "collapsed"
    forwarded = told.partition("fwd=")[2].partition(";")[0]
    return {"request": "miss"}.get(forwarded, forwarded)


def form(name: str, text: str) -> tuple[bytes, str]:
    """A form with a file."""
    head = f'--b\r\ncontent-disposition: form-data; name="file"; filename="{name}"\r\n\r\n'
    return (head + text + "\r\n--b--\r\n").encode(), "multipart/form-data; boundary=b"


def reader(client: Client, seed: random.Random) -> Iterator[None]:
    """Reads lists and documents, most of it again and again."""
    while True:
        status, _, found = client.call("GET", "/documents", "/documents")
        assert status == 200, found
        for document in found["data"][:3]:
            client.call("GET", f"/documents/{document['id']}", "/documents/{id}")
            yield
        client.call("GET", "/users/me", "/users/me")
        client.call("GET", f"/documents/{seed.choice(['x', '01J9ZQ3W6V8Y0ABCDEFGHJKMNP'])}", "/documents/{id}")
        client.call("GET", "/nowhere", "unmatched")
        yield


def searcher(client: Client, seed: random.Random) -> Iterator[None]:
    """Searches for what was searched for before, mostly, and now and then for what the model fails at."""
    for number in itertools.count():
        query = " ".join(seed.sample(WORDS, 2))
        status, told, _ = client.call("POST", "/search", "/search", {"query": query})
        # A search that was answered from the cache has no stages.
        if status == 200 and cached(told["cache-status"]) in ("miss", "stale"):
            client.counts.add("searches")
        if number % 20 == 0:
            status, _, _ = client.call("POST", "/search", "/search", {"query": f"{BREAKDOWN} {seed.random()}"})
            assert status == 503, status
        yield


def talker(client: Client, seed: random.Random) -> Iterator[None]:
    """Asks questions, none of them twice, and now and then one that the model fails at."""
    for number in itertools.count():
        question = f"What about {seed.choice(WORDS)} {seed.random()}?"
        status, _, said = client.call("POST", "/chat", "/chat", {"message": question, "stream": False})
        assert status == 200, said
        client.counts.add("ragline_chat_answer_seconds_count", outcome=said["finish_reason"])
        client.counts.add("ragline_chat_first_token_seconds_count")
        client.counts.add("ragline_chat_tool_calls_total", outcome="done")
        client.counts.add("ragline_recalls_total", outcome="miss")
        client.counts.add("searches")
        for direction in ("input", "output"):
            client.counts.add("ragline_chat_tokens_total", said["usage"][f"{direction}_tokens"], direction=direction)
        if number % 10 == 0:
            status, _, said = client.call("POST", "/chat", "/chat", {"message": f"A {BREAKDOWN}?", "stream": False})
            assert status >= 500, said
            client.counts.add("ragline_chat_answer_seconds_count", outcome="error")
        yield


def uploader(client: Client, seed: random.Random) -> Iterator[None]:
    """Uploads documents, some of them twice and some that nobody can read, and deletes some."""
    for number in itertools.count():
        name = f"{number}-{time.time_ns()}"
        text = f"# {seed.choice(WORDS).title()} {number}\n\n" + " ".join(seed.choices(WORDS, k=200)) + f" {name}"
        body, kind = form(f"{name}.md", text)
        headers = {"idempotency-key": f"upload-{name}"}
        for outcome in ("first", "replayed") if number % 4 == 0 else ("first",):
            status, _, said = client.call("POST", "/documents/upload", "/documents/upload", body, kind, headers)
            assert status == 202, said
            client.counts.add("ragline_idempotency_total", outcome=outcome)
        finish(client, said["document"]["id"])
        if number % 5 == 0:
            body, kind = form(f"{name}.pdf", f"%PDF-1.7\n{name} broken")
            _, _, said = client.call("POST", "/documents/upload", "/documents/upload", body, kind)
            finish(client, said["document"]["id"])
        if number % 3 == 0:
            client.call("DELETE", f"/documents/{said['document']['id']}", "/documents/{id}")
        yield


def finish(client: Client, document: str) -> None:
    """Waits for the end of a document and counts it."""
    for _ in range(600):
        _, _, said = client.call("GET", f"/documents/{document}", "/documents/{id}")
        if said["status"] in ("ready", "failed"):
            client.counts.add("ragline_ingest_documents_total", outcome=said["status"])
            if said["status"] == "ready":
                client.counts.add("ragline_ingest_passages_total", said["chunk_count"])
            return
        time.sleep(0.1)
    raise AssertionError(f"{document} does not come to an end")


def hurrier(client: Client, _: random.Random) -> Iterator[None]:
    """Asks for more than it may."""
    while True:
        client.call("GET", "/documents", "/documents")
        yield


def manager(client: Client, seed: random.Random) -> Iterator[None]:
    """Tests webhooks: one that takes what it is told, and one that does not."""
    while True:
        for hook in ("good", "bad"):
            status, _, said = client.call("POST", f"/webhooks/{hook}/test", "/webhooks/{id}/test")
            assert status == 202, said
        client.call("GET", "/usage", "/usage")
        client.call("PUT", f"/collections/{seed.choice(WORDS)}", "/collections/{id}", {})
        yield


def run(actors: list[tuple[Callable[[Client, random.Random], Iterator[None]], Client, float]], seconds: float) -> None:
    """Lets all act side by side for so long, each with a pause after each step; what fails, fails here."""
    end, failures = time.monotonic() + seconds, list[BaseException]()

    def act(number: int, actor: Callable[[Client, random.Random], Iterator[None]], client: Client, pause: float) -> None:
        try:
            for _ in actor(client, random.Random(number)):
                if time.monotonic() > end:
                    return
                time.sleep(pause)
        except BaseException as failure:  # noqa: BLE001
            failures.append(failure)

    threads = [threading.Thread(target=act, args=(number, *actor)) for number, actor in enumerate(actors)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    if failures:
        raise failures[0]
