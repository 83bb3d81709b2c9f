#!/usr/bin/env python3
"""Runs the built functions as Lambda does, with the events of events/, and looks at what they answer.

Usage: invoke.py [--folder target/debug] [--lambda target/lambda]

Each function publishes its metrics: what it writes is held against the format of CloudWatch. It tells a collector of its traces,
between an answer and the next event, for then nobody waits and it is not frozen. REST proxy events carry what the authorizer, run first, said of the caller, and a bearer that nobody could verify: so it is the
authorizer's word that counts, behind a stage. Answers of chat must be in the streaming wire format. The last line reads
`N passed, M failed`.
"""

import argparse
import http.server
import json
import os
import pathlib
import sys
import tempfile
import threading
import time
from collections.abc import Callable
from typing import IO, Any

import emf
from runtime_api import ROOT, Answer, running, samples, services

API = ("chat", "documents", "health", "search", "upload", "users")
WORKERS = ("changes", "ingest", "webhooks")
# What a streaming answer is, and what stands between its head and its body.
STREAM = "application/vnd.awslambda.http-integration-response"
END_OF_HEAD = b"\0" * 8

# Where the functions publish their metrics, and some that they must.
NAMESPACE = "Ragline/invoke"
MEASURED = {
    "changes": {"RedisCommandSeconds"},
    "chat": {"ChatAnswerSecondsStop", "ChatFirstTokenSeconds", "ChatTokensOutput", "RedisCommandSeconds"},
    "documents": {"CacheRequestsMiss", "RedisCommandSeconds"},
    "search": {"CacheRequestsMiss", "RedisCommandSeconds"},
    "upload": {"RedisCommandSeconds"},
    "users": {"CacheRequestsMiss", "RedisCommandSeconds"},
}

# Has no trace: it is part of what API Gateway does before a request.
UNTRACED = {"authorizer"}

Looks = Callable[[Answer], Any]


class Collector(http.server.ThreadingHTTPServer):
    """Takes traces (OTLP over HTTP)."""

    daemon_threads = True

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), Told)
        # Of the function that runs; see RuntimeApi.
        self.course: list[str] = []
        threading.Thread(target=self.serve_forever, daemon=True).start()

    def handle_error(self, *_: Any) -> None:
        """A function that is stopped leaves its connection as it is."""


