"""What functions ask of AWS: a way for each function to doubles of the services, on which its calls are noted in the words of IAM.

A call is an action on a resource of the template, signed by the function itself or by the session of a tenant.
"""

import http.client
import json
import re
import threading
import urllib.parse
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Any, NamedTuple
from xml.etree import ElementTree

from bedrock import conversed, embedded
from servers import Handler, Threaded

# The parts of a transaction, and the permission that each needs.
PARTS = {"Put": "PutItem", "Update": "UpdateItem", "Delete": "DeleteItem", "ConditionCheck": "ConditionCheckItem"}
# The partition keys of tables and indexes.
PARTITION_KEYS = {None: "pk", "by_collection": "collection_key", "catalogue": "collection_key", "by_term": "term"}
ACCESS_KEY = re.compile(r"Credential=([^/,]+)/")
PREFIX = "DynamoDB_20120810."
# What models are asked for: the action, what they answer in, and what.
MODELS = {
    "invoke": ("bedrock:InvokeModel", "application/json", embedded),
    "converse-stream": ("bedrock:InvokeModelWithResponseStream", "application/vnd.amazon.eventstream", conversed),
}

# An action, a resource, and the keys of a call.
Asked = tuple[str, str, tuple[str, ...]]


class Answered(NamedTuple):
    """The answer of a service."""

    status: int
    headers: list[tuple[str, str]]
    body: bytes


@dataclass(frozen=True)
class Call:
    """What a function asked for."""

    function: str
    # Whose session signed it; the function itself if it is nobody's.
    tenant: str | None
    action: str
    # A logical id of the template, with a path behind it for indexes and objects.
    resource: str
    # The partition keys in it, the prefix that is listed, or the attributes that a scan reads.
    keys: tuple[str, ...] = ()


@dataclass(frozen=True)
class Targets:
    """Where the services are that functions are led to, and the names that resources have there."""

    dynamodb: str
    # S3, SQS and STS.
    aws: str
    # Logical ids by the names of tables, queues and the bucket.
    names: dict[str, str]


class Calls(set[Call]):
    """The calls so far, and the tenants of the sessions that were given out."""

    def __init__(self) -> None:
        super().__init__()
        self.sessions: dict[str, str] = {}


class Recorder(Threaded):
    """The way of one function to AWS."""

    def __init__(self, function: str, targets: Targets, calls: Calls) -> None:
        super().__init__(("127.0.0.1", 0), RecordingHandler)
        self.function, self.targets, self.calls = function, targets, calls
        threading.Thread(target=self.serve_forever, daemon=True).start()

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.server_port}"

    def note(self, signer: str, asked: Iterable[Asked]) -> None:
        """Adds what a request needs permission for."""
        tenant = self.calls.sessions.get(signer)
        self.calls.update(Call(self.function, tenant, action, resource, keys) for action, resource, keys in asked)


class RecordingHandler(Handler):
    server: Recorder

    def forwarded(self) -> None:
        body, target = self.taken(), self.headers.get("x-amz-target", "")
        path, targets = urllib.parse.urlsplit(self.path).path, self.server.targets
        if path.startswith("/model/"):
            self.model(path, body)
        elif target.startswith(PREFIX):
            asked = dynamodb(target.removeprefix(PREFIX), json.loads(body), targets.names)
            self.passed_on(targets.dynamodb, body, list(asked))
        elif target.startswith("AmazonSQS."):
            queue = targets.names[json.loads(body)["QueueUrl"].rpartition("/")[2]]
            self.passed_on(targets.aws, body, [(f"sqs:{target.removeprefix('AmazonSQS.')}", queue, ())])
        elif body.startswith(b"Action=AssumeRole"):
            self.session(body)
        else:
            self.passed_on(targets.aws, body, list(s3(self.command, self.path, body, targets.names)))

    do_GET = do_HEAD = do_POST = do_PUT = do_DELETE = forwarded

    def passed_on(self, target: str, body: bytes, asked: list[Asked]) -> None:
        """Notes what is asked for, asks, and hands on the answer."""
        signer = self.signer()
        self.server.note(signer, asked)
        response = self.ask(target, body)
        # Whether there is something that is not there, only those are told who may list.
        if response.status == 404 and asked and asked[0][0] == "s3:GetObject":
            bucket, _, name = asked[0][1].partition("/")
            self.server.note(signer, [("s3:ListBucket", bucket, (name,))])
        self.answer(*response)

    def ask(self, target: str, body: bytes) -> Answered:
        """The answer of a service."""
        url = urllib.parse.urlsplit(target)
        headers = {name: value for name, value in self.headers.items() if name.lower() not in ("host", "content-length")}
        connection = http.client.HTTPConnection(str(url.hostname), url.port, timeout=60)
        connection.request(self.command, self.path, body, headers)
        response = connection.getresponse()
        answered = Answered(response.status, response.getheaders(), response.read())
        connection.close()
        return answered

    def signer(self) -> str:
        """The access key; of a presigned address, that of who made it."""
        query = urllib.parse.parse_qs(urllib.parse.urlsplit(self.path).query)
        credential = [f"Credential={value}" for value in query.get("X-Amz-Credential", [])]
        signed = ACCESS_KEY.search(self.headers.get("authorization") or "".join(credential))
        return signed[1] if signed else ""

    def session(self, body: bytes) -> None:
        """Gives out a session, and notes whose it is."""
        form = {name: value for name, (value, *_) in urllib.parse.parse_qs(body.decode()).items()}
        role, tag = form["RoleArn"].rpartition("/")[2], form["Tags.member.1.Key"]
        self.server.note(self.signer(), [(action, role, (tag,)) for action in ("sts:AssumeRole", "sts:TagSession")])
        answered = self.ask(self.server.targets.aws, body)
        for key in ElementTree.fromstring(answered.body).iter():
            if key.tag.endswith("AccessKeyId"):
                self.server.calls.sessions[str(key.text)] = form["Tags.member.1.Value"]
        self.answer(*answered)

    def model(self, path: str, body: bytes) -> None:
        """A model of Bedrock, which embeds or answers."""
        _, _, model, operation = urllib.parse.unquote(path).split("/")
        action, kind, answered = MODELS[operation]
        self.server.note(self.signer(), [(action, f"foundation-model/{model}", ())])
        self.answer(200, [("content-type", kind)], answered(json.loads(body)))


