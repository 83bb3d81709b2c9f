#!/usr/bin/env python3
"""Prints the size of each function's binary, and its resident memory once it is warm.

The binaries are those of `cargo lambda build` in target/lambda. Each is run as Lambda runs it, against a small Runtime API
(https://docs.aws.amazon.com/lambda/latest/dg/runtimes-api.html) that feeds it the sample events of events/<function>, and
against the services of `local`. Binaries of another architecture are only weighed. Fails over a ceiling.
"""

import http.server
import json
import os
import pathlib
import platform
import queue
import subprocess
import sys
import tempfile
import threading
import time

ROOT = pathlib.Path(__file__).resolve().parent.parent
MB = 1_000_000
MAX_BINARY_MB = 12
MAX_RESIDENT_MB = 25
# Ingestion reads PDFs; it may be larger.
UNBOUNDED = {"ingest"}
INVOCATIONS = 20
# What the authorizer is to say of the sample without a token.
REFUSAL = b'"errorMessage":"Unauthorized"'
# ELF's e_machine.
MACHINES = {62: "x86_64", 183: "aarch64"}


class RuntimeApi(http.server.ThreadingHTTPServer):
    """Gives out events and takes the answers."""

    daemon_threads = True

    def __init__(self):
        super().__init__(("127.0.0.1", 0), Handler)
        self.events = queue.Queue()
        self.answers = queue.Queue()
        threading.Thread(target=self.serve_forever, daemon=True).start()


class Handler(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def log_message(self, *_):
        pass

    def do_GET(self):
        body = json.dumps(self.server.events.get()).encode()
        self.send_response(200)
        self.send_header("lambda-runtime-aws-request-id", "00000000-0000-0000-0000-000000000000")
        self.send_header("lambda-runtime-deadline-ms", str(int(time.time() * 1000) + 60_000))
        self.send_header("lambda-runtime-invoked-function-arn", "arn:aws:lambda:us-east-1:000000000000:function:x")
        self.send_header("content-type", "application/json")
        self.send_header("content-length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def do_POST(self):
        if self.headers.get("transfer-encoding") == "chunked":
            body = b""
            while size := int(self.rfile.readline().split(b";")[0], 16):
                body += self.rfile.read(size)
                self.rfile.readline()
            while self.rfile.readline().strip():
                pass
        else:
            body = self.rfile.read(int(self.headers.get("content-length", 0)))
        self.server.answers.put(body)
        self.send_response(202)
        self.send_header("content-length", "0")
        self.end_headers()


def architecture(binary):
    with open(binary, "rb") as file:
        head = file.read(20)
    return MACHINES.get(int.from_bytes(head[18:20], "little")) if head[:4] == b"\x7fELF" else None


def runs_here(binary):
    return platform.system() == "Linux" and architecture(binary) == platform.machine()


def start_services(folder, program):
    """The services of `local`, and the variables that lead to them."""
    environment = {**os.environ, "EMBEDDER": "hashing", "EMBEDDING_DIMENSIONS": "384", "LOG_LEVEL": "off"}
    services = subprocess.Popen([program, "--data", folder, "services"], env=environment, stdout=subprocess.DEVNULL)
    variables = pathlib.Path(folder) / "watch.env"
    for _ in range(300):
        if variables.exists():
            return services, dict(line.split("=", 1) for line in variables.read_text().splitlines())
        if services.poll() is not None:
            break
        time.sleep(0.1)
    services.kill()
    sys.exit("the services did not start")


def events(function, token):
    """The function's sample events with a real token, without the answers beside them."""
    folder = ROOT / "events" / function
    texts = [file.read_text() for file in sorted(folder.glob("*.json")) if not file.name.endswith(".allow.json")]
    return [json.loads(text.replace("<token>", token)) for text in texts]


def resident_mb(process):
    output = subprocess.run(["ps", "-o", "rss=", "-p", str(process.pid)], capture_output=True, check=True, text=True)
    return int(output.stdout) * 1024 / MB


def measure(binary, function, variables, token):
    """The resident memory after the invocations, in MB, and the first answer to each sample."""
    api = RuntimeApi()
    environment = {
        "AWS_LAMBDA_RUNTIME_API": f"127.0.0.1:{api.server_port}",
        "AWS_LAMBDA_FUNCTION_NAME": function,
        "AWS_LAMBDA_FUNCTION_MEMORY_SIZE": "256",
        "AWS_LAMBDA_FUNCTION_VERSION": "1",
        "AWS_LAMBDA_HTTP_IGNORE_STAGE_IN_PATH": "1",
        "AWS_REGION": "us-east-1",
        # The runtime would write what a function refuses on purpose as an error.
        "LOG_LEVEL": "warn,lambda_runtime::layers::panic=off",
        **variables,
    }
    process = subprocess.Popen([binary], env=environment)
    try:
        samples = events(function, token)
        answers = []
        for number in range(INVOCATIONS):
            api.events.put(samples[number % len(samples)])
            answers.append(api.answers.get(timeout=30))
        return resident_mb(process), answers[: len(samples)]
    finally:
        process.kill()
        process.wait()
        api.shutdown()


def main():
    functions = sys.argv[1:]
    binaries = {function: ROOT / "target" / "lambda" / function / "bootstrap" for function in functions}
    program = pathlib.Path(os.environ.get("CARGO_TARGET_DIR", ROOT / "target")) / "debug" / "local"
    failures = []
    with tempfile.TemporaryDirectory() as folder:
        runnable = all(runs_here(binary) for binary in binaries.values())
        services, variables, token = None, {}, ""
        if runnable:
            services, variables = start_services(folder, program)
            claims = ["--tenant", "demo", "--user", "ada", "--role", "admin"]
            command = [program, "--data", folder, "token", *claims]
            token = subprocess.run(command, capture_output=True, check=True, text=True).stdout.strip()
        try:
            print(f"{'function':<12}{'binary MB':>12}{'resident MB':>14}")
            for function, binary in binaries.items():
                size = binary.stat().st_size / MB
                resident, answers = measure(binary, function, variables, token) if runnable else (None, [])
                for answer in answers:
                    failed = b'"errorMessage"' in answer and REFUSAL not in answer
                    if failed or b'"statusCode":5' in answer:
                        failures.append(f"{function} answered {answer.decode()[:200]}")
                print(f"{function:<12}{size:>12.1f}{'-' if resident is None else f'{resident:.1f}':>14}")
                if function not in UNBOUNDED:
                    if size > MAX_BINARY_MB:
                        failures.append(f"{function}: the binary is over {MAX_BINARY_MB} MB")
                    if resident and resident > MAX_RESIDENT_MB:
                        failures.append(f"{function}: resident memory is over {MAX_RESIDENT_MB} MB")
        finally:
            if services:
                services.terminate()
                services.wait()
    if not runnable:
        print("(built for another architecture: memory is not measured)")
    if failures:
        sys.exit("\n".join(failures))


if __name__ == "__main__":
    main()
