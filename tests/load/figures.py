"""What users saw and what processes took, by step of the ramp."""

import csv
from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy
from processes import Watch

# The rest of a step is looked at: users are still coming, and what they ask for is not in the cache yet.
SETTLED = 0.25
API = ("/documents", "/search", "/documents/upload")
ANSWERS, FIRST = ("/chat", "/chat, left"), "first token"
PERCENTILES = {"p50": 50.0, "p95": 95.0, "p99": 99.0, "max": 100.0}


@dataclass
class Row:
    """A request that was answered, or not."""

    at: float
    name: str
    ms: float
    cache: str
    error: str


def read(path: Path) -> tuple[float, list[Row]]:
    """When the first users came, and what they saw."""
    with path.open(newline="") as file:
        rows = [Row(float(at), name, float(ms), cache, error) for at, name, ms, cache, error in csv.reader(file)]
    return next(row.at for row in rows if row.name == "start"), [row for row in rows if row.name != "start"]


def percentiles(times: Iterable[float]) -> dict[str, float]:
    """In milliseconds."""
    found = numpy.percentile(list(times), list(PERCENTILES.values()))
    return {name: round(float(value), 1) for name, value in zip(PERCENTILES, found)}


@dataclass
class Step:
    """So many users, for so long."""

    users: int
    # Since when its figures count, and its end, in seconds since 1970.
    start: float
    end: float
    # What was seen from its very beginning.
    seen: list[Row]
    watch: Watch
    # What the server and its cache take of a core while nobody asks for anything.
    idle: float
    rows: list[Row] = field(init=False)
    requests: list[Row] = field(init=False)

    def __post_init__(self) -> None:
        self.rows = [row for row in self.seen if row.at >= self.start]
        self.requests = [row for row in self.rows if row.name != FIRST]

    @property
    def rate(self) -> float:
        return len(self.requests) / (self.end - self.start)

    def times(self, *names: str) -> list[float]:
        return [row.ms for row in self.rows if row.name in names and not row.error]

    @property
    def errors(self) -> list[Row]:
        return [row for row in self.seen if row.error]

    @property
    def hit_rate(self) -> float:
        """The share of answers that may come from the cache and did, as `Cache-Status` says. Who waited for another is no hit."""
        told = Counter(row.cache for row in self.requests if row.cache)
        return told["hit"] / max(told.total(), 1)

    def cpu(self, *names: str) -> float:
        return sum(self.watch.cpu(name, self.start, self.end) for name in names)

    def summary(self) -> dict[str, Any]:
        taken = [sample["server"] for _, sample in self.watch.between(self.start, self.end)]
        times = {name: self.times(name) for name in (*API, "/chat", FIRST)}
        return {
            "users": self.users,
            "seconds": round(self.end - self.start),
            "requests": sum(row.name != FIRST for row in self.seen),
            "requests_per_second": round(self.rate, 1),
            "errors": len(self.errors),
            "hit_rate": round(self.hit_rate, 4),
            "ms": {name: percentiles(found) for name, found in times.items() if found},
            "cores": {name: round(self.cpu(name), 3) for name in self.watch.trees},
            "cpu_ms_per_request": round((self.cpu("server", "redis") - self.idle) / max(self.rate, 1e-9) * 1000, 3),
            "server_mb": round(max((each.memory for each in taken), default=0) / 1e6, 1),
            "server_descriptors": max((each.descriptors for each in taken), default=0),
        }


def steps(path: Path, plan: list[tuple[int, float]], watch: Watch, idle: float) -> list[Step]:
    began, rows = read(path)
    found, start = list[Step](), began
    for users, seconds in plan:
        settled, end = start + SETTLED * min(seconds, 60), start + seconds
        seen = [row for row in rows if start <= row.at < end]
        found.append(Step(users, settled, end, seen, watch, idle))
        start = end
    return found


def knee(summaries: list[dict[str, Any]]) -> int | None:
    """The number of users from which on more of them bring less: a tenth of the throughput that each brought at first is missing,
    or the p95 of a route has grown fivefold to over 100 ms."""
    many = [each for each in summaries if each["users"] > 1]
    for each in many[1:]:
        missing = each["requests_per_second"] / each["users"] < 0.9 * many[0]["requests_per_second"] / many[0]["users"]
        before, now = ({name: ms["p95"] for name, ms in of["ms"].items() if name in API} for of in (many[0], each))
        if missing or any(p95 > max(100, 5 * before.get(name, 0)) for name, p95 in now.items()):
            return int(each["users"])
    return None


@dataclass
class Criterion:
    """What must hold, and whether it does."""

    text: str
    found: str
    holds: bool


def criteria(summaries: list[dict[str, Any]]) -> list[Criterion]:
    """Those that were promised, and our own, which are tighter. They are about the last step, errors about all."""
    last, ms = summaries[-1], summaries[-1]["ms"]
    requests, errors = sum(each["requests"] for each in summaries), sum(each["errors"] for each in summaries)
    held = [Criterion("promised: errors under 0.1 %", f"{errors} of {requests}", errors < 0.001 * requests)]
    held.append(Criterion("our own: no errors", f"{errors} of {requests}", errors == 0))
    for name in [each for each in API if each in ms]:
        p95 = ms[name]["p95"]
        held.append(Criterion(f"promised: p95 of {name} under 500 ms", f"{p95:.0f} ms", p95 < 500))
        held.append(Criterion(f"our own: p95 of {name} under 100 ms", f"{p95:.0f} ms", p95 < 100))
    if "/chat" in ms:
        p95, first = ms["/chat"]["p95"], ms[FIRST]["p95"]
        held.append(Criterion("promised: p95 of whole answers under 2 s", f"{p95:.0f} ms", p95 < 2_000))
        held.append(Criterion("our own: p95 of the time to the first token under 500 ms", f"{first:.0f} ms", first < 500))
    if ms.keys() & {"/documents", "/search"}:
        hits = last["hit_rate"]
        held.append(Criterion("promised and our own: hit rate over 70 %", f"{hits:.1%}", hits > 0.7))
    return held
