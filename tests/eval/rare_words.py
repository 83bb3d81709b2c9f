"""Words that stand in one document only, each alone as the query: it has one right answer."""

from testset import EACH_DOCUMENT_ONCE, PASSAGES, Owners

COLLECTION = "together"


def measure(api, path, sets):
    """How many of the words of a file (word, set, corpus-id) have the right document first, and among the first 10, of all
    sets in one collection."""
    with open(path, encoding="utf-8") as file:
        next(file)
        words = [line.rstrip("\n").split("\t") for line in file]
    files = [(f"{each.name}-{name}", text) for each in sets for name, text in each.files()]
    entries = [(each.name, entry["_id"]) for each in sets for entry in each.corpus]
    owners = Owners(api.upload_all(COLLECTION, files), entries)
    found = api.search_all("rare words", [word for word, _, _ in words], COLLECTION, **EACH_DOCUMENT_ONCE)
    places = []
    for (word, set_name, entry), passages in zip(words, found):
        ranking = owners.ranking(passages)
        places.append(ranking.index((set_name, entry)) if (set_name, entry) in ranking else None)
    share = lambda depth: sum(place is not None and place < depth for place in places) / len(places)
    missed = [word for (word, _, _), place in zip(words, places) if place is None or place >= 10]
    return {
        "documents": len(files),
        "words": len(words),
        "first": share(1),
        "among_first_10": share(10),
        "among_first_100": share(PASSAGES),
        "not_among_first_10": missed,
    }
