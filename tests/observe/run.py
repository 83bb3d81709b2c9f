#!/usr/bin/env python3
"""Holds what a real Prometheus says of a running server against what the clients of that server counted.

Usage: run.py --local PROGRAM [--seconds 60]

Every query of the dashboard must be answered, and right within one percent where a client, a stub or the cache itself counts the
same; each metric that an alert names must be there. Afterwards the server is left alone, so that nothing is on its way.
"""

import argparse
import json
import math
import os
import re
import socket
import subprocess
import sys
import tempfile
import threading
import time
import urllib.parse
import urllib.request
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import traffic
from stub import TURNS, Stub
from traffic import Client, Counts, Labels

PROJECT = Path(__file__).resolve().parents[2]
sys.path.insert(0, str(PROJECT / "scripts"))
from observe import prometheus  # noqa: E402

# How near to what was counted.
NEAR = 0.01
# The scrapes are so close that what lies between the last of them and the ends of the traffic is no matter.
INTERVAL = "300ms"
REST_S = 4
PRICES = {"input": 100.0, "output": 1000.0}
SETTINGS = {
    "EMBEDDER": "openai",
    "EMBEDDING_DIMENSIONS": "384",
    "EMBEDDING_MODEL": "stub",
    "LLM": "openai",
    "LLM_MODEL": "stub",
    "LLM_PRICES": json.dumps({"stub": PRICES}),
    "CHAT_MAX_CENTS": "100000",
    "LIMIT_USER_PER_MINUTE": "1000000",
    "LIMIT_TENANT_PER_HOUR": "10000000",
    "LIMIT_IP_PER_MINUTE": "1000000",
    "LIMIT_DAILY_TOKENS": "1000000000",
    # Whoever shares the machine may keep the cache from answering at once.
    "REDIS_TIMEOUT_MS": "5000",
    "LOG_LEVEL": "error",
}
HISTOGRAM = re.compile(r"^histogram_quantile\(([\d.]+), sum by \(le(?:, (\w+))?\) \(rate\((\w+)_bucket\[")
RATE = re.compile(r"^sum(?: by \((\w+)\))? \(rate\((\w+)(?:\{([^}]*)\})?\[[^\]]*\]\)\)( \* [\d/ e]+)?$")
SHARE = re.compile(r"^\((.*)\) / (sum \(rate\(\w+\[[^\]]*\]\)\))$")
LEVEL = re.compile(r"^sum(?: by \((\w+)\))? \((\w+)\)$")
SELECTOR = re.compile(r"\b(ragline_\w+(?:\{[^}]*\})?|up\{[^}]*\})")


def free_port() -> int:
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        port: int = listener.getsockname()[1]
        return port


class Commands:
    """Counts what clients send to a Redis, by having it say so."""

    def __init__(self, port: int) -> None:
        self.port, self.number = port, 0
        self.connection = socket.create_connection(("127.0.0.1", port))
        self.connection.sendall(b"MONITOR\r\n")
        threading.Thread(target=self.listen, daemon=True).start()

    def listen(self) -> None:
        with self.connection.makefile("r", errors="replace") as lines:
            for line in lines:
                # What scripts do is said, too, and what connections say of themselves.
                if '[' in line and " lua]" not in line and not re.search(r'\] "(CLIENT|HELLO|SCRIPT)"', line):
                    self.number += 1


    def cut_others(self) -> None:
        """Closes the connections of all others."""
        with socket.create_connection(("127.0.0.1", self.port)) as connection, connection.makefile("rb") as answers:
            connection.sendall(b"CLIENT LIST\r\n")
            clients = answers.read(int(answers.readline()[1:])).decode().splitlines()
            for client in clients:
                if "cmd=client" not in client and "cmd=monitor" not in client:
                    connection.sendall(f"CLIENT KILL {client.split()[0].replace('=', ' ')}\r\n".encode())


