"""Amazon Bedrock in small: a model that embeds words, and one that uses each tool once before it answers."""

import json
import re
import struct
import zlib
from typing import Any

# What a document's id looks like.
ULID = re.compile(r"\b[0-7][0-9A-HJKMNP-TV-Z]{25}\b")


def embedded(request: dict[str, Any]) -> bytes:
    """Titan's answer: texts with the same words have vectors that are close."""
    vector = [0.01] * request["dimensions"]
    for word in re.findall(r"\w+", request["inputText"].lower()):
        vector[zlib.crc32(word.encode()) % len(vector)] += 1
    return json.dumps({"embedding": vector}).encode()


def conversed(request: dict[str, Any]) -> bytes:
    """A turn as a stream of events: calls of tools that were not called since the question, or an answer."""
    blocks = since_the_question(request["messages"])
    told = json.dumps([block["toolResult"] for block in blocks if "toolResult" in block])
    called = {block["toolUse"]["name"] for block in blocks if "toolUse" in block}
    offered = {tool["toolSpec"]["name"] for tool in request.get("toolConfig", {}).get("tools", [])}
    calls = {"search": {"query": "What do ducks eat at XK-42?"}, "list_documents": {}}
    # A document is read once it is known.
    if known := ULID.findall(told):
        calls = {"read_document": {"document_id": known[0]}}
    due = {name: asked for name, asked in calls.items() if name in offered - called}
    events: list[tuple[str, dict[str, Any]]] = [("messageStart", {"role": "assistant"})]
    for place, (name, asked) in enumerate(due.items()):
        use = {"toolUse": {"toolUseId": f"tooluse_{len(blocks)}_{place}", "name": name}}
        events.append(("contentBlockStart", {"contentBlockIndex": place, "start": use}))
        arguments = {"toolUse": {"input": json.dumps(asked)}}
        events.append(("contentBlockDelta", {"contentBlockIndex": place, "delta": arguments}))
        events.append(("contentBlockStop", {"contentBlockIndex": place}))
    if not due:
        events.append(("contentBlockDelta", {"contentBlockIndex": 0, "delta": {"text": "They eat pondweed [1]."}}))
    events.append(("messageStop", {"stopReason": "tool_use" if due else "end_turn"}))
    usage = {"inputTokens": 10, "outputTokens": 5, "totalTokens": 15}
    events.append(("metadata", {"usage": usage, "metrics": {"latencyMs": 1}}))
    return b"".join(frame(kind, payload) for kind, payload in events)


def since_the_question(messages: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """What was called and told behind the last message that asks something."""
    blocks: list[dict[str, Any]] = []
    for message in messages:
        asks = message["role"] == "user" and all("toolResult" not in block for block in message["content"])
        blocks = [] if asks else blocks + message["content"]
    return blocks


def frame(kind: str, payload: dict[str, Any]) -> bytes:
    """A frame of vnd.amazon.eventstream: lengths, headers and payload, each with a checksum."""
    headers = b""
    for name, value in ((":message-type", "event"), (":event-type", kind), (":content-type", "application/json")):
        # Strings have the type 7.
        headers += struct.pack(f">B{len(name)}sBH", len(name), name.encode(), 7, len(value)) + value.encode()
    body = json.dumps(payload).encode()
    prelude = struct.pack(">II", len(headers) + len(body) + 16, len(headers))
    message = prelude + struct.pack(">I", zlib.crc32(prelude)) + headers + body
    return message + struct.pack(">I", zlib.crc32(message))
