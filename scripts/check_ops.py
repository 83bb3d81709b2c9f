#!/usr/bin/env python3
"""Checks ops/: Prometheus's own tool reads the configuration, the alerts and their tests; Grafana's own types read the dashboards.

A member of a dashboard that Grafana has no place for is one that it would forget.
"""

import json
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from grafana_foundation_sdk.cog.encoder import JSONEncoder
from grafana_foundation_sdk.cog.plugins import register_default_plugins
from grafana_foundation_sdk.models.dashboard import Dashboard

OPS = Path(__file__).resolve().parent.parent / "ops"
PROMTOOL = (["check", "config", "prometheus.yml"], ["check", "rules", "rules.yml"], ["test", "rules", "rules_test.yml"])


def forgotten(ours: Any, theirs: Any, place: str = "") -> Iterator[str]:
    """What is in one value, and not, or not so, in the other."""
    if isinstance(ours, dict) and isinstance(theirs, dict):
        for name, value in ours.items():
            if name not in theirs:
                yield f"{place}/{name}"
            else:
                yield from forgotten(value, theirs[name], f"{place}/{name}")
    elif isinstance(ours, list) and isinstance(theirs, list) and len(ours) == len(theirs):
        for number, (value, other) in enumerate(zip(ours, theirs, strict=True)):
            yield from forgotten(value, other, f"{place}/{number}")
    elif ours != theirs:
        yield f"{place}: {ours!r} is {theirs!r}"


def faults_of(dashboard: dict[str, Any]) -> Iterator[str]:
    """What Grafana would not take of a dashboard."""
    read = Dashboard.from_json(dashboard)
    yield from forgotten(dashboard, json.loads(json.dumps(read, cls=JSONEncoder)))
    places: dict[tuple[int, int], int] = {}
    for panel in dashboard["panels"]:
        where = panel["gridPos"]
        for x in range(where["x"], where["x"] + where["w"]):
            for y in range(where["y"], where["y"] + where["h"]):
                if places.setdefault((x, y), panel["id"]) != panel["id"]:
                    yield f"panels {panel['id']} and {places[x, y]} lie over each other"
                    return


def main() -> int:
    register_default_plugins()
    faults = list[str]()
    for arguments in PROMTOOL:
        outcome = subprocess.run(["promtool", *arguments], cwd=OPS / "prometheus", capture_output=True, text=True)
        if outcome.returncode:
            faults.append(f"promtool {' '.join(arguments)}: {outcome.stdout}{outcome.stderr}")
    dashboards = sorted((OPS / "grafana").glob("*.json"))
    if len(dashboards) < 2:
        faults.append("there are no dashboards")
    for file in dashboards:
        dashboard = json.loads(file.read_text())
        faults += [f"{file.name}: {fault}" for fault in faults_of(dashboard)]
        # A check that finds nothing wrong with this is none.
        if not list(faults_of({**dashboard, "panels": [{**dashboard["panels"][1], "tittle": "x"}]})):
            faults.append(f"{file.name}: a member that nobody knows is not found")
    print("\n".join(faults) or f"ops: {len(PROMTOOL)} checks of promtool and {len(dashboards)} dashboards are clean")
    return 1 if faults else 0


if __name__ == "__main__":
    sys.exit(main())
