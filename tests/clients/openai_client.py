"""Asks questions by OpenAI's client for Python.

Usage: openai_client.py URL TOKEN < questions

Questions and answers are those of questions.mjs.
"""

import json
import sys
import urllib.request
from collections.abc import Callable
from typing import Any

from openai import APIError, APIStatusError, LengthFinishReasonError, OpenAI

url, token = sys.argv[1:]
client = OpenAI(base_url=f"{url}/openai/v1", api_key=token, max_retries=0)
completions = client.chat.completions
USAGE = {"include_usage": True}


def ask_stream(request: dict[str, Any], question: dict[str, Any]) -> dict[str, Any]:
    """Adds up the chunks."""
    seen: dict[str, Any] = {"text": "", "annotations": [], "finish_reason": None, "usage": None}
    stopped = False
    try:
        for chunk in completions.create(**request, stream=True, stream_options=USAGE):
            if chunk.usage:
                seen["usage"] = chunk.usage.to_dict()
            for choice in chunk.choices:
                seen["text"] += choice.delta.content or ""
                seen["annotations"] += choice.delta.to_dict().get("annotations", [])
                seen["finish_reason"] = choice.finish_reason or seen["finish_reason"]
            if question.get("stop") and seen["text"] and not stopped:
                stopped = True
                stop(chunk.id)
    except APIError as error:
        return {**seen, **problem(error)}
    return seen


def ask_helper(request: dict[str, Any], question: dict[str, Any]) -> dict[str, Any]:
    """Has the client add up the chunks."""
    stopped = False
    with completions.stream(**request, stream_options=USAGE) as stream:
        for event in stream:
            if question.get("stop") and event.type == "content.delta" and event.snapshot and not stopped:
                stopped = True
                stop(stream.current_completion_snapshot.id)
        try:
            return whole(stream.get_final_completion())
        except LengthFinishReasonError as cut_off:
            return whole(cut_off.completion)


def ask_whole(request: dict[str, Any], _question: dict[str, Any]) -> dict[str, Any]:
    return whole(completions.create(**request))


def whole(completion: Any) -> dict[str, Any]:
    (choice,) = completion.choices
    message = choice.message.to_dict()
    return {
        "text": message["content"],
        "annotations": message.get("annotations") or [],
        "finish_reason": choice.finish_reason,
        "usage": completion.usage and completion.usage.to_dict(),
    }


def problem(error: APIError) -> dict[str, Any]:
    status = error.status_code if isinstance(error, APIStatusError) else None
    return {"error": error.message, "problem": error.code, "status": status}


def stop(completion: str) -> None:
    """Stops an answer, as a button does."""
    address = f"{url}/chat/{completion.removeprefix('chatcmpl-')}/stop"
    headers = {"authorization": f"Bearer {token}"}
    urllib.request.urlopen(urllib.request.Request(address, method="POST", headers=headers)).close()


WAYS: list[tuple[str, Callable[..., dict[str, Any]]]] = [
    ("stream", ask_stream),
    ("helper", ask_helper),
    ("whole", ask_whole),
]

for question in map(json.loads, sys.stdin):
    collection = question.get("collection")
    request = {
        "model": f"ragline/{collection}" if collection else "ragline",
        "messages": [{"role": "user", "content": question["question"]}],
    }
    for way, ask in WAYS:
        # The id by which it could be stopped comes with the answer.
        if question.get("stop") and way == "whole":
            continue
        try:
            answer = ask(request, question)
        except APIError as error:
            answer = problem(error)
        print(json.dumps({"name": question["name"], "way": way, **answer}), flush=True)
