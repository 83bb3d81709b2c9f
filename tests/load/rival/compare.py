#!/usr/bin/env python3
"""Runs Ragline and its rival side by side, and prints how they compare at cached `GET /documents`.

Usage: compare.py --programs FOLDER --gunicorn PROGRAM [--rounds 3] [--seconds 10] [--connections 64] [--workers 2]

FOLDER holds the optimised program `local`. Both answer from the same table in the same embedded DynamoDB, each with a Redis of its own,
to the same tokens, as wrk asks for in turns. What they take is counted without Redis and DynamoDB, which are processes of their own.
The exit status is 1 if a goal is missed.
"""

import argparse
import json
import os
import shutil
import subprocess
import sys
import tempfile
import urllib.request
from contextlib import ExitStack
from dataclasses import dataclass, field
from pathlib import Path
from statistics import median

HERE = Path(__file__).resolve().parent
sys.path[:0] = [str(HERE.parent), str(HERE.parents[2] / "scripts")]
import report  # noqa: E402
import stack  # noqa: E402
from figures import Criterion  # noqa: E402
from processes import Tree  # noqa: E402
from runtime_api import written  # noqa: E402

TENANTS, USERS_OF_EACH, WARM_S = 50, 10, 3
REDIS = ["--save", "", "--appendonly", "no", "--bind", "127.0.0.1", "--maxmemory", "256mb", "--maxmemory-policy", "allkeys-lru"]
# Nobody looks at these; boto3 asks for them.
AWS = {"AWS_ACCESS_KEY_ID": "local", "AWS_SECRET_ACCESS_KEY": "local", "AWS_DEFAULT_REGION": "us-east-1"}


@dataclass
class Side:
    """A server that is compared, and what came of each round."""

    name: str
    url: str
    tree: Tree
    redis: Tree
    rounds: list[dict[str, float]] = field(default_factory=list)

    def ask(self, seconds: int, connections: int, tokens: str) -> dict[str, float]:
        command = ["wrk", "-t1", f"-c{connections}", f"-d{seconds}s", "-s", str(HERE / "tokens.lua"), self.url, "--", tokens]
        before = self.tree.taken().cpu, self.redis.taken().cpu
        printed = subprocess.run(command, check=True, capture_output=True, text=True).stdout
        found: dict[str, float] = json.loads(printed.splitlines()[-1])
        if found["failed"]:
            raise SystemExit(f"{self.name}: {found['failed']} requests failed")
        found["cpu"], found["redis"] = self.tree.taken().cpu - before[0], self.redis.taken().cpu - before[1]
        return found

    def of_rounds(self, what: str) -> float:
        return median(each[what] for each in self.rounds)

    def figures(self) -> dict[str, float]:
        return {
            "requests/s": median(each["requests"] / each["seconds"] for each in self.rounds),
            "requests per CPU-second": median(each["requests"] / each["cpu"] for each in self.rounds),
            "the same with Redis": median(each["requests"] / (each["cpu"] + each["redis"]) for each in self.rounds),
            **{f"{name}, ms": self.of_rounds(name) for name in ("p50", "p95", "p99")},
            "resident, MB": self.tree.taken().memory / 1e6,
            "proportional, MB": self.tree.proportional() / 1e6,
        }


def lists(side: Side, token: str) -> object:
    """What is answered to a user."""
    request = urllib.request.Request(f"{side.url}/documents", headers={"authorization": f"Bearer {token}"})
    with urllib.request.urlopen(request, timeout=10) as answer:
        return json.load(answer)["data"]


def redis(running: ExitStack) -> tuple[str, Tree]:
    port = stack.free_port()
    return f"redis://127.0.0.1:{port}", Tree(running.enter_context(stack.process(["redis-server", "--port", str(port), *REDIS])).pid)


