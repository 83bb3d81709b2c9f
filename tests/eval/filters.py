"""Selective filters: of the passages that pass, those nearest to a query, against a comparison with all that pass."""

import concurrent.futures

from api import progress

SHARES = (0.01, 0.05, 0.2)
QUERIES = 20
DEPTH = 10
# A search takes so many documents by name, and searches each by itself.
NAMED = 20
SIDE_BY_SIDE = 8


def measure(api, test_set):
    """Recall@10 by the share of documents that pass, over the documents of a test collection that is uploaded."""
    documents = sorted(set(api.upload_all(test_set.name, test_set.files())))
    # The order of the ids is that of the uploads; neighbours there are strangers here.
    ranked = {document: place * 7919 % len(documents) for place, document in enumerate(documents)}
    describe = lambda item: api.call("PATCH", f"/documents/{item[0]}", {"metadata": {"eval_rank": item[1]}})
    with concurrent.futures.ThreadPoolExecutor(SIDE_BY_SIDE) as pool:
        for number, _ in enumerate(pool.map(describe, ranked.items()), 1):
            if number % 200 == 0 or number == len(ranked):
                progress(f"filters: described {number} of {len(ranked)}")
    queries = [query["text"] for query in test_set.queries[:QUERIES]]
    return {f"{share:.0%}": recall(api, test_set.name, queries, ranked, share) for share in SHARES}


def recall(api, collection, queries, ranked, share):
    highest = max(1, round(len(ranked) * share))
    passing = [document for document, rank in ranked.items() if rank < highest]
    options = {"mode": "semantic", "explain": True, "limit": 100, "max_per_document": 100}
    condition = {"type": "lt", "key": "eval_rank", "value": highest}
    found, wanted = 0, 0
    for query in queries:
        answer = api.search(query, collection, filters=condition, **options)[:DEPTH]
        scanned = []
        for start in range(0, len(passing), NAMED):
            scanned += api.search(query, collection, document_ids=passing[start : start + NAMED], **options)
        scores = sorted((passage["explanation"]["vector_score"] for passage in scanned), reverse=True)[:DEPTH]
        # Of equally near passages, any is right.
        found += sum(passage["explanation"]["vector_score"] >= scores[-1] - 1e-6 for passage in answer)
        wanted += len(scores)
    return found / wanted
