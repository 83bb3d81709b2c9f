"""S3, SQS and STS in small, by moto, with the bucket and the queues of the template; what arrives in queues goes to functions as
Lambda takes it there.
"""

import json
import logging
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import boto3
from moto.server import ThreadedMotoServer
from template_checks.stack import Stack

ACCOUNT, REGION = "123456789012", "us-east-1"
BUCKET = "ragline-bucket"
# How long nobody looks into an empty queue.
PAUSE = 0.05

# Takes an event, and says what a function answered.
Invoke = Callable[[str, dict[str, Any]], Any]


class Aws:
    """The services, for as long as they serve."""

    def __init__(self, server: ThreadedMotoServer, stack: Stack) -> None:
        host, port = server.get_host_and_port()
        self.url, self.stack = f"http://{host}:{port}", stack
        self.sqs, self.s3 = self.client("sqs"), self.client("s3")
        self.queues = {name: self.sqs.create_queue(QueueName=name)["QueueUrl"] for name in stack.of_type("AWS::SQS::Queue")}
        self.s3.create_bucket(Bucket=BUCKET)
        self.s3.put_bucket_notification_configuration(Bucket=BUCKET, NotificationConfiguration=self.notifications())
        self.over, self.threads = threading.Event(), list[threading.Thread]()

    def client(self, service: str) -> Any:
        keys = {"aws_access_key_id": "double", "aws_secret_access_key": "double"}
        return boto3.client(service, endpoint_url=self.url, region_name=REGION, **keys)

    def notifications(self) -> dict[str, Any]:
        """Whom the bucket tells of what, as the template has it."""
        (configuration,) = self.stack.properties("Bucket")["NotificationConfiguration"]["QueueConfigurations"]
        rules = configuration["Filter"]["S3Key"]["Rules"]
        told = {
            "QueueArn": arn(configuration["Queue"]["Fn::GetAtt"][0]),
            "Events": [configuration["Event"]],
            "Filter": {"Key": {"FilterRules": rules}},
        }
        return {"QueueConfigurations": [told]}

    def send(self, queue: str, body: dict[str, Any]) -> None:
        """Sends a message as the deployment's operator does."""
        self.sqs.send_message(QueueUrl=self.queues[queue], MessageBody=json.dumps(body))

    def remove(self, part: str) -> None:
        """Removes the objects whose names have this in them."""
        for found in self.s3.list_objects_v2(Bucket=BUCKET).get("Contents", []):
            if part in found["Key"]:
                self.s3.delete_object(Bucket=BUCKET, Key=found["Key"])

    def deliver(self, invoke: Invoke) -> None:
        """Delivers messages from now on, each queue's to the function that the template names, so many at a time."""
        for function in self.stack.functions:
            for source in self.stack.sources(function):
                queue = source["EventSourceArn"]["Fn::GetAtt"][0]
                if queue in self.queues:
                    rest = (queue, function, source["BatchSize"], invoke)
                    self.threads.append(threading.Thread(target=self.work_off, args=rest, daemon=True))
                    self.threads[-1].start()

    def stop(self) -> None:
        """Delivers nothing more."""
        self.over.set()
        for thread in self.threads:
            thread.join()

    def work_off(self, queue: str, function: str, batch: int, invoke: Invoke) -> None:
        """Hands the messages of a queue to a function, and removes those that did not fail."""
        url = self.queues[queue]
        while not self.over.is_set():
            received = self.sqs.receive_message(QueueUrl=url, MaxNumberOfMessages=batch, AttributeNames=["All"])
            messages = received.get("Messages", [])
            if not messages:
                time.sleep(PAUSE)
                continue
            answer = invoke(function, {"Records": [record(queue, message) for message in messages]})
            failed = {failure["itemIdentifier"] for failure in answer["batchItemFailures"]}
            for message in messages:
                if message["MessageId"] not in failed:
                    self.sqs.delete_message(QueueUrl=url, ReceiptHandle=message["ReceiptHandle"])


def arn(queue: str) -> str:
    return f"arn:aws:sqs:{REGION}:{ACCOUNT}:{queue}"


def record(queue: str, message: dict[str, Any]) -> dict[str, Any]:
    """A message as Lambda hands it over."""
    return {
        "messageId": message["MessageId"],
        "receiptHandle": message["ReceiptHandle"],
        "body": message["Body"],
        "attributes": message["Attributes"],
        "messageAttributes": {},
        "md5OfBody": message["MD5OfBody"],
        "eventSource": "aws:sqs",
        "eventSourceARN": arn(queue),
        "awsRegion": REGION,
    }


@contextmanager
def aws(stack: Stack) -> Iterator[Aws]:
    """The services, with what the stack has of them."""
    logging.getLogger("werkzeug").disabled = True
    server = ThreadedMotoServer(ip_address="127.0.0.1", port=0, verbose=False)
    server.start()
    services = Aws(server, stack)
    try:
        yield services
    finally:
        services.stop()
        server.stop()
