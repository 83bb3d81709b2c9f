#!/usr/bin/env python3
"""Measures the search of a running server.

A test collection is a folder with `corpus.jsonl` (`_id`, `title`, `text`), `queries.jsonl` (`_id`, `text`) and `qrels.tsv`
(query-id, corpus-id, gain). Every entry is uploaded as one document; entries that are there already are not worked on again.
Each query is then searched for in each mode, and the ranking of documents is held against the judgements: nDCG@10 (linear
gain) and recall@100, each the mean over the queries that have a judgement.

A folder of several of them may have a file `rare-words.tsv` (word, collection, corpus-id) with words that stand in one document
of all: each alone as the query, over all in one collection.

Of the first collection, what each stage of a search takes is told as well; and documents are given metadata, by which a hundredth, a
twentieth and a fifth of them pass a filter: recall@10 of what passes, against a comparison with all of it.

With --identifiers, so many error codes, part numbers, versions, addresses and paths are hidden in 5,000 passages and searched
for.
"""

import argparse
import json
import pathlib
import sys

import filters
import identifiers
import rare_words
import stages
from api import Api
from testset import TestSet

LIMITS = ("user_per_minute", "tenant_per_hour", "ip_per_minute")


def main():
    options = arguments()
    limits = {"limits": dict.fromkeys(LIMITS, 1_000_000)}
    Api(options.url, options.operator).call("PUT", f"/tenants/{options.tenant}", limits)
    api, measured = Api(options.url, options.token), {}
    if options.dataset:
        sets = [TestSet(folder) for folder in folders(options.dataset)]
        measured["sets"] = {each.name: each.measure(api) for each in sets}
        measured["stages_ms"] = stages.measure(api, [query["text"] for query in sets[0].queries], sets[0].name)
        measured["filters"] = filters.measure(api, sets[0])
        words = options.dataset / "rare-words.tsv"
        if words.is_file():
            measured["rare_words"] = rare_words.measure(api, words, sets)
    if options.identifiers:
        measured["identifiers"] = identifiers.measure(api, options.identifiers)
    print(table(measured))
    if options.json:
        options.json.parent.mkdir(parents=True, exist_ok=True)
        options.json.write_text(json.dumps(measured, indent=2, ensure_ascii=False) + "\n", encoding="utf-8")
        print(f"written to {options.json}")


def arguments():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--url", required=True, help="the address of the running server")
    parser.add_argument("--token", required=True, help="a token of an admin in a tenant of its own")
    parser.add_argument("--tenant", required=True, help="that tenant, whose limits are raised")
    parser.add_argument("--operator", required=True, help="a token of an operator")
    parser.add_argument("--dataset", type=pathlib.Path, help="the folder of a test collection, or of several")
    parser.add_argument("--identifiers", type=int, default=0, help="how many identifiers to hide and look for")
    parser.add_argument("--json", type=pathlib.Path, help="where to write the figures")
    return parser.parse_args()


def folders(dataset):
    inner = [dataset] if (dataset / "corpus.jsonl").is_file() else sorted(dataset.iterdir())
    found = [folder for folder in inner if (folder / "corpus.jsonl").is_file()]
    return found or sys.exit(f"{dataset} holds no corpus.jsonl")


def table(measured):
    rows = []
    for name, of_set in measured.get("sets", {}).items():
        for mode, figures in of_set["modes"].items():
            what = f"{name}, {mode} ({of_set['documents']} documents, {of_set['queries']} queries)"
            rows += [(what, "nDCG@10", figures["ndcg_at_10"]), ("", "recall@100", figures["recall_at_100"])]
    if words := measured.get("rare_words"):
        what = f"rare words ({words['documents']} documents, {words['words']} words)"
        rows += [(what, "first", words["first"]), ("", "among the first 10", words["among_first_10"])]
        rows.append(("", "among the first 100", words["among_first_100"]))
    for share, found in measured.get("filters", {}).items():
        rows.append((f"a filter that {share} of the documents pass", "recall@10", found))
    for name, times in measured.get("stages_ms", {}).items():
        rows += [(f"stage {name}, milliseconds", "median", times["median"]), ("", "95th percentile", times["p95"])]
    if codes := measured.get("identifiers"):
        what = f"identifiers ({codes['passages']} passages, {codes['identifiers']} identifiers)"
        for name in ("exactly", "lower_case", "in_question"):
            rows.append((what, f"first, {name.replace('_', ' ')}", codes[name]["first"]))
            what = ""
    return "\n".join(f"{what:<56}{figure:<22}{value:>8.3f}" for what, figure, value in rows)


if __name__ == "__main__":
    main()
