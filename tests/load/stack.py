"""What is measured: an optimised server of its own with a scripted language model, and tenants with documents and users."""

import concurrent.futures
import json
import os
import random
import re
import socket
import subprocess
import sys
import tempfile
import time
import urllib.request
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import IO

PROJECT = Path(__file__).resolve().parents[2]
sys.path.insert(0, str(PROJECT / "tests" / "eval"))
from api import Api  # noqa: E402

# To the first token each takes 300 ms: the second in two turns, with a call of `search` between them that it spells out in eight
# parts or nine.
ANSWERS, SEARCHES_FIRST = "ttft300-itl15-len60", "ttft80-itl15-len60-tools-1"
SETTINGS = {
    # On AWS a provider makes the vectors. MiniLM in this process would have its own speed measured: 25 ms of a core for a query.
    "EMBEDDER": "hashing",
    "EMBEDDING_DIMENSIONS": "384",
    "LLM": "openai",
    "LLM_MODEL": ANSWERS,
    "LLM_MODELS": SEARCHES_FIRST,
    "LOG_LEVEL": "warn,dynoxide=error",
}
# As data, by an operator. What is left out is the plan's.
LIMITS = {
    "user_per_minute": 10_000_000,
    "tenant_per_hour": 10_000_000,
    "ip_per_minute": 10_000_000,
    "daily_tokens": 1_000_000_000,
    "user_streams": 1_000,
    "tenant_streams": 1_000,
}
DOCUMENTS = 6
SECTION = range(800, 4_000)
QUERIES = 200
START_S = 60
# Where data lies while it is measured, if there is such a place: the embedded DynamoDB waits for the disk at each write, one after the
# other, as the real one does not.
MEMORY = "/dev/shm" if Path("/dev/shm").is_dir() else None


def free_port() -> int:
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        port: int = listener.getsockname()[1]
        return port


@contextmanager
def process(
    command: list[str], environment: dict[str, str] | None = None, out: int = subprocess.DEVNULL, log: IO[bytes] | None = None
) -> Iterator[subprocess.Popen[bytes]]:
    """A process that ends with the block. What it says goes to the log, if there is one."""
    started = subprocess.Popen(command, env=os.environ | (environment or {}), stdout=log or out, stderr=log)
    try:
        yield started
    finally:
        started.terminate()
        try:
            started.wait(20)
        except subprocess.TimeoutExpired:
            started.kill()
            started.wait()


def wait_for(url: str, server: subprocess.Popen[bytes]) -> None:
    deadline = time.monotonic() + START_S
    while server.poll() is None and time.monotonic() < deadline:
        try:
            urllib.request.urlopen(url, timeout=5).close()
            return
        except OSError:
            time.sleep(0.1)
    raise SystemExit(f"{url} does not answer")


def sections() -> list[str]:
    """Texts that real people wrote: the sections of this project's documentation."""
    pages = [page.read_text() for page in sorted((PROJECT / "docs").glob("*.md"))]
    parts = (f"## {part.strip()}\n" for page in pages for part in page.split("\n## ")[1:])
    return [part[: SECTION.stop] for part in parts if len(part) >= SECTION.start]


@dataclass
class Tenant:
    """A tenant with documents, and what its users look for."""

    name: str
    queries: list[str] = field(default_factory=list)


@dataclass
class Server:
    """A server with an empty data folder."""

    local: list[str]
    url: str
    process: subprocess.Popen[bytes]
    llm: subprocess.Popen[bytes] | None

    def token(self, tenant: str, user: str, role: str) -> str:
        command = [*self.local, "token", "--tenant", tenant, "--user", user, "--role", role]
        return subprocess.run(command, check=True, capture_output=True, text=True).stdout.strip()

    def tokens(self, who: list[tuple[str, str, str]]) -> list[str]:
        with concurrent.futures.ThreadPoolExecutor(4) as pool:
            return list(pool.map(lambda each: self.token(*each), who))

    def fill(self, number: int, documents: int = DOCUMENTS) -> list[Tenant]:
        """Makes so many tenants with raised limits and documents; half of them have a model that searches before it answers."""
        operator, texts, seed = Api(self.url, self.token("platform", "load", "operator")), sections(), random.Random(0)
        tenants = [Tenant(f"load-{each:02}") for each in range(number)]
        tokens = self.tokens([(tenant.name, "filler", "admin") for tenant in tenants])
        apis = [Api(self.url, token) for token in tokens]
        for each, (tenant, api) in enumerate(zip(tenants, apis)):
            chat = {"chat": {"model": SEARCHES_FIRST}} if each % 2 and self.llm else {}
            operator.call("PUT", f"/tenants/{tenant.name}", {"limits": LIMITS} | chat)
            chosen = seed.sample(texts, documents)
            tenant.queries = phrases(chosen, seed) if chosen else []
            for place, text in enumerate(chosen):
                api.upload("default", f"section-{place}.md", text)
        for tenant, api in zip(tenants, apis):
            while (counts := api.statuses("default")) and counts["ready"] < documents:
                if counts["failed"]:
                    raise SystemExit(f"{tenant.name}: documents failed")
                time.sleep(0.5)
        return tenants


def phrases(texts: list[str], seed: random.Random) -> list[str]:
    """Queries of neighbouring words."""
    words = [re.findall(r"[A-Za-z]{3,}", text) for text in texts]
    places = ((each, seed.randrange(len(each) - 4), seed.randint(2, 4)) for each in seed.choices(words, k=QUERIES))
    return [" ".join(each[at : at + length]) for each, at, length in places]


@contextmanager
def serving(
    programs: Path, log: Path, variables: dict[str, str] | None = None, with_llm: bool = True, folder: str | None = None
) -> Iterator[Server]:
    """A server on a free port, with a data folder of its own unless one is named. `programs` is where the optimised programs are."""
    with ExitStack() as stack:
        llm, settings = None, dict(SETTINGS)
        if with_llm:
            llm = stack.enter_context(process([str(programs / "scripted-llm")], out=subprocess.PIPE))
            assert llm.stdout
            settings["LLM_BASE_URL"] = llm.stdout.readline().decode().split()[1]
        else:
            settings["LLM"] = "extractive"
        folder, port = folder or stack.enter_context(tempfile.TemporaryDirectory(dir=MEMORY)), free_port()
        local, url = [str(programs / "local"), "--data", folder], f"http://127.0.0.1:{port}"
        log.parent.mkdir(parents=True, exist_ok=True)
        said = stack.enter_context(log.open("wb"))
        server = stack.enter_context(process([*local, "serve", "--port", str(port)], settings | (variables or {}), log=said))
        wait_for(f"{url}/health/ready", server)
        yield Server(local, url, server, llm)


def write(path: Path, what: object) -> None:
    path.write_text(json.dumps(what, indent=2) + "\n")