class Told(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    server: Collector

    def log_message(self, *_: Any) -> None:
        pass

    def do_POST(self) -> None:
        body = self.rfile.read(int(self.headers["content-length"]))
        is_trace = self.path == "/v1/traces" and b"service.name" in body
        self.server.course.append("told" if is_trace else f"said to {self.path}: {body[:100]!r}")
        self.send_response(200)
        self.send_header("content-length", "0")
        self.end_headers()


def status(wanted: int, *members: str) -> Looks:
    """A proxy answer with a status, whose JSON has these members."""

    def look(answer: Answer) -> bool:
        said = answer.json()
        kind = said["headers"].get("content-type") or said["multiValueHeaders"]["content-type"][0]
        right = kind.startswith("application/json") if wanted < 300 else kind == "application/problem+json"
        return said["statusCode"] == wanted and right and set(members) <= json.loads(said["body"]).keys()

    return look


def streamed(wanted: int, kind: str, *texts: str) -> Looks:
    """An answer in the streaming format: a head in JSON, eight zeros, and the body as it is."""

    def look(answer: Answer) -> bool:
        head, zeros, body = answer.body.partition(END_OF_HEAD)
        said = json.loads(head)
        headers = answer.headers
        mode = (
            headers.get("lambda-runtime-function-response-mode"),
            headers.get("content-type"),
            headers.get("transfer-encoding"),
        )
        right = said["statusCode"] == wanted and said["headers"]["content-type"].startswith(kind) and zeros
        return mode == ("streaming", STREAM, "chunked") and right and all(text.encode() in body for text in texts)

    return look


def worked(answer: Answer) -> bool:
    """A batch without failures."""
    return answer.kind == "response" and answer.json() == {"batchItemFailures": []}


def allowed(answer: Answer) -> bool:
    """An answer that lets the caller use the whole stage."""
    said = answer.json()
    (statement,) = said["policyDocument"]["Statement"]
    return statement["Effect"] == "Allow" and statement["Resource"].endswith("/v1/*/*") and said["context"]["tenant"] == "demo"


def unauthorized(answer: Answer) -> bool:
    """The one error that API Gateway turns into 401."""
    return answer.kind == "error" and answer.json()["errorMessage"] == "Unauthorized"


WANTED: dict[str, Looks] = {
    "authorizer/no-token": unauthorized,
    "authorizer/token": allowed,
    "chat/ai-sdk": streamed(200, "text/event-stream", '"type":"start"', '"type":"finish"', "data: [DONE]"),
    "chat/conversations": streamed(200, "application/json", '"data":'),
    "chat/openai": streamed(200, "text/event-stream", "chat.completion.chunk", "data: [DONE]"),
    "chat/stream": streamed(200, "text/event-stream", "event: start", "event: done"),
    # There is no such document in an empty installation, which the function finds out behind the stage.
    "documents/content": status(404, "code", "request_id"),
    "documents/get": status(404, "code", "request_id"),
    "documents/list": status(200, "data", "next_cursor"),
    "health/live": status(200, "status", "version"),
    "health/ready": status(200, "status", "checks"),
    "search/search": status(200, "data", "took_ms"),
    "upload/announcement": status(201, "document", "upload"),
    "upload/multipart": status(202, "document", "duplicate"),
    "users/me": status(200, "id", "role", "tenant"),
    # An admin is no operator.
    "users/put-tenant": status(403, "code", "request_id"),
    "changes/modified": worked,
    "changes/removed": worked,
    "ingest/object-created": worked,
    "ingest/object-in-turn": worked,
    "ingest/s3-test-event": worked,
    "webhooks/ready": worked,
}


def vouched(event: dict[str, Any], context: dict[str, Any]) -> dict[str, Any]:
    """A REST proxy event as it comes once the authorizer has let the caller in."""
    event["requestContext"]["authorizer"] = context
    for headers, value in ((event["headers"], "Bearer x"), (event["multiValueHeaders"], ["Bearer x"])):
        if "Authorization" in headers:
            headers["Authorization"] = value
    return event


def report(name: str, look: Looks, answer: Answer) -> bool:
    """Prints whether an answer is right, and what it is if not."""
    try:
        right = bool(look(answer))
    except (LookupError, TypeError, ValueError) as error:
        right = False
        print(f"      {error!r}")
    print("ok   " if right else "FAIL ", name)
    if not right:
        print(f"      {answer.kind} {answer.headers.get('content-type')} {answer.body[:500]!r}")
    return right


def published(function: str, output: IO[bytes]) -> bool:
    """Whether a function has written what CloudWatch makes the right metrics of, and nothing else."""
    wanted, lines = MEASURED.get(function, set()), list[str]()
    # The last line may come after the answer.
    for _ in range(50):
        # The function writes where the file stands, so that is left where it is.
        text = os.pread(output.fileno(), os.fstat(output.fileno()).st_size, 0).decode()
        lines = text[: text.rfind("\n") + 1].splitlines()
        if wanted <= {name for line in lines for name in emf.names(line)}:
            break
        time.sleep(0.1)
    faults = [fault for line in lines for fault in emf.faults(line)]
    faults += [line for line in lines if json.loads(line)["_aws"]["CloudWatchMetrics"][0]["Namespace"] != NAMESPACE]
    missing = wanted - {name for line in lines for name in emf.names(line)}
    right = not faults and not missing
    print("ok   " if right else "FAIL ", f"{function}: metrics in {len(lines)} lines of {sum(map(len, lines))} bytes")
    for fault in [*faults, *sorted(missing)]:
        print(f"      {fault}")
    return right


def told(function: str, course: list[str]) -> bool:
    """Whether a function told of its traces when it should: after each answer, and before it asked for the next event."""
    for _ in range(50):
        if course[-1:] == ["asked"]:
            break
        time.sleep(0.1)
    turns = {turn.strip() for turn in " ".join(course).split("asked")[1:-1]}
    wanted = {"answered"} if function in UNTRACED else {"answered told"}
    # A worker whose event has nothing in it to work on has nothing to tell.
    right = turns == wanted or (function in WORKERS and turns <= {"answered", *wanted})
    print("ok   " if right else "FAIL ", f"{function}: told of traces {course.count('told')} times")
    if not right:
        print(f"      {course}")
    return right


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument(
        "--folder", type=pathlib.Path, default=ROOT / "target" / "debug", help="where `local` is, and the functions"
    )
    parser.add_argument(
        "--lambda", dest="built", type=pathlib.Path, help="where cargo-lambda left the functions, if it built them"
    )
    arguments = parser.parse_args()

    def binary(function: str) -> pathlib.Path:
        return arguments.built / function / "bootstrap" if arguments.built else arguments.folder / function

    outcomes, context, collector = [], {}, Collector()
    with services(arguments.folder / "local") as local:
        for function in ("authorizer", *API, *WORKERS):
            variables = {
                **local.variables,
                "METRICS_NAMESPACE": NAMESPACE,
                "OTEL_EXPORTER_OTLP_ENDPOINT": f"http://127.0.0.1:{collector.server_port}",
            }
            with tempfile.TemporaryFile() as output, running(binary(function), function, variables, output) as (api, _):
                collector.course = api.course
                for name, event in samples(function, local.token()).items():
                    if function in API and "httpMethod" in event:
                        event = vouched(event, context)
                    answer = api.invoke(event)
                    if (function, name) == ("authorizer", "token"):
                        context = answer.json().get("context", {})
                    outcomes.append(report(f"{function}/{name}", WANTED[f"{function}/{name}"], answer))
                outcomes += [published(function, output), told(function, api.course)]
    print(f"{outcomes.count(True)} passed, {outcomes.count(False)} failed")
    return 0 if all(outcomes) else 1


if __name__ == "__main__":
    sys.exit(main())