@contextmanager
def process(command: list[str], environment: dict[str, str] | None = None) -> Iterator[None]:
    started = subprocess.Popen(command, env=environment, stdout=subprocess.DEVNULL)
    try:
        yield
    finally:
        started.terminate()
        started.wait()


def wait_for(url: str) -> None:
    for _ in range(300):
        try:
            urllib.request.urlopen(url, timeout=5).close()
            return
        except OSError:
            time.sleep(0.2)
    raise SystemExit(f"{url} does not answer")


def ask(url: str, query: str, at: float) -> list[tuple[Labels, float]]:
    """What Prometheus answers."""
    parameters = urllib.parse.urlencode({"query": query, "time": at})
    with urllib.request.urlopen(f"{url}/api/v1/query?{parameters}", timeout=30) as answer:
        found = json.load(answer)["data"]["result"]
    return [(tuple(sorted(each["metric"].items())), float(each["value"][1])) for each in found]


class Book:
    """What was counted outside of the server."""

    def __init__(self, counts: Counts, stub: Stub, commands: int) -> None:
        numbers = counts.numbers
        seen = stub.seen
        searches, refused = numbers.pop("searches"), numbers.pop("refused")
        self.refused, self.times = sum(refused.values()), counts.times
        numbers["ragline_search_stage_seconds_count"] = Counter({(("stage", "select"),): sum(searches.values())})
        numbers["ragline_redis_command_seconds_count"] = Counter({(): commands})
        numbers["ragline_embedder_call_seconds_count"] = Counter({(): seen["embedder calls"]})
        numbers["ragline_embedder_failures_total"] = Counter({(): seen["embedder failures"]})
        hooks = {"delivered": seen["hook delivered"], "failed": seen["hook failed"]}
        numbers["ragline_webhook_deliveries_total"] = Counter({(("outcome", name),): each for name, each in hooks.items()})
        numbers["ragline_webhook_attempt_seconds_count"] = Counter({(): sum(hooks.values())})
        tokens = {"input": seen["input"], "output": seen["output"]}
        microdollars = sum(tokens[each] * PRICES[each] for each in tokens)
        numbers["ragline_chat_cost_microdollars_total"] = Counter({(): round(microdollars)})
        for nothing in ("dynamodb_failures", "dynamodb_retries", "storage_failures", "redis_failures", "cache_not_told"):
            numbers[f"ragline_{nothing}_total"] = Counter({(): 0})
        self.numbers = numbers

    def expected(self, name: str, only: str | None, by: str | None) -> dict[str, float] | None:
        """So many of a metric, of each value of a label; none if nobody counted it."""
        if name not in self.numbers:
            return None
        wanted = dict(pair.split("=") for pair in (only or "").replace('"', "").split(",") if pair)
        sums = Counter[str]()
        for labels, number in self.numbers[name].items():
            has = dict(labels)
            if all(has.get(label) == value for label, value in wanted.items()):
                sums[has.get(by, "") if by else ""] += number
        return dict(sums)