def dynamodb(operation: str, request: dict[str, Any], names: dict[str, str]) -> Iterator[Asked]:
    """What a request needs permission for: the parts of a transaction, and each table of a batch."""
    if operation == "TransactWriteItems":
        for item in request["TransactItems"]:
            ((part, asked),) = item.items()
            yield f"dynamodb:{PARTS[part]}", names[asked["TableName"]], leading([asked.get("Key") or asked["Item"]])
    elif "RequestItems" in request:
        for table, items in request["RequestItems"].items():
            yield f"dynamodb:{operation}", names[table], leading(items["Keys"] if isinstance(items, dict) else map(written, items))
    else:
        index = request.get("IndexName")
        resource = names[request["TableName"]] + (f"/index/{index}" if index else "")
        if operation == "Scan":
            keys = tuple(re.findall(r"\w+", request["ProjectionExpression"]))
        elif operation == "Query":
            keys = (queried(request, PARTITION_KEYS[index]),)
        else:
            item = request.get("Key") or request.get("Item")
            keys = leading([item]) if item else ()
        yield f"dynamodb:{operation}", resource, keys


def leading(items: Any) -> tuple[str, ...]:
    """The partition keys of items."""
    return tuple(sorted({item["pk"]["S"] for item in items}))


def written(request: dict[str, Any]) -> dict[str, Any]:
    """The item, or the key, of a part of a batch."""
    item: dict[str, Any] = request["PutRequest"]["Item"] if "PutRequest" in request else request["DeleteRequest"]["Key"]
    return item


def queried(request: dict[str, Any], key: str) -> str:
    """The partition that a query reads."""
    names = request.get("ExpressionAttributeNames", {})
    for name, value in re.findall(r"([#\w]+)\s*=\s*(:\w+)", request["KeyConditionExpression"]):
        if names.get(name, name) == key:
            partition: str = request["ExpressionAttributeValues"][value]["S"]
            return partition
    raise ValueError(f"no {key} in {request['KeyConditionExpression']}")


def s3(method: str, path: str, body: bytes, names: dict[str, str]) -> Iterator[Asked]:
    """What a request needs permission for, at an address that begins with the bucket."""
    parts = urllib.parse.urlsplit(path)
    bucket, _, name = urllib.parse.unquote(parts.path).lstrip("/").partition("/")
    query = urllib.parse.parse_qs(parts.query, keep_blank_values=True)
    if name:
        actions = {"GET": "GetObject", "HEAD": "GetObject", "PUT": "PutObject", "POST": "PutObject", "DELETE": "DeleteObject"}
        yield f"s3:{actions[method]}", f"{names[bucket]}/{name}", ()
    elif "delete" in query:
        for key in ElementTree.fromstring(body).iter():
            if key.tag.endswith("Key"):
                yield "s3:DeleteObject", f"{names[bucket]}/{key.text}", ()
    else:
        yield "s3:ListBucket", names[bucket], tuple(query.get("prefix", [""]))