def start(running: ExitStack, options: argparse.Namespace, folder: str, out: Path) -> list[Side]:
    """Both servers over the tables in a data folder."""
    (our_cache, our_redis), (rivals_cache, rivals_redis) = redis(running), redis(running)
    # A copy, or it would share the memory of its code with the server. Nothing is written any more, so nobody has to hear of changes.
    program = shutil.copy(options.programs / "local", Path(folder, "database"))
    database = [program, "--data", folder, "services", "--functions-port", str(stack.free_port())]
    services = running.enter_context(stack.process(database, stack.SETTINGS | {"LLM": "extractive", "LOG_LEVEL": "off", "REDIS_URL": our_cache}))
    variables = dict(line.split("=", 1) for line in written(Path(folder, "watch.env"), services).splitlines())
    at = {"DYNAMODB_ENDPOINT": variables["DYNAMODB_ENDPOINT"]}
    ours = stack.serving(options.programs, out / "server.log", at | {"REDIS_URL": our_cache}, with_llm=False, folder=folder)
    server = running.enter_context(ours)
    url = f"127.0.0.1:{stack.free_port()}"
    # What workers share before they part, they share in memory.
    command = [options.gunicorn, "app:app", "--chdir", str(HERE), "--bind", url, "--preload"]
    command += ["--workers", str(options.workers), "--worker-class", "uvicorn_worker.UvicornWorker", "--keep-alive", "75"]
    settings = AWS | at | {name: variables[name] for name in ("JWKS_URL", "JWT_ISSUER", "JWT_AUDIENCE")}
    settings |= {"REDIS_URL": rivals_cache, "TABLE_NAME": "ragline"}
    rival = running.enter_context(stack.process([*command, "--log-level", "warning"], settings))
    stack.wait_for(f"http://{url}/health", rival)
    sides = [Side("Ragline", server.url, Tree(server.process.pid), our_redis)]
    return [*sides, Side("the rival", f"http://{url}", Tree(rival.pid), rivals_redis)]


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--programs", type=Path, required=True)
    parser.add_argument("--gunicorn", required=True)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--seconds", type=int, default=10)
    parser.add_argument("--connections", type=int, default=64)
    parser.add_argument("--workers", type=int, default=os.cpu_count() or 2)
    options = parser.parse_args()
    out = stack.PROJECT / "target" / "load" / "rival"
    out.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory() as folder, ExitStack() as running:
        with stack.serving(options.programs, out / "filled.log", with_llm=False, folder=folder) as filled:
            tenants = filled.fill(TENANTS)
            who = [(tenant.name, f"user-{number}", "editor") for tenant in tenants for number in range(USERS_OF_EACH)]
            tokens = filled.tokens(who)
        file = Path(folder, "tokens")
        file.write_text("".join(f"{token}\n" for token in tokens))
        ours, rival = sides = start(running, options, folder, out)
        if any(lists(ours, token) != lists(rival, token) for token in tokens[::USERS_OF_EACH]):
            raise SystemExit("they do not answer the same")
        for side in sides:
            side.ask(WARM_S, options.connections, str(file))
        for _ in range(options.rounds):
            for side in sides:
                side.rounds.append(side.ask(options.seconds, options.connections, str(file)))
        return judge(ours, rival, options, out)


def judge(ours: Side, rival: Side, options: argparse.Namespace, out: Path) -> int:
    mine, its = ours.figures(), rival.figures()
    rows: list[list[object]] = [[name, f"{mine[name]:,.1f}", f"{its[name]:,.1f}", f"{mine[name] / its[name]:.2f}"] for name in mine]
    throughput = mine["requests per CPU-second"] / its["requests per CPU-second"]
    latency, memory = its["p95, ms"] / mine["p95, ms"], its["proportional, MB"] / mine["proportional, MB"]
    goals = [
        Criterion("at least 10 times the throughput per CPU-second", f"{throughput:.1f}", throughput >= 10),
        Criterion("at most a fifth of the p95", f"1/{latency:.1f}", latency >= 5),
        Criterion("at most a tenth of the memory", f"1/{memory:.1f}", memory >= 10),
    ]
    print(f"{options.connections} connections, {options.workers} workers, medians of {options.rounds} rounds of {options.seconds} s\n")
    print(report.table(["", ours.name, rival.name, "ratio"], rows), report.criteria_table(goals), sep="\n\n")
    stack.write(out / "report.json", {"Ragline": mine, "rival": its, "rounds": [ours.rounds, rival.rounds]})
    return 0 if all(goal.holds for goal in goals) else 1


if __name__ == "__main__":
    sys.exit(main())