class Judge:
    """Looks at queries, and says what is wrong with what they bring."""

    def __init__(self, url: str, at: float, over: int, book: Book) -> None:
        self.url, self.at, self.over, self.book = url, at, over, book
        self.faults, self.compared, self.answered = list[str](), 0, 0

    def ask(self, query: str) -> list[tuple[Labels, float]]:
        return ask(self.url, query.replace("$__rate_interval", f"{self.over}s"), self.at)

    def look(self, query: str) -> None:
        found = self.ask(query)
        self.answered += bool(found)
        if not found:
            self.faults.append(f"no answer: {query}")
        elif match := HISTOGRAM.match(query):
            self.quantile(query, float(match[1]), match[2], match[3], found)
        elif match := SHARE.match(query):
            self.share(query, match[1].split(" + "), match[2], found)
        elif match := RATE.match(query):
            self.rate(query, match, found)
        elif match := LEVEL.match(query):
            # Nothing is under way any more.
            self.compare(query, {label(labels, match[1]): 0.0 for labels, _ in found}, match[1], found, 1.0)
        else:
            self.faults.append(f"not understood: {query}")

    def rate(self, query: str, match: re.Match[str], found: list[tuple[Labels, float]]) -> None:
        by, name, only, factor = match.groups()
        expected = self.book.expected(name, only, by)
        if name == "ragline_door_denied_from_memory_total":
            # Refused by the bucket, or since that was known.
            by, expected = None, {"": self.book.refused}
            found = [((), found[0][1] + sum(value for _, value in self.ask(f"sum (rate(ragline_door_denied_total[{self.over}s]))")))]
        elif name == "ragline_door_denied_total":
            expected = None
        if expected is not None:
            unit = eval(factor.removeprefix(" * ")) if factor else 1.0  # noqa: S307
            self.compare(query, expected, by, found, self.over / unit)

    def share(self, query: str, parts: list[str], whole: str, found: list[tuple[Labels, float]]) -> None:
        matches = [RATE.match(part) for part in (*parts, whole)]
        sums = [sum((self.book.expected(match[2], match[3], None) or {}).values()) for match in matches if match]
        self.compare(query, {"": sum(sums[:-1]) / sums[-1]}, None, found, 1.0)

    def quantile(self, query: str, share: float, by: str | None, name: str, found: list[tuple[Labels, float]]) -> None:
        numbers = {label(labels, by): value for labels, value in found}
        known = {value for value, number in (self.book.expected(f"{name}_count", None, by) or {}).items() if number > 1}
        missing = known - {value for value, number in numbers.items() if not math.isnan(number)}
        if missing or all(math.isnan(number) for number in numbers.values()):
            self.faults.append(f"no number for {sorted(missing)}: {query}")
        if name != "ragline_http_request_seconds":
            return
        # A client waits longer than the server takes, but not by much; the server knows its own time to a bucket.
        for value, number in numbers.items():
            times = self.book.times[value] if by else [each for times in self.book.times.values() for each in times]
            if not times:
                continue
            heard = sorted(times)[min(len(times) - 1, int(share * len(times)))]
            self.compared += 1
            if not math.isnan(number) and number > 2.5 * heard + 0.001:
                self.faults.append(f"{value} takes {number:.4f} s, but clients wait {heard:.4f} s: {query}")

    def compare(
        self, query: str, expected: dict[str, float], by: str | None, found: list[tuple[Labels, float]], factor: float
    ) -> None:
        numbers = {label(labels, by): value * factor for labels, value in found}
        for value in sorted(expected.keys() | {value for value, number in numbers.items() if number > 0}):
            wanted, number = expected.get(value, 0.0), numbers.get(value, math.nan)
            self.compared += 1
            # One of few is more than a percent, but where nothing may be missing it is none.
            if not abs(number - wanted) <= NEAR * wanted + 1e-9:
                self.faults.append(f"{value or 'it'} is {number:.6g}, not {wanted:.6g}: {query}")


def label(labels: Labels, by: str | None) -> str:
    return dict(labels).get(by, "") if by else ""


def queries() -> list[str]:
    dashboard = json.loads((PROJECT / "ops" / "grafana" / "prometheus.json").read_text())
    return [target["expr"] for panel in dashboard["panels"] for target in panel.get("targets", [])]


