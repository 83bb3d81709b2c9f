"""Charts, and a page with them."""

import html
from pathlib import Path
from typing import Any

import matplotlib

matplotlib.use("Agg")
from figures import API, FIRST, Criterion  # noqa: E402
from matplotlib import pyplot  # noqa: E402

LABELS = {"/documents": "GET /documents", "/search": "POST /search", "/documents/upload": "POST /documents/upload"}
LABELS |= {"/chat": "POST /chat, to its end", FIRST: "POST /chat, to the first token"}
PAGE = """<!doctype html><html lang="en"><meta charset="utf-8"><title>{title}</title>
<style>body{{font:15px/1.5 system-ui,sans-serif;max-width:62rem;margin:2rem auto;padding:0 1rem}}table{{border-collapse:collapse}}
td,th{{border-bottom:1px solid #ddd;padding:.2rem .7rem;text-align:right}}td:first-child,th:first-child{{text-align:left}}
img{{max-width:100%}}.bad{{color:#b00;font-weight:bold}}</style>
<h1>{title}</h1>{body}</html>
"""


def save(figure: Any, path: Path) -> Path:
    figure.tight_layout()
    figure.savefig(path, dpi=90)
    pyplot.close(figure)
    return path


def axes(title: str, x: str, y: str) -> tuple[Any, Any]:
    figure, found = pyplot.subplots(figsize=(7.5, 4))
    found.set(title=title, xlabel=x, ylabel=y)
    found.grid(alpha=0.3)
    return figure, found


def charts(summaries: list[dict[str, Any]], folder: Path) -> list[Path]:
    """Over the number of users: latencies, throughput with errors, hits, and what a request takes."""
    users, many = [each["users"] for each in summaries], [each for each in summaries if each["users"] > 1] or summaries
    figure, of = axes("Latency: p95, with p50 and p99", "users", "milliseconds")
    for name in (*API, FIRST):
        asked = [(each["users"], each["ms"][name]) for each in summaries if name in each["ms"]]
        if not asked:
            continue
        of_it = [number for number, _ in asked]
        (line,) = of.plot(of_it, [ms["p95"] for _, ms in asked], marker="o", label=LABELS[name])
        of.fill_between(of_it, [ms["p50"] for _, ms in asked], [ms["p99"] for _, ms in asked], alpha=0.12, color=line.get_color())
    of.set_yscale("log")
    of.legend()
    made = [save(figure, folder / "latency.png")]
    figure, of = axes("Throughput and errors", "users", "requests/s")
    of.plot([each["users"] for each in many], [each["requests_per_second"] for each in many], marker="o", label="requests/s")
    of.set_ylim(bottom=0)
    beside = of.twinx()
    beside.plot(users, [each["errors"] for each in summaries], marker="x", color="tab:red", label="errors")
    beside.set(ylabel="errors", ylim=(0, max(10, *(each["errors"] for each in summaries))))
    figure.legend(loc="upper left", bbox_to_anchor=(0.12, 0.9))
    made.append(save(figure, folder / "throughput.png"))
    figure, of = axes("Answers from the cache", "users", "% of lists and searches")
    of.plot(users, [100 * each["hit_rate"] for each in summaries], marker="o")
    of.axhline(70, color="grey", linestyle="--")
    of.set_ylim(0, 100)
    made.append(save(figure, folder / "hits.png"))
    figure, of = axes("What a request takes of the processor, cache included", "users", "milliseconds")
    of.plot(users, [each["cpu_ms_per_request"] for each in summaries], marker="o")
    of.set_ylim(bottom=0)
    made.append(save(figure, folder / "cost.png"))
    return made


def over_time(series: dict[str, tuple[list[float], list[float]]], folder: Path) -> list[Path]:
    """A chart of each series over minutes."""
    made = []
    for name, (minutes, values) in series.items():
        figure, of = axes(name, "minutes", name)
        of.plot(minutes, values)
        of.set_ylim(bottom=0)
        made.append(save(figure, folder / f"{name.split(',')[0].lower()}.png"))
    return made


def table(heads: list[str], rows: list[list[object]]) -> str:
    """In Markdown, as it is printed and pasted."""
    lines = [heads, ["---"] * len(heads), *([str(cell) for cell in row] for row in rows)]
    return "\n".join("| " + " | ".join(line) + " |" for line in lines)


def steps_table(summaries: list[dict[str, Any]]) -> str:
    heads = ["users", "requests/s", "errors", "hits", *(f"{LABELS[name]} p50 / p95 / p99, ms" for name in (*API, FIRST, "/chat"))]
    rows: list[list[object]] = []
    for each in summaries:
        times = (each["ms"].get(name) for name in (*API, FIRST, "/chat"))
        shown = [f"{of['p50']:.0f} / {of['p95']:.0f} / {of['p99']:.0f}" if of else "" for of in times]
        rows.append([each["users"], each["requests_per_second"], each["errors"], f"{each['hit_rate']:.0%}", *shown])
    return table(heads, rows)


def cost_table(summaries: list[dict[str, Any]]) -> str:
    names = list(summaries[0]["cores"])
    heads = ["users", "CPU per request, ms", *(f"{name}, cores" for name in names), "server, MB", "descriptors"]
    rows: list[list[object]] = [
        [each["users"], each["cpu_ms_per_request"], *each["cores"].values(), each["server_mb"], each["server_descriptors"]]
        for each in summaries
    ]
    return table(heads, rows)


def criteria_table(criteria: list[Criterion]) -> str:
    return table(["what", "found", ""], [[each.text, each.found, "holds" if each.holds else "FAILS"] for each in criteria])


def page(path: Path, title: str, parts: list[str | Path]) -> None:
    """A page of text, tables in Markdown, and images that lie beside it."""
    path.write_text(PAGE.format(title=html.escape(title), body="\n".join(map(part, parts))))


def part(what: str | Path) -> str:
    if isinstance(what, Path):
        return f'<p><img src="{what.name}" alt="{what.stem}">'
    if not what.startswith("| "):
        return f"<p>{html.escape(what)}"
    heads, _, *rows = [[html.escape(cell) for cell in line.strip("| ").split(" | ")] for line in what.splitlines()]
    cells = "".join("<tr>" + "".join(cell_of(cell) for cell in row) for row in rows)
    return f"<table><tr>{''.join(f'<th>{head}' for head in heads)}{cells}</table>"


def cell_of(cell: str) -> str:
    return f'<td class="bad">{cell}' if cell == "FAILS" else f"<td>{cell}"
