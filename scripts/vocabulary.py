#!/usr/bin/env python3
"""Makes shared/src/terms/vocabulary.txt of the tokenizer of a BERT model, such as the one `make run` fetches.

Its tokens are in the order of how frequent they were where the model was trained; the file has the words among the first of
them. docs/SEARCH.md tells how their number was chosen.

Usage: scripts/vocabulary.py .ragline/models/all-MiniLM-L6-v2/tokenizer.json
"""

import json
import pathlib
import sys

OUTPUT = pathlib.Path(__file__).parent.parent / "shared/src/terms/vocabulary.txt"
SHORTEST = 3
TOKENS = 12_000


def main():
    if len(sys.argv) != 2:
        sys.exit(__doc__)
    with open(sys.argv[1], encoding="utf-8") as file:
        vocabulary = json.load(file)["model"]["vocab"]
    frequent = (word for word, place in vocabulary.items() if place < TOKENS)
    words = {word for word in frequent if len(word) >= SHORTEST and word.isascii() and word.isalpha()}
    OUTPUT.write_text("".join(f"{word}\n" for word in sorted(words)), encoding="utf-8")
    print(f"{len(words)} words in {OUTPUT}")


if __name__ == "__main__":
    main()
