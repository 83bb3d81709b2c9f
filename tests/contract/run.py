#!/usr/bin/env python3
"""Tries the running API against its description with Schemathesis, once in each role.

Usage: run.py --local PROGRAM --schemathesis PROGRAM [--role ROLE]...

Starts the program `local` over a folder of its own with limits that nobody reaches. The exit status is 1 if the API
answered anything in any role that its description does not allow.
"""

import argparse
import json
import os
import re
import socket
import subprocess
import sys
import tempfile
import time
import urllib.error
import urllib.request
from pathlib import Path
from typing import Any

HERE = Path(__file__).resolve().parent
ROLES = ["viewer", "editor", "admin", "owner", "operator"]
# Operators are believed in one tenant only.
OPERATOR_TENANT = "platform"
START_LIMIT_S = 60
STOP_LIMIT_S = 20
UPLOAD = (
    "multipart/form-data; boundary=b",
    b'--b\r\ncontent-disposition: form-data; name="file"; filename="ducks.md"\r\n\r\n# Ducks\n\nDucks eat worms.\r\n--b--\r\n',
)
SETTINGS = {
    "EMBEDDER": "hashing",
    "EMBEDDING_DIMENSIONS": "384",
    "LIMIT_USER_PER_MINUTE": "1000000",
    "LIMIT_TENANT_PER_HOUR": "10000000",
    "LIMIT_IP_PER_MINUTE": "1000000",
    "LOG_LEVEL": "warn,dynoxide=error",
}


def free_port() -> int:
    """A port that nobody listens on just now."""
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        return listener.getsockname()[1]


def wait_for(url: str, server: subprocess.Popen[bytes]) -> None:
    """Waits until the API answers."""
    deadline = time.monotonic() + START_LIMIT_S
    while server.poll() is None and time.monotonic() < deadline:
        try:
            urllib.request.urlopen(f"{url}/health/ready", timeout=5).close()
            return
        except (urllib.error.URLError, ConnectionError):
            time.sleep(0.2)
    sys.exit("contract: the API does not start")


def make(url: str, path: str, token: str, kind: str, body: bytes) -> dict[str, Any]:
    """The answer to a POST that must succeed."""
    headers = {"Authorization": f"Bearer {token}", "Content-Type": kind}
    with urllib.request.urlopen(urllib.request.Request(url + path, body, headers), timeout=30) as answer:
        return json.load(answer)


def try_as(role: str, url: str, local: list[str], schemathesis: str, folder: str) -> bool:
    """Whether all that somebody of this role is answered is described."""
    user = f"contract-{role}"
    # Each role has a tenant of its own, in which the others change nothing.
    tenant = OPERATOR_TENANT if role == "operator" else user

    def token_of(user: str, role: str) -> str:
        command = [*local, "token", "--tenant", tenant, "--user", user, "--role", role]
        return subprocess.run(command, check=True, capture_output=True, text=True).stdout.strip()

    token = token_of(user, role)
    document = make(url, "/documents/upload", token_of("contract-maker", "editor"), *UPLOAD)["document"]
    chat = make(url, "/chat", token, "application/json", b'{"message": "What do ducks eat?", "stream": false}')
    authorization = f"Authorization: Bearer {token}"
    about = {
        "CONTRACT_USER": user,
        "CONTRACT_DOCUMENT": document["id"],
        "CONTRACT_CONVERSATION": chat["conversation_id"],
    }
    started = time.monotonic()
    run = subprocess.run(
        [schemathesis, "--config-file", str(HERE / "schemathesis.toml"), "run", f"{url}/openapi.json"]
        + ["--url", url, "--header", authorization],
        env=os.environ | about | {"PYTHONPATH": str(HERE), "NO_COLOR": "1"},
        # It keeps what it found where it runs.
        cwd=folder,
        capture_output=True,
        text=True,
    )
    known = urllib.request.Request(f"{url}/users/me", headers=dict([authorization.split(": ", 1)]))
    urllib.request.urlopen(known, timeout=10).close()
    summary = run.stdout[run.stdout.rfind("SUMMARY") :] if run.returncode == 0 else run.stdout
    print(re.sub(r"\n{2,}", "\n", summary).strip("= \n"), run.stderr.strip(), sep="\n")
    print(f"contract: {role}: {'passed' if run.returncode == 0 else 'FAILED'} in {time.monotonic() - started:.0f} s", flush=True)
    return run.returncode == 0


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--local", required=True)
    parser.add_argument("--schemathesis", required=True)
    parser.add_argument("--role", action="append", choices=ROLES)
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        local = [arguments.local, "--data", folder]
        port = free_port()
        url = f"http://127.0.0.1:{port}"
        with open(Path(folder) / "log", "wb") as log:
            command = [*local, "serve", "--port", str(port)]
            server = subprocess.Popen(command, env=os.environ | SETTINGS, stdout=log, stderr=log)
        try:
            wait_for(url, server)
            schemathesis = str(Path(arguments.schemathesis).absolute())
            failed = [role for role in arguments.role or ROLES if not try_as(role, url, local, schemathesis, folder)]
            if failed:
                print((Path(folder) / "log").read_text()[-4000:])
        finally:
            server.terminate()
            server.wait(STOP_LIMIT_S)
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
