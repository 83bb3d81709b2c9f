#!/usr/bin/env python3
"""What a month of Ragline costs on AWS, in its parts: at rest, and with so many users, requests, chats and documents.

Usage: cost.py [--users N] [--requests N] [--chats N] [--documents N] [--model NAME] [--max-rest USD] [--max-month USD]

From costs/prices.toml and costs/work.toml. Chats and uploads are among the requests. The language model is reckoned by itself.
With the ceilings it exits with 1 if a sum is over its own.
"""

import argparse
import sys
import tomllib
from pathlib import Path
from typing import Any

COSTS = Path(__file__).resolve().parent.parent / "costs"
HOURS = 730
GB = 1e9

Parts = dict[str, float]


class Bill:
    """Adds up amounts under a heading, each by the price that it names."""

    def __init__(self, prices: dict[str, Any]) -> None:
        self.prices, self.parts, self.unverified = prices, Parts(), set[str]()

    def add(self, part: str, price: str, amount: float) -> None:
        entry = self.prices[price]
        self.parts[part] = self.parts.get(part, 0.0) + entry["usd"] * max(0.0, amount - entry.get("free", 0))
        if not entry["verified"]:
            self.unverified.add(price)

    def total(self) -> float:
        return sum(self.parts.values())


def at_rest(prices: dict[str, Any], work: dict[str, Any]) -> Bill:
    """A month in which nobody comes and nothing is stored."""
    bill, rest = Bill(prices), work["rest"]
    bill.add("cache, the least that is billed", "cache_gb_hour", rest["cache_gb"] * HOURS)
    bill.add("alarms", "alarm_metric_month", rest["alarm_metrics"])
    bill.add("dashboard", "dashboard_month", rest["dashboards"])
    bill.add("secret", "secret_month", rest["secrets"])
    return bill


def counts(work: dict[str, Any], users: int, requests: int, chats: int, documents: int) -> dict[str, float]:
    """How often each kind of work is done."""
    others = requests - chats - documents
    kinds = {name: others * kind["share"] for name, kind in work["kind"].items() if "share" in kind}
    sessions = max(requests / work["usage"]["requests_per_session"], min(users, requests))
    return {**kinds, "chat": chats, "upload": documents, "ingestion": documents, "authorizer": sessions}


def in_use(prices: dict[str, Any], work: dict[str, Any], users: int, requests: int, chats: int, documents: int) -> Bill:
    """A month of so much use, with what it costs at rest."""
    bill = at_rest(prices, work)
    usage, document, telemetry = work["usage"], work["document"], work["telemetry"]
    # As if each search examined all of its collection, and each tenant had one: the most it can be.
    tenants = max(1.0, users / usage["users_per_tenant"])
    examined = max(1000.0, documents / tenants * document["passages"] * document["vector_bytes"])
    for name, count in counts(work, users, requests, chats, documents).items():
        kind = work["kind"][name]
        memory = work["memory_mb"][kind["function"]] / 1024
        bill.add("Lambda", "lambda_request", count)
        bill.add("Lambda", "lambda_gb_second", count * kind["ms"] / 1000 * memory)
        bill.add("cache, in use", "cache_ecpu", count * kind.get("redis", 0) * usage["ecpu_per_command"])
        bill.add("DynamoDB, read and written", "dynamodb_read_unit", count * kind.get("read_units", 0))
        bill.add("DynamoDB, read and written", "dynamodb_write_unit", count * kind.get("write_units", 0))
        bill.add("DynamoDB, stored", "dynamodb_gb_month", count * kind.get("stored_bytes", 0) / GB)
        bill.add("DynamoDB, stored", "dynamodb_backup_gb_month", count * kind.get("stored_bytes", 0) / GB)
        bill.add("vectors searched", "vector_gb_searched", count * kind.get("searches", 0) * examined / GB)
        bill.add("S3", "s3_write", count * kind.get("s3_writes", 0))
        bill.add("S3", "s3_read", count * kind.get("s3_reads", 0))
        bill.add("SQS", "sqs_request", count * kind.get("queue_requests", 0))
        bill.add("embeddings", "embedding_token", count * kind.get("embedded_tokens", 0))
    bill.add("API Gateway", "api_request", requests)
    bill.add("sent to the Internet", "transfer_gb", requests * usage["answer_bytes"] / GB)
    bill.add("logs", "logs_gb", requests * (usage["log_bytes"] + telemetry["metric_bytes"]) / GB)
    bill.add("metrics", "custom_metric_month", telemetry["custom_metrics"] + telemetry["failing_routes"])
    passages = documents * document["passages"]
    bill.add("vectors written", "vector_gb_written", passages * document["vector_bytes"] / GB)
    bill.add("DynamoDB, stored", "dynamodb_gb_month", passages * (document["passage_bytes"] + document["vector_bytes"]) / GB)
    bill.add("DynamoDB, stored", "dynamodb_backup_gb_month", passages * document["passage_bytes"] / GB)
    bill.add("S3", "s3_gb_month", documents * (document["original_bytes"] + document["text_bytes"]) / GB)
    return bill