def alerts(judge: Judge) -> int:
    """Looks at the alerts: Prometheus works them out, and all that they name is there. How many there are."""
    with urllib.request.urlopen(f"{judge.url}/api/v1/rules", timeout=30) as answer:
        rules = [rule for group in json.load(answer)["data"]["groups"] for rule in group["rules"]]
    for rule in rules:
        if rule["health"] != "ok":
            judge.faults.append(f"{rule['name']} is {rule['health']}: {rule.get('lastError')}")
        for selector in SELECTOR.findall(rule["query"]):
            if not judge.ask(selector):
                judge.faults.append(f"{rule['name']} looks at {selector}, which is not there")
    return len(rules)


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--local", required=True)
    parser.add_argument("--seconds", type=float, default=60)
    arguments = parser.parse_args()
    stub, (redis_port, port, prometheus_port) = Stub(), (free_port(), free_port(), free_port())
    environment = os.environ | SETTINGS | {"REDIS_URL": f"redis://127.0.0.1:{redis_port}"}
    environment |= {"LLM_BASE_URL": f"{stub.url}/v1", "OPENAI_BASE_URL": f"{stub.url}/v1"}
    with tempfile.TemporaryDirectory() as folder:
        local, url = [arguments.local, "--data", folder], f"http://127.0.0.1:{port}"

        def token(tenant: str, user: str, role: str) -> str:
            command = [*local, "token", "--tenant", tenant, "--user", user, "--role", role]
            return subprocess.run(command, check=True, capture_output=True, text=True).stdout.strip()

        redis = ["redis-server", "--port", str(redis_port), "--save", "", "--bind", "127.0.0.1", "--loglevel", "warning"]
        with process(redis), process([*local, "serve", "--port", str(port)], environment):
            wait_for(f"{url}/health/ready")
            quiet = Counts()
            operator, admin = Client(url, token("platform", "op", "operator"), quiet), Client(url, token("acme", "root", "admin"), quiet)
            limited = {"limits": {"user_per_minute": 60}}
            operator.call("PUT", "/tenants/small", "/tenants/{id}", limited)
            for hook, path in (("good", "hook"), ("bad", "nowhere"), ("bad", "nowhere")):
                admin.call("DELETE", f"/webhooks/{hook}", "/webhooks/{id}")
                body = {"url": f"{stub.url}/{path}", "events": ["document.failed"]}
                status, _, said = admin.call("PUT", f"/webhooks/{hook}", "/webhooks/{id}", body)
                assert status in (200, 201), said
            ada, bob = token("acme", "ada", "editor"), token("acme", "bob", "editor")
            actors: list[Any] = [(traffic.reader, ada, 0.05), (traffic.reader, bob, 0.05), (traffic.searcher, ada, 0.1)]
            actors += [(traffic.talker, bob, 0.3), (traffic.uploader, ada, 0.2), (traffic.manager, admin.token, 1.0)]
            actors += [(traffic.hurrier, token("small", "eve", "viewer"), 0.2)]

            def act(counts: Counts, seconds: float) -> None:
                traffic.run([(actor, Client(url, who, counts), pause) for actor, who, pause in actors], seconds)

            act(quiet, 0)
            with prometheus(prometheus_port, port, INTERVAL) as watching:
                time.sleep(REST_S)
                stub.seen.clear()
                counts, commands, began = Counts(), Commands(redis_port), time.time()
                time.sleep(REST_S)
                # Connections break, too.
                threading.Timer(arguments.seconds / 2, commands.cut_others).start()
                act(counts, arguments.seconds)
                # Or it would be told again and again what it did not take, and be on its way when all else is over.
                Client(url, admin.token, counts).call("DELETE", "/webhooks/bad", "/webhooks/{id}")
                time.sleep(REST_S)
                at, said = time.time(), commands.number
                judge = Judge(watching, at, math.ceil(at - began), Book(counts, stub, said))
                for query in queries():
                    judge.look(query)
                rules = alerts(judge)
    requests = sum(counts.numbers["ragline_http_request_seconds_count"].values())
    print(f"{requests} requests, {said} commands of Redis, {sum(TURNS[0].values())} tokens in a first turn")
    print(f"{judge.answered} of {len(queries())} queries are answered, {judge.compared} numbers compared, {rules} alerts looked at")
    print("\n".join(judge.faults) or "all is as it was counted")
    return 1 if judge.faults else 0


if __name__ == "__main__":
    sys.exit(main())
