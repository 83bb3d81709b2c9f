"""Lines of CloudWatch's embedded metric format, held against its specification."""

import json
from collections.abc import Iterator
from typing import Any

import jsonschema

# What the specification says of a document, in JSON Schema, with those of its units that may be of use here:
# https://docs.aws.amazon.com/AmazonCloudWatch/latest/monitoring/CloudWatch_Embedded_Metric_Format_Specification.html
# CloudWatch leaves out without a word what does not fit.
NAME = {"type": "string", "minLength": 1, "maxLength": 255}
UNITS = ["Seconds", "Microseconds", "Milliseconds", "Percent", "Count", "Count/Second", "None", "Bytes", "Bits"]
METRIC = {
    "type": "object",
    "required": ["Name"],
    "properties": {
        "Name": {**NAME, "maxLength": 1024},
        "Unit": {"enum": UNITS},
        "StorageResolution": {"enum": [1, 60]},
    },
    "additionalProperties": False,
}
DIRECTIVE = {
    "type": "object",
    "required": ["Namespace", "Dimensions", "Metrics"],
    "properties": {
        "Namespace": {**NAME, "maxLength": 1024},
        "Dimensions": {"type": "array", "minItems": 1, "items": {"type": "array", "maxItems": 30, "items": NAME}},
        "Metrics": {"type": "array", "maxItems": 100, "items": METRIC},
    },
    "additionalProperties": False,
}
METADATA = {
    "type": "object",
    "required": ["Timestamp", "CloudWatchMetrics"],
    "properties": {"Timestamp": {"type": "integer"}, "CloudWatchMetrics": {"type": "array", "items": DIRECTIVE}},
}
DOCUMENT = jsonschema.Draft7Validator({"type": "object", "required": ["_aws"], "properties": {"_aws": METADATA}})
# A member that a metric names, and one that a dimension names.
NUMBERS = jsonschema.Draft7Validator({
    "oneOf": [{"type": "number"}, {"type": "array", "maxItems": 100, "items": {"type": "number"}}]
})
TEXT = jsonschema.Draft7Validator({"type": "string", "minLength": 1, "maxLength": 1024})
LONGEST = 1_000_000


def faults(line: str) -> Iterator[str]:
    """What is wrong with a line."""
    try:
        document: dict[str, Any] = json.loads(line)
    except ValueError as error:
        yield f"{error}: {line[:100]}"
        return
    if len(line.encode()) > LONGEST:
        yield "the line is too long"
    wrong = [error.message for error in DOCUMENT.iter_errors(document)]
    yield from wrong
    for directive in [] if wrong else document["_aws"]["CloudWatchMetrics"]:
        targets = [(metric["Name"], NUMBERS) for metric in directive["Metrics"]]
        targets += [(name, TEXT) for names in directive["Dimensions"] for name in names]
        for name, wanted in targets:
            if not wanted.is_valid(document.get(name)):
                yield f"{name} is {document.get(name)!r}"


def names(line: str) -> set[str]:
    """The metrics of a line."""
    directives = json.loads(line)["_aws"]["CloudWatchMetrics"]
    return {metric["Name"] for directive in directives for metric in directive["Metrics"]}
