#!/usr/bin/env python3
"""Loads a server of its own with users, step by step, and says what becomes of it.

Usage: load.py --programs FOLDER [--users 100] [--minutes 1] [--scenario mix] [--soak]

FOLDER holds the optimised programs `local` and `scripted-llm`. The users come in steps of 1, 50, 100, 200, 500, 1,000 and so on up to
the number that is asked for, which stay for so many minutes. The report is written to target/load. With --soak all come at once, and
memory and descriptors of the server must stay flat. The exit status is 1 if anything does not hold.
"""

import argparse
import dataclasses
import itertools
import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

import figures
import report
import soak
import stack
from processes import Tree, Watch

TENANTS, IDLE_S = 50, 10
STEPS = (1, 50, 100, 200, 500, 1_000, 2_000)
# Of a step before the last, in seconds.
SHORTEST, LONGEST = 20.0, 40.0
SCENARIOS = ("mix", "documents", "search", "chat", "upload")


def ramp(users: int, minutes: float) -> list[tuple[int, float]]:
    each = min(max(minutes * 6, SHORTEST), LONGEST)
    return [*((step, each) for step in STEPS if step < users), (users, minutes * 60)]


def drive(server: stack.Server, plan: dict[str, Any], scenario: str, log: Path) -> tuple[Watch, float]:
    """Has users do what is planned. What the processes took meanwhile, and what the server takes of a core while it is left alone."""
    assert server.llm
    main = Tree(server.process.pid)
    redis = main.child("redis-server")
    main.without.add(redis)
    trees = {"server": main, "redis": Tree(redis), "model": Tree(server.llm.pid)}
    with Watch(trees) as watch:
        alone = time.time()
        time.sleep(IDLE_S)
        idle = watch.cpu("server", alone, time.time()) + watch.cpu("redis", alone, time.time())
    with tempfile.TemporaryDirectory() as folder, log.open("wb") as said:
        # It has tokens in it.
        stack.write(Path(folder, "plan.json"), plan)
        command = [sys.executable, "-m", "locust", "--locustfile", str(Path(__file__).with_name("users.py")), "--headless"]
        command += ["--host", server.url, "--only-summary", "--loglevel", "WARNING", "--stop-timeout", "10"]
        command += [] if scenario == "mix" else ["--tags", scenario]
        users = subprocess.Popen(command, env=os.environ | {"LOAD_PLAN": f"{folder}/plan.json"}, stdout=said, stderr=said)
        try:
            with Watch(trees | {"users": Tree(users.pid)}) as watch:
                status = users.wait()
        finally:
            users.kill()
    # 1 says that requests failed, which we see ourselves.
    if status not in (0, 1):
        raise SystemExit(f"Locust failed: {log}")
    return watch, idle


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--programs", type=Path, required=True)
    parser.add_argument("--users", type=int, default=100)
    parser.add_argument("--minutes", type=float, default=1)
    parser.add_argument("--scenario", choices=SCENARIOS, default="mix")
    parser.add_argument("--soak", action="store_true")
    options = parser.parse_args()
    out = stack.PROJECT / "target" / "load" / ("soak" if options.soak else options.scenario)
    out.mkdir(parents=True, exist_ok=True)
    planned = [(options.users, options.minutes * 60)] if options.soak else ramp(options.users, options.minutes)
    with stack.serving(options.programs, out / "server.log") as server:
        print(f"{TENANTS} tenants are given documents", flush=True)
        tenants = server.fill(TENANTS)
        names = [tenant.name for tenant in itertools.islice(itertools.cycle(tenants), max(options.users, TENANTS))]
        tokens = server.tokens([(name, f"user-{number}", "editor") for number, name in enumerate(names)])
        plan = {
            "steps": planned,
            "people": [{"tenant": name, "token": token} for name, token in zip(names, tokens)],
            "queries": {tenant.name: tenant.queries for tenant in tenants},
            "texts": stack.sections(),
            "log": str(out / "requests.csv"),
        }
        minutes = sum(seconds for _, seconds in planned) / 60
        print(f"{options.users} users: {minutes:.1f} minutes", flush=True)
        watch, idle = drive(server, plan, options.scenario, out / "locust.log")
        steps = figures.steps(out / "requests.csv", planned, watch, idle)
    return judge(steps, watch, options, out)


def judge(steps: list[figures.Step], watch: Watch, options: argparse.Namespace, out: Path) -> int:
    """Writes the report. 1 if anything does not hold."""
    summaries, criteria = [step.summary() for step in steps], []
    if options.soak:
        criteria, images = soak.criteria(watch, steps[0].start), soak.charts(watch, out)
    else:
        images = report.charts(summaries, out)
    criteria = figures.criteria(summaries) + criteria
    knee = figures.knee(summaries)
    about_knee = f"The knee is at {knee} users." if knee else f"There is no knee up to {options.users} users."
    errors = [f"{row.name}: {row.error}" for step in steps for row in step.errors][:20]
    tables = [report.criteria_table(criteria), report.steps_table(summaries), report.cost_table(summaries)]
    parts: list[str | Path] = [*tables, *([] if options.soak else [about_knee]), *errors]
    print("\n\n".join(map(str, parts)))
    title = f"{options.scenario}, up to {options.users} users over {TENANTS} tenants"
    report.page(out / "report.html", title, [*parts, *images])
    found = {"steps": summaries, "knee": knee, "criteria": [dataclasses.asdict(each) for each in criteria]}
    stack.write(out / "report.json", found)
    print(f"\nwritten to {out / 'report.html'}")
    return 0 if all(each.holds for each in criteria) else 1


if __name__ == "__main__":
    sys.exit(main())
