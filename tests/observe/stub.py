"""What a server leads to that others run: an embedding model, a language model and a receiver of webhooks. All count."""

import hashlib
import http.server
import json
import threading
from collections import Counter
from typing import Any

DIMENSIONS = 384
# A text with this word makes a model fail.
BREAKDOWN = "breakdown"
# What each turn of the language model says it took.
TURNS = ({"prompt_tokens": 310, "completion_tokens": 17}, {"prompt_tokens": 950, "completion_tokens": 41})


class Stub(http.server.ThreadingHTTPServer):
    """All three, on a port of their own."""

    daemon_threads = True
    request_queue_size = 100

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), Handler)
        self.seen: Counter[str] = Counter()
        self.lock = threading.Lock()
        threading.Thread(target=self.serve_forever, daemon=True).start()

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.server_port}"

    def count(self, what: str, number: int = 1) -> None:
        with self.lock:
            self.seen[what] += number


class Handler(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    server: Stub

    def log_message(self, *_: Any) -> None:
        pass

    def do_POST(self) -> None:
        body = self.rfile.read(int(self.headers.get("content-length", 0)))
        if self.path == "/v1/embeddings":
            self.embed(json.loads(body))
        elif self.path == "/v1/chat/completions":
            self.turn(json.loads(body))
        elif self.path == "/hook":
            self.server.count("hook delivered")
            self.answer(204, b"")
        else:
            self.server.count("hook failed")
            self.answer(500, b"")

    def embed(self, asked: dict[str, Any]) -> None:
        self.server.count("embedder calls")
        if any(BREAKDOWN in text for text in asked["input"]):
            self.server.count("embedder failures")
            return self.answer(500, b"{}")
        data = [{"index": n, "embedding": vector(text)} for n, text in enumerate(asked["input"])]
        self.answer(200, json.dumps({"data": data}).encode())

    def turn(self, asked: dict[str, Any]) -> None:
        if any(BREAKDOWN in str(message.get("content")) for message in asked["messages"]):
            return self.answer(401, b'{"error": {"message": "no"}}')
        question = next(message["content"] for message in reversed(asked["messages"]) if message["role"] == "user")
        told = asked["messages"][-1]["role"] == "tool"
        call = {"name": "search", "arguments": json.dumps({"query": question})}
        said = (
            {"content": "Ducks eat pondweed [1]."}
            if told
            else {"tool_calls": [{"index": 0, "id": "call-1", "type": "function", "function": call}]}
        )
        usage = TURNS[told]
        self.server.count("input", usage["prompt_tokens"])
        self.server.count("output", usage["completion_tokens"])
        chunks: list[Any] = [{"choices": [{"index": 0, "delta": {"role": "assistant", **said}, "finish_reason": None}]}]
        chunks.append({"choices": [{"index": 0, "delta": {}, "finish_reason": "stop" if told else "tool_calls"}]})
        chunks.append({"choices": [], "usage": {**usage, "total_tokens": sum(usage.values())}})
        text = "".join(f"data: {json.dumps(chunk)}\n\n" for chunk in chunks) + "data: [DONE]\n\n"
        self.answer(200, text.encode(), "text/event-stream")

    def answer(self, status: int, body: bytes, kind: str = "application/json") -> None:
        self.send_response(status)
        self.send_header("content-type", kind)
        self.send_header("content-length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)


def vector(text: str) -> list[float]:
    """A place for each word, by its hash: texts that share words are near each other."""
    numbers = [0.001] * DIMENSIONS
    for word in text.lower().split():
        numbers[int.from_bytes(hashlib.sha256(word.encode()).digest()[:4], "big") % DIMENSIONS] += 1.0
    return numbers
