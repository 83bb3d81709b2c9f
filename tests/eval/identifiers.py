"""Identifiers that people paste, hidden in many passages: does each find its own?"""

import random

COLLECTION = "identifiers"
PASSAGES = 5_000
PER_DOCUMENT = 50
SEED = 7
WORDS = (
    "the pump station reports a pressure below the limit after the valve was closed for the night shift and the crew on "
    "duty wrote the values into the log before the next inspection of the filter and the motor took place in the hall"
).split()
QUESTIONS = (
    "what does {} mean?",
    "why did the station report {} after the night shift",
    "who wrote {} into the log",
    "is there anything about {} and how to fix it",
)


def identifiers(number):
    """Of six kinds in turn, none twice."""
    dice, made = random.Random(SEED), {}
    kinds = (error_code, uuid_prefix, sku, version, address, path)
    while len(made) < number:
        made.setdefault(kinds[len(made) % len(kinds)](dice))
    return list(made)


def error_code(dice):
    name = dice.choice(("ERR", "E", "ORA", "HTTP", "0x", "SQLSTATE", "TS", "CVE-2024"))
    digits = f"{dice.randrange(16**8):08X}" if name == "0x" else f"{dice.randrange(1_000, 99_999)}"
    return name + dice.choice(("-", "_", "") if name in ("ERR", "E", "TS") else ("-",)) * (name != "0x") + digits


def uuid_prefix(dice):
    return f"{dice.randrange(16**8):08x}-{dice.randrange(16**4):04x}"


def letters(dice, number):
    return "".join(dice.choice("ABCDEFGHJKLMNPQRSTUVWXYZ") for _ in range(number))


def sku(dice):
    return f"{letters(dice, 2)}-{dice.randrange(100, 9_999)}-{letters(dice, dice.choice((1, 2)))}{dice.randrange(10)}"


def version(dice):
    return f"v{dice.randrange(1, 20)}.{dice.randrange(60)}.{dice.randrange(99)}" + dice.choice(("", "-rc1", "-beta.2"))


def address(dice):
    first, last = (dice.choice(("ana", "ben", "cleo", "dora", "emil", "finn", "gus", "hana", "ivo")) for _ in range(2))
    return f"{first}.{last}{dice.randrange(99)}@{dice.choice(('example.com', 'mail.example.org', 'pumps.example'))}"


def path(dice):
    folder = dice.choice(("/etc/station", "/var/log/pumps", "C:\\Station\\data", "src/valves", "~/reports/2024"))
    joint = "\\" if "\\" in folder else "/"
    name = dice.choice(("config", "values", "report", "Main", "shift_log")) + str(dice.randrange(999))
    return f"{folder}{joint}{name}.{dice.choice(('conf', 'csv', 'rs', 'txt', 'json'))}"


def documents(hidden):
    """Markdown with a heading for each passage, one identifier in each of some."""
    dice = random.Random(SEED + 1)
    places = dict(zip(dice.sample(range(PASSAGES), len(hidden)), hidden))
    for start in range(0, PASSAGES, PER_DOCUMENT):
        sections = []
        for place in range(start, min(start + PER_DOCUMENT, PASSAGES)):
            words = dice.choices(WORDS, k=60)
            if place in places:
                words.insert(dice.randrange(len(words)), places[place])
            sections.append(f"## Entry {place}\n\n{' '.join(words)}.\n")
        yield f"log-{start}.md", f"# Log {start}\n\n" + "\n".join(sections)


def measure(api, number):
    """How many come first typed exactly, in lower case, and within a question."""
    hidden = identifiers(number)
    api.upload_all(COLLECTION, list(documents(hidden)))
    questions = [QUESTIONS[place % len(QUESTIONS)].format(identifier) for place, identifier in enumerate(hidden)]
    asked = {"exactly": hidden, "lower_case": [identifier.lower() for identifier in hidden], "in_question": questions}
    measured = {"passages": PASSAGES, "identifiers": number}
    for name, queries in asked.items():
        found = api.search_all(f"identifiers, {name}", queries, COLLECTION, limit=1)
        missed = [
            identifier
            for identifier, passages in zip(hidden, found)
            if not (passages and identifier in passages[0]["text"].replace("\\\\", "\\"))
        ]
        measured[name] = {"first": 1 - len(missed) / number, "missed": missed}
    return measured
