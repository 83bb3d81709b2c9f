"""Test collections: documents, queries, and which documents are right for which query."""

import collections
import json
import math

MODES = ("hybrid", "semantic")
PASSAGES = 100
EACH_DOCUMENT_ONCE = {"limit": PASSAGES, "max_per_document": 1}


class TestSet:
    """A folder with `corpus.jsonl` (`_id`, `title`, `text`), `queries.jsonl` (`_id`, `text`) and `qrels.tsv` (query-id,
    corpus-id, gain)."""

    def __init__(self, folder):
        self.name = folder.name
        self.corpus = [entry for entry in lines(folder / "corpus.jsonl") if (entry["title"] + entry["text"]).strip()]
        self.judged = judgements(folder / "qrels.tsv")
        self.queries = [query for query in lines(folder / "queries.jsonl") if self.judged.get(query["_id"])]

    def files(self):
        return [(f"{entry['_id']}.md", markdown(entry)) for entry in self.corpus]

    def measure(self, api):
        """nDCG@10 and recall@100 by mode, each the mean over the queries."""
        owners = Owners(api.upload_all(self.name, self.files()), [entry["_id"] for entry in self.corpus])
        measured = {"documents": len(self.corpus), "queries": len(self.queries), "modes": {}}
        for mode in MODES:
            texts = [query["text"] for query in self.queries]
            options = {"mode": mode, **EACH_DOCUMENT_ONCE}
            found = api.search_all(f"{self.name}, {mode}", texts, self.name, **options)
            scores = []
            for query, passages in zip(self.queries, found):
                ranking, gains = owners.ranking(passages), self.judged[query["_id"]]
                scores.append((ndcg(ranking, gains), recall(ranking, gains)))
            gain, recalled = (sum(column) / len(scores) for column in zip(*scores))
            measured["modes"][mode] = {"ndcg_at_10": gain, "recall_at_100": recalled}
        return measured


class Owners:
    """Which entries a document holds: those with the same text are one."""

    def __init__(self, documents, entries):
        self.entries = collections.defaultdict(list)
        for document, entry in zip(documents, entries):
            self.entries[document].append(entry)

    def ranking(self, passages):
        """The entries in the order of their best passage."""
        found = (place for passage in passages for place in (passage, *passage["duplicates"]))
        documents = dict.fromkeys(place["document_id"] for place in found)
        return [entry for document in documents for entry in self.entries.get(document, ())]


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


def markdown(entry):
    return f"# {entry['title']}\n\n{entry['text']}\n" if entry["title"].strip() else f"{entry['text']}\n"


def ndcg(ranking, gains, depth=10):
    """Normalised discounted cumulative gain with linear gain (Järvelin and Kekäläinen, 2002)."""
    discounted = sum(gains.get(entry, 0) / math.log2(place + 2) for place, entry in enumerate(ranking[:depth]))
    ideal = sorted(gains.values(), reverse=True)[:depth]
    return discounted / sum(gain / math.log2(place + 2) for place, gain in enumerate(ideal))


def recall(ranking, gains, depth=100):
    return len(gains.keys() & set(ranking[:depth])) / len(gains)