def watching(prices: dict[str, Any], work: dict[str, Any], requests: int) -> Bill:
    """What it costs to see what so many requests do, beside the metrics themselves, which cost the same however many there are."""
    bill, telemetry = Bill(prices), work["telemetry"]
    bill.add("lines of the log", "logs_gb", requests * work["usage"]["log_bytes"] / GB)
    bill.add("lines of metrics", "logs_gb", requests * telemetry["metric_bytes"] / GB)
    bill.add("traces, with Tracing=xray", "trace", requests * telemetry["traced_share"])
    return bill


def language_model(prices: dict[str, Any], work: dict[str, Any], model: str, chats: int) -> float:
    """What a model asks for the answers."""
    price, answer = prices["llm"][model], work["answer"]
    return chats * (price["input"] * answer["input_tokens"] + price["output"] * answer["output_tokens"]) / 1e6


def show(title: str, bill: Bill, whole: str = "infrastructure") -> None:
    """Prints the parts, the largest first, and the sum."""
    print(f"\n{title}")
    for part, usd in sorted(bill.parts.items(), key=lambda each: -each[1]):
        if usd >= 0.005:
            print(f"  {part:<36}{usd:>9.2f}")
    small = sum(usd for usd in bill.parts.values() if usd < 0.005)
    print(f"  {'the rest':<36}{small:>9.2f}\n  {whole:<36}{bill.total():>9.2f}")


def main() -> int:
    prices, work = (tomllib.loads((COSTS / name).read_text()) for name in ("prices.toml", "work.toml"))
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--users", type=int, default=500)
    parser.add_argument("--requests", type=int, default=1_000_000, help="a month, chats and uploads among them")
    parser.add_argument("--chats", type=int, default=100_000)
    parser.add_argument("--documents", type=int, default=10_000, help="uploaded in the month")
    parser.add_argument("--model", choices=sorted(prices["llm"]), default=work["answer"]["model"])
    parser.add_argument("--max-rest", type=float, help="the most it may cost at rest")
    parser.add_argument("--max-month", type=float, help="the most that the infrastructure may cost in use")
    arguments = parser.parse_args()
    amounts = (arguments.users, arguments.requests, arguments.chats, arguments.documents)
    if min(amounts) < 0 or arguments.requests < arguments.chats + arguments.documents:
        parser.error("chats and documents are among the requests")

    rest, month = at_rest(prices, work), in_use(prices, work, *amounts)
    answers = language_model(prices, work, arguments.model, arguments.chats)
    print("US dollars a month, us-east-1")
    show("At rest", rest)
    show("{:,} users, {:,} requests, {:,} chats, {:,} documents".format(*amounts), month)
    print(f"  {arguments.model:<36}{answers:>9.2f}\n  {'all':<36}{month.total() + answers:>9.2f}")
    show("Of that, or beside it, telemetry of a million requests", watching(prices, work, 1_000_000), "telemetry")
    print(f"\nNot verified: {', '.join(sorted(month.unverified))}")
    over = [
        f"{title} costs {bill.total():.2f}, over {most:.2f}"
        for title, bill, most in (("a month at rest", rest, arguments.max_rest), ("the month", month, arguments.max_month))
        if most is not None and bill.total() > most
    ]
    print("\n".join(over), end="\n" if over else "")
    return 1 if over else 0


if __name__ == "__main__":
    sys.exit(main())
