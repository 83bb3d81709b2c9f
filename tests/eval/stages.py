"""What each stage of a search takes."""

import statistics

NAMES = ("query", "candidates", "documents", "rank", "rerank", "select")


def measure(api, queries, collection):
    """The median and the 95th percentile of the milliseconds of each stage, one search at a time, as the server says."""
    answers = []
    for query in queries:
        body = {"query": query, "collections": [collection], "explain": True}
        answers.append(api.call("POST", "/search", body)["stages_ms"])
    figures = {}
    for name in NAMES:
        times = sorted(answer[name] for answer in answers)
        figures[name] = {"median": statistics.median(times), "p95": times[int(0.95 * (len(times) - 1))]}
    return figures
