"""Users for Locust, who read, search, ask and upload; and how many of them there are when.

What they do is in the file that `LOAD_PLAN` names; what they saw is written to its `log`, a line for each request.
"""

import csv
import itertools
import json
import os
import random
import sys
import time
from pathlib import Path
from typing import Any

from locust import FastHttpUser, LoadTestShape, events, tag, task
from locust.contrib.fasthttp import FAILURE_EXCEPTIONS

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "observe"))
from traffic import cached, form  # noqa: E402

PLAN = json.loads(Path(os.environ["LOAD_PLAN"]).read_text())
PEOPLE = itertools.cycle(PLAN["people"])
# How often the queries of a tenant are asked: the second half as often as the first, and so on (Zipf).
OFTEN = [1 / rank for rank in range(1, 1 + max(map(len, PLAN["queries"].values())))]
THINK_S = (1.0, 2.0)
# Of the answers, so many have a reader who leaves after so many pieces.
LEAVE, LEAVE_AFTER = 0.1, 10
SPAWNED_A_SECOND = 25
FIRST = "first token"

log = open(PLAN["log"], "w", newline="")  # noqa: SIM115
rows = csv.writer(log)


@events.test_start.add_listener
def start(**_: Any) -> None:
    rows.writerow((time.time(), "start", 0, "", ""))


@events.request.add_listener
def saw(request_type: str, name: str, response_time: float, exception: object, response: Any = None, **_: Any) -> None:
    told = response.headers.get("cache-status") if response is not None and response.headers else None
    rows.writerow((time.time(), name, round(response_time, 2), cached(told) if told else "", str(exception or "")[:300]))


@events.quitting.add_listener
def close(**_: Any) -> None:
    log.close()


def first_token(took: float) -> None:
    events.request.fire(request_type="POST", name=FIRST, response_time=took, response_length=0, exception=None, context={})


class Steps(LoadTestShape):
    """More users in each step."""

    def tick(self) -> tuple[int, float] | None:
        at = self.get_run_time()
        for users, seconds in PLAN["steps"]:
            if at < seconds:
                return users, SPAWNED_A_SECOND
            at -= seconds
        return None


class Person(FastHttpUser):
    """Somebody who does one thing after the other, and thinks between them."""

    network_timeout = connection_timeout = 30.0

    def on_start(self) -> None:
        who = next(PEOPLE)
        self.headers, self.queries = {"authorization": f"Bearer {who['token']}"}, PLAN["queries"][who["tenant"]]

    def wait_time(self) -> float:
        # Somebody who is alone does not think, or there would be too few requests to tell anything.
        return random.uniform(*THINK_S) if self.environment.runner.user_count > 1 else 0.0

    def query(self) -> str:
        return random.choices(self.queries, OFTEN[: len(self.queries)])[0]

    @tag("documents")
    @task(65)
    def documents(self) -> None:
        self.client.get("/documents", headers=self.headers)

    @tag("search")
    @task(24)
    def search(self) -> None:
        self.client.post("/search", json={"query": self.query()}, headers=self.headers)

    @tag("chat")
    @task(10)
    def chat(self) -> None:
        leaves, asked = random.random() < LEAVE, {"message": f"What is said of {self.query()}?"}
        began = time.perf_counter()
        with self.client.post("/chat", json=asked, headers=self.headers, stream=True, catch_response=True) as answer:
            if answer.status_code != 200:
                return
            try:
                self.read(answer, began, leaves)
            except FAILURE_EXCEPTIONS as error:
                answer.failure(error)
            answer.request_meta["response_time"] = (time.perf_counter() - began) * 1000

    def read(self, answer: Any, began: float, leaves: bool) -> None:
        """Reads an answer as it comes."""
        pieces, done = 0, False
        while event := answer.stream.readline(b"\n\n"):
            if b"event: delta\n" in event:
                pieces += 1
                if pieces == 1:
                    first_token((time.perf_counter() - began) * 1000)
                if leaves and pieces == LEAVE_AFTER:
                    answer.request_meta["name"] = "/chat, left"
                    # The connection is closed, since there is more to come.
                    return answer.release()
            elif b"event: done\n" in event:
                done = True
                if b'"finish_reason":"stop"' not in event:
                    answer.failure(event.decode())
        if not done:
            answer.failure("the stream ended before the answer did")

    @tag("upload")
    @task(1)
    def upload(self) -> None:
        text = f"{random.choice(PLAN['texts'])}\n\nNote {time.time_ns()} of {random.getrandbits(64)}.\n"
        body, kind = form("note.md", text)
        self.client.post("/documents/upload", data=body, headers=self.headers | {"content-type": kind})
