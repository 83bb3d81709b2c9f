#!/usr/bin/env python3
"""Measures the search of a running server on a retrieval test collection.

The collection is a folder with `corpus.jsonl` (`_id`, `title`, `text`), `queries.jsonl` (`_id`, `text`) and `qrels.tsv`
(query-id, corpus-id, gain). Every entry is uploaded as one document; entries that are there already are not worked on
again. Each query is then searched for in each mode, and the ranking of documents is held against the judgements.

Prints nDCG@10 (linear gain) and recall@100, each the mean over the queries that have a judgement.
"""

import argparse
import collections
import concurrent.futures
import json
import math
import pathlib
import sys
import time
import urllib.error
import urllib.request
import uuid

MODES = ("hybrid", "semantic")
UPLOADS = 8
SEARCHES = 2
PASSAGES = 100


class Api:
    """The few calls that are needed, with one try more where the server is busy."""

    def __init__(self, url, token):
        self.url = url.rstrip("/")
        self.token = token

    def call(self, method, path, body=None, content_type="application/json"):
        headers = {"authorization": f"Bearer {self.token}", "content-type": content_type}
        request = urllib.request.Request(self.url + path, data=body, headers=headers, method=method)
        for attempt in range(6):
            try:
                with urllib.request.urlopen(request, timeout=120) as answer:
                    return json.load(answer)
            except urllib.error.HTTPError as error:
                if error.code not in (429, 503) or attempt == 5:
                    sys.exit(f"{method} {path}: {error.code} {error.read().decode()}")
                time.sleep(float(error.headers.get("retry-after", 1)))
            except urllib.error.URLError as error:
                sys.exit(f"{self.url} does not answer ({error.reason}); start it with `make run`")

    def upload(self, filename, text):
        boundary = uuid.uuid4().hex
        body = (
            f'--{boundary}\r\ncontent-disposition: form-data; name="file"; filename="{filename}"\r\n'
            f"content-type: text/markdown\r\n\r\n{text}\r\n--{boundary}--\r\n"
        )
        kind = f"multipart/form-data; boundary={boundary}"
        return self.call("POST", "/documents/upload", body.encode(), kind)["document"]

    def statuses(self):
        """The number of documents by status."""
        counts, cursor = collections.Counter(), ""
        while cursor is not None:
            page = self.call("GET", f"/documents?limit=100&cursor={cursor}" if cursor else "/documents?limit=100")
            counts.update(document["status"] for document in page["data"])
            cursor = page["next_cursor"]
        return counts

    def search(self, query, mode):
        body = json.dumps({"query": query, "mode": mode, "limit": PASSAGES})
        return self.call("POST", "/search", body.encode())["data"]


def lines(path):
    with open(path, encoding="utf-8") as file:
        return [json.loads(line) for line in file]


def judgements(path):
    """Query id -> corpus id -> gain."""
    judged = collections.defaultdict(dict)
    with open(path, encoding="utf-8") as file:
        next(file)
        for line in file:
            query, entry, gain = line.split()
            if float(gain) > 0:
                judged[query][entry] = float(gain)
    return judged


def progress(text):
    end = "\r" if sys.stderr.isatty() else "\n"
    print(f"{text:<70}", end=end, file=sys.stderr, flush=True)


def markdown(entry):
    return f"# {entry['title']}\n\n{entry['text']}\n" if entry["title"].strip() else f"{entry['text']}\n"


def upload_corpus(api, corpus):
    """Document id -> the ids of the entries with that text."""
    entries = [entry for entry in corpus if entry["text"].strip() or entry["title"].strip()]
    owners = collections.defaultdict(list)
    with concurrent.futures.ThreadPoolExecutor(UPLOADS) as pool:
        documents = pool.map(lambda entry: api.upload(f"{entry['_id']}.md", markdown(entry)), entries)
        for number, (entry, document) in enumerate(zip(entries, documents), 1):
            owners[document["id"]].append(entry["_id"])
            if number % 200 == 0 or number == len(entries):
                progress(f"uploaded {number} of {len(entries)}")
    return owners


def wait(api, total):
    last = None
    while True:
        counts = api.statuses()
        done = counts["ready"] + counts["failed"]
        if done != last:
            progress(f"ready {counts['ready']} of {total}, failed {counts['failed']}")
            last = done
        if done == sum(counts.values()):
            return
        time.sleep(5)


def ndcg(ranking, gains, depth=10):
    """Normalised discounted cumulative gain with linear gain (Järvelin and Kekäläinen, 2002)."""
    discounted = sum(gains.get(entry, 0) / math.log2(place + 2) for place, entry in enumerate(ranking[:depth]))
    ideal = sorted(gains.values(), reverse=True)[:depth]
    return discounted / sum(gain / math.log2(place + 2) for place, gain in enumerate(ideal))


def recall(ranking, gains, depth=100):
    return len(gains.keys() & set(ranking[:depth])) / len(gains)


def ranked_entries(passages, owners):
    """The entries in the order of their best passage."""
    documents = dict.fromkeys(passage["document_id"] for passage in passages)
    return [entry for document in documents for entry in owners.get(document, ())]


def evaluate(api, queries, judged, owners, mode):
    queries = [query for query in queries if judged.get(query["_id"])]
    scores = []
    with concurrent.futures.ThreadPoolExecutor(SEARCHES) as pool:
        answers = pool.map(lambda query: api.search(query["text"], mode), queries)
        for number, (query, passages) in enumerate(zip(queries, answers), 1):
            ranking, gains = ranked_entries(passages, owners), judged[query["_id"]]
            scores.append((ndcg(ranking, gains), recall(ranking, gains)))
            if number % 50 == 0 or number == len(queries):
                progress(f"{mode}: searched {number} of {len(queries)}")
    return [sum(column) / len(scores) for column in zip(*scores)]


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--url", required=True, help="the address of the running server")
    parser.add_argument("--token", required=True, help="a token of an editor in a tenant of its own")
    parser.add_argument("--tenant", required=True, help="that tenant, whose limits are raised")
    parser.add_argument("--operator", required=True, help="a token of an operator")
    parser.add_argument("--dataset", required=True, type=pathlib.Path, help="the folder of the collection")
    options = parser.parse_args()
    if not (options.dataset / "corpus.jsonl").is_file():
        sys.exit(f"{options.dataset} holds no corpus.jsonl")
    limits = {"limits": dict.fromkeys(("user_per_minute", "tenant_per_hour", "ip_per_minute"), 1_000_000)}
    Api(options.url, options.operator).call("PUT", f"/tenants/{options.tenant}", json.dumps(limits).encode())
    api = Api(options.url, options.token)
    owners = upload_corpus(api, lines(options.dataset / "corpus.jsonl"))
    wait(api, len(owners))
    queries, judged = lines(options.dataset / "queries.jsonl"), judgements(options.dataset / "qrels.tsv")
    results = {mode: evaluate(api, queries, judged, owners, mode) for mode in MODES}
    print(f"{options.dataset.name}: {len(owners)} documents, {len(judged)} queries")
    print(f"{'mode':<10}{'nDCG@10':>10}{'recall@100':>12}")
    for mode, (gain, found) in results.items():
        print(f"{mode:<10}{gain:>10.3f}{found:>12.3f}")


if __name__ == "__main__":
    main()
