"""Runs built functions as Lambda does: a Runtime API for each (https://docs.aws.amazon.com/lambda/latest/dg/runtimes-api.html)."""

import http.server
import json
import os
import pathlib
import queue
import subprocess
import tempfile
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import IO, Any

ROOT = pathlib.Path(__file__).resolve().parent.parent
# What a function has for an event.
PATIENCE = 60


@dataclass
class Answer:
    """What a function said of an event."""

    # `response`, or `error` where it failed.
    kind: str
    headers: dict[str, str]
    body: bytes

    def json(self) -> Any:
        return json.loads(self.body)


class RuntimeApi(http.server.ThreadingHTTPServer):
    """Gives out events and takes the answers."""

    daemon_threads = True

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), Handler)
        self.events: queue.Queue[Any] = queue.Queue()
        self.answers: queue.Queue[Answer] = queue.Queue()
        # What the function did, in order: it asked for an event, or answered one.
        self.course: list[str] = []
        threading.Thread(target=self.serve_forever, daemon=True).start()

    def handle_error(self, *_: Any) -> None:
        """A function that is stopped leaves its connection as it is."""

    def invoke(self, event: Any) -> Answer:
        """The answer to an event."""
        self.events.put(event)
        return self.answers.get(timeout=PATIENCE)


class Handler(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    server: RuntimeApi

    def log_message(self, *_: Any) -> None:
        pass

    def do_GET(self) -> None:
        self.server.course.append("asked")
        body = json.dumps(self.server.events.get()).encode()
        self.send_response(200)
        self.send_header("lambda-runtime-aws-request-id", "00000000-0000-0000-0000-000000000000")
        self.send_header("lambda-runtime-deadline-ms", str(int(time.time() + PATIENCE) * 1000))
        self.send_header("lambda-runtime-invoked-function-arn", "arn:aws:lambda:us-east-1:000000000000:function:x")
        self.send_header("content-type", "application/json")
        self.send_header("content-length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def do_POST(self) -> None:
        if self.headers.get("transfer-encoding") == "chunked":
            body = b""
            while size := int(self.rfile.readline().split(b";")[0], 16):
                body += self.rfile.read(size)
                self.rfile.readline()
            while self.rfile.readline().strip():
                pass
        else:
            body = self.rfile.read(int(self.headers.get("content-length", 0)))
        headers = {name.lower(): value for name, value in self.headers.items()}
        self.server.course.append("answered")
        self.server.answers.put(Answer(self.path.rpartition("/")[2], headers, body))
        self.send_response(202)
        self.send_header("content-length", "0")
        self.end_headers()


@contextmanager
def running(
    binary: pathlib.Path, function: str, variables: dict[str, str], output: IO[bytes] | None = None
) -> Iterator[tuple[RuntimeApi, subprocess.Popen]]:
    """A function that waits for events, and its process. What it writes to its standard output goes to a file, if one is given."""
    api = RuntimeApi()
    environment = {
        "AWS_LAMBDA_RUNTIME_API": f"127.0.0.1:{api.server_port}",
        "AWS_LAMBDA_FUNCTION_NAME": function,
        "AWS_LAMBDA_FUNCTION_MEMORY_SIZE": "256",
        "AWS_LAMBDA_FUNCTION_VERSION": "1",
        "AWS_LAMBDA_HTTP_IGNORE_STAGE_IN_PATH": "1",
        "AWS_REGION": "us-east-1",
        # What is looked at is what is answered, and not how fast.
        "REDIS_TIMEOUT_MS": "5000",
        # The runtime would write what a function refuses on purpose as an error.
        "LOG_LEVEL": "warn,lambda_runtime::layers::panic=off",
        **variables,
    }
    process = subprocess.Popen([binary], env=environment, stdout=output)
    try:
        yield api, process
    finally:
        process.kill()
        process.wait()
        api.shutdown()


@dataclass
class Services:
    """What functions need beside them."""

    program: pathlib.Path
    folder: str
    # The variables that lead there.
    variables: dict[str, str]

    def run(self, *arguments: str) -> str:
        """What another command of `local` prints."""
        command = [self.program, "--data", self.folder, *arguments]
        return subprocess.run(command, capture_output=True, check=True, text=True).stdout.strip()

    def token(self, tenant: str = "demo", user: str = "ada", role: str = "admin") -> str:
        """A token of the issuer."""
        return self.run("token", "--tenant", tenant, "--user", user, "--role", role)


@contextmanager
def services(program: pathlib.Path, functions_port: int | None = None) -> Iterator[Services]:
    """The services of `local` with an empty data folder. With a port they deliver messages and records to the functions there."""
    environment = {**os.environ, "EMBEDDER": "hashing", "EMBEDDING_DIMENSIONS": "384", "LOG_LEVEL": "off"}
    with tempfile.TemporaryDirectory() as folder:
        port = [] if functions_port is None else ["--functions-port", str(functions_port)]
        process = subprocess.Popen([program, "--data", folder, "services", *port], env=environment, stdout=subprocess.DEVNULL)
        try:
            variables = dict(line.split("=", 1) for line in written(pathlib.Path(folder, "watch.env"), process).splitlines())
            yield Services(program, folder, variables)
        finally:
            process.terminate()
            process.wait()


def written(file: pathlib.Path, process: subprocess.Popen) -> str:
    """The text of a file, once a process has written it."""
    for _ in range(300):
        if file.exists():
            return file.read_text()
        if process.poll() is not None:
            break
        time.sleep(0.1)
    raise SystemExit("the services did not start")


def samples(function: str, token: str) -> dict[str, Any]:
    """The function's sample events with a real token, by name, without the answers beside them."""
    files = sorted((ROOT / "events" / function).glob("*.json"))
    return {
        file.stem: json.loads(file.read_text().replace("<token>", token))
        for file in files
        if not file.name.endswith(".allow.json")
    }
