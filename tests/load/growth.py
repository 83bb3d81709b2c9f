#!/usr/bin/env python3
"""How the time of a search grows with the passages of its tenant and with other tenants, and that of ingestion with its documents.

Usage: growth.py --programs FOLDER [--sizes 100,1000,10000] [--others 49] [--most 60000]

FOLDER holds the optimised program `local`. A tenant is filled to each of the sizes, in passages, and searched past the cache: while there
are no others, and beside so many of the same size, unless these would be more than `--most` passages in all. The report is written to
target/load/growth.
"""

import argparse
import json
import random
import re
import sys
import time
import urllib.request
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import figures
import report
import stack
from api import Api
from processes import Tree

SEARCHES, DOCUMENT_BYTES = 100, 1_000_000
# What is ingested of the size of a document, in bytes.
FILES = (10_000, 100_000, 1_000_000, 4_000_000)
SENTENCES = [each for text in stack.sections() for each in re.split(r"(?<=[.:])\s+", text) if len(each) > 40]


def text(seed: random.Random, size: int) -> str:
    """Sentences of this project's documentation, in another order each time."""
    parts, length = list[str](), 0
    while length < size:
        paragraph = " ".join(seed.choices(SENTENCES, k=8))
        parts.append(paragraph)
        length += len(paragraph) + 2
    return "\n\n".join(parts)[:size]


@dataclass
class Filled:
    """A tenant that is filled with passages."""

    api: Api
    seed: random.Random
    passages: int = 0
    # Of a passage, so far as is known.
    bytes: float = 900.0

    def fill(self, size: int) -> None:
        while self.passages < 0.95 * size:
            length = int(min((size - self.passages) * self.bytes, DOCUMENT_BYTES))
            found = ingest(self.api, text(self.seed, length))
            self.passages += found["chunk_count"]
            self.bytes = length / found["chunk_count"]


def ingest(api: Api, what: str) -> dict[str, Any]:
    """Uploads a document and waits until it can be found."""
    id = api.upload("default", "grown.md", what)
    while (document := api.call("GET", f"/documents/{id}"))["status"] != "ready":
        if document["status"] == "failed":
            raise SystemExit(document["error"])
        time.sleep(0.05)
    return dict(document)


def search(server: stack.Server, of: Filled) -> dict[str, float]:
    """What searches take that nobody asked for before."""
    main, times = Tree(server.process.pid), list[float]()
    before = main.taken().cpu
    for _ in range(SEARCHES):
        words = " ".join(of.seed.sample(of.seed.choice(SENTENCES).split(), 4))
        headers = {"authorization": f"Bearer {of.api.token}", "content-type": "application/json", "cache-control": "no-store"}
        request = urllib.request.Request(f"{server.url}/search", json.dumps({"query": words}).encode(), headers)
        began = time.perf_counter()
        with urllib.request.urlopen(request, timeout=60) as answer:
            answer.read()
        times.append((time.perf_counter() - began) * 1000)
    return figures.percentiles(times) | {"cpu_ms": round((main.taken().cpu - before) * 1000 / SEARCHES, 1)}


def ingestion(server: stack.Server, api: Api, seed: random.Random) -> list[dict[str, float]]:
    main, found = Tree(server.process.pid), []
    for size in FILES:
        before, began = main.taken().cpu, time.perf_counter()
        passages = ingest(api, text(seed, size))["chunk_count"]
        took, cpu = time.perf_counter() - began, main.taken().cpu - before
        found.append({"bytes": size, "passages": passages, "seconds_per_mb": took / size * 1e6, "cpu_seconds_per_mb": cpu / size * 1e6})
    return found


def chart(searches: list[dict[str, Any]], folder: Path) -> Path:
    figure, of = report.axes("A search past the cache", "passages of the tenant", "milliseconds, p50 and p95")
    for tenants in sorted({each["tenants"] for each in searches}):
        rows = [each for each in searches if each["tenants"] == tenants]
        (line,) = of.plot([each["passages"] for each in rows], [each["p50"] for each in rows], marker="o", label=f"{tenants} tenants")
        of.plot([each["passages"] for each in rows], [each["p95"] for each in rows], linestyle="--", color=line.get_color())
    of.set(xscale="log", yscale="log")
    of.legend()
    return report.save(figure, folder / "growth.png")


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--programs", type=Path, required=True)
    parser.add_argument("--sizes", default="100,1000,10000")
    parser.add_argument("--others", type=int, default=49)
    parser.add_argument("--most", type=int, default=60_000)
    options = parser.parse_args()
    out = stack.PROJECT / "target" / "load" / "growth"
    searches = list[dict[str, Any]]()
    with stack.serving(options.programs, out / "server.log", with_llm=False) as server:
        names = [tenant.name for tenant in server.fill(options.others + 3, documents=0)]
        tokens = server.tokens([(name, "grower", "admin") for name in names])
        spare, alone, *together = [Filled(Api(server.url, token), random.Random(number)) for number, token in enumerate(tokens)]
        ingested = ingestion(server, spare.api, spare.seed)
        sizes = [int(size) for size in options.sizes.split(",")]
        for tenants in ([alone], together):
            for size in sizes:
                if size * len(tenants) <= options.most:
                    for tenant in tenants:
                        tenant.fill(size)
                    found = search(server, tenants[0])
                    searches.append({"passages": tenants[0].passages, "tenants": len(tenants)} | found)
                    print(searches[-1], flush=True)
    heads = ["passages of the tenant", "tenants", "p50, ms", "p95, ms", "CPU, ms"]
    rows: list[list[object]] = [[each[name] for name in ("passages", "tenants", "p50", "p95", "cpu_ms")] for each in searches]
    files: list[list[object]] = [
        [f"{each['bytes']:,.0f}", each["passages"], f"{each['seconds_per_mb']:.1f}", f"{each['cpu_seconds_per_mb']:.1f}"] for each in ingested
    ]
    tables = [report.table(heads, rows), report.table(["document, bytes", "passages", "seconds per MB", "CPU-seconds per MB"], files)]
    print("\n\n".join(tables))
    report.page(out / "report.html", "How cost grows", [*tables, chart(searches, out)])
    stack.write(out / "report.json", {"searches": searches, "ingestion": ingested})
    return 0


if __name__ == "__main__":
    sys.exit(main())
