"""Queues and the stream: what comes from them, and what becomes of what fails."""

from .stack import Problems, Stack, strings

# What `ingest` may do with queues.
RECEIVE = ("sqs:DeleteMessage", "sqs:GetQueueAttributes", "sqs:ReceiveMessage")
INGEST_MAY = {
    "ArrivalsQueue": set(RECEIVE),
    "IngestQueue": {*RECEIVE, "sqs:ChangeMessageVisibility", "sqs:SendMessage"},
}
# What the webhooks' worker may do with what, and no more. It speaks to addresses that tenants gave.
WEBHOOKS_MAY = {
    ("webhooksLogs", "logs:CreateLogStream"),
    ("webhooksLogs", "logs:PutLogEvents"),
    ("WebhookQueue", "sqs:DeleteMessage"),
    ("WebhookQueue", "sqs:GetQueueAttributes"),
    ("WebhookQueue", "sqs:ReceiveMessage"),
    ("WebhookQueue", "sqs:SendMessage"),
    ("MainTable", "dynamodb:GetItem"),
    ("MainTable", "dynamodb:UpdateItem"),
}
# Of what a stream delivers again.
LIMITS = ("MaximumRecordAgeInSeconds", "MaximumRetryAttempts")


def check_queues(stack: Stack) -> Problems:
    """What arrives is handed on to a queue whose messages stay hidden while they are worked on and are given up in the end"""
    queues, worker = stack.of_type("AWS::SQS::Queue"), stack.functions["ingest"]
    sources = {source["EventSourceArn"]["Fn::GetAtt"][0]: source for source in stack.sources("ingest")}
    if sources.keys() != {"ArrivalsQueue", "IngestQueue"}:
        yield f"ingest works off {sorted(sources)}"
    for name, source in sources.items():
        if source.get("FunctionResponseTypes") != ["ReportBatchItemFailures"]:
            yield f"{name}: one failure fails the whole batch"
        if "MaximumConcurrency" not in source.get("ScalingConfig", {}):
            yield f"{name}: nothing bounds its workers"
        hidden, most = queues[name]["VisibilityTimeout"], worker["Timeout"]
        # Lambda refuses less than the timeout, and asks for six of a queue whose work takes long.
        if hidden < (6 if name == "IngestQueue" else 1) * most:
            yield f"{name}: hidden for {hidden} s, with a timeout of {most} s"
        dead = queues[name]["RedrivePolicy"]["deadLetterTargetArn"]["Fn::GetAtt"][0]
        if queues[dead].get("MessageRetentionPeriod") != 1209600:
            yield f"{dead} forgets what could be kept"
    if worker.get("RecursiveLoop") != "Allow":
        yield "Lambda stops it when it sends itself messages"
    if sources["IngestQueue"]["BatchSize"] != 1:
        yield "a document waits for those of its batch"

    variables = worker["Environment"]["Variables"]
    if variables.get("INGEST_QUEUE_URL") != {"Ref": "IngestQueue"}:
        yield f"what arrives is handed on to {variables.get('INGEST_QUEUE_URL')}"
    received, attempts = queues["IngestQueue"]["RedrivePolicy"]["maxReceiveCount"], int(variables["INGEST_MAX_ATTEMPTS"])
    # The last time nothing is tried: the document becomes `failed`.
    if received != attempts + 1:
        yield f"received {received} times, attempted {attempts} times"

    role, allowed = stack.role("ingest"), {}
    for holder, statement in stack.statements():
        actions = {action for action in strings(statement["Action"]) if action.startswith("sqs:")}
        if holder == role and actions:
            for queue in (each for each in strings(statement["Resource"]) if each in queues):
                allowed.setdefault(queue, set()).update(actions)
    if allowed != INGEST_MAY:
        yield f"{role} allows {allowed}"

    (bucket,) = stack.of_type("AWS::S3::Bucket").values()
    told = [each["Queue"] for each in bucket["NotificationConfiguration"]["QueueConfigurations"]]
    if told != [{"Fn::GetAtt": ["ArrivalsQueue", "Arn"]}]:
        yield f"the bucket notifies {told}"
    for name, policy in stack.of_type("AWS::SQS::QueuePolicy").items():
        if policy["Queues"] != [{"Ref": "ArrivalsQueue"}]:
            yield f"{name} opens {policy['Queues']}"
        for statement in policy["PolicyDocument"]["Statement"]:
            if (
                statement["Principal"] != {"Service": "s3.amazonaws.com"}
                or "aws:SourceArn" not in statement["Condition"]["ArnEquals"]
            ):
                yield f"{name} lets others than the bucket send"


def check_webhooks(stack: Stack) -> Problems:
    """Notices stay hidden for six timeouts of `webhooks`, outlive their day, and it may do no more than it must"""
    queues, worker = stack.of_type("AWS::SQS::Queue"), stack.functions["webhooks"]
    (source,) = stack.sources("webhooks")
    if source["EventSourceArn"] != {"Fn::GetAtt": ["WebhookQueue", "Arn"]}:
        yield f"it works off {source['EventSourceArn']}"
    if source.get("FunctionResponseTypes") != ["ReportBatchItemFailures"]:
        yield "one failure fails the whole batch"
    if "MaximumConcurrency" not in source.get("ScalingConfig", {}):
        yield "nothing bounds its workers"
    # Side by side, or a slow receiver held up the others of its batch: SIDE_BY_SIDE in the function.
    if source["BatchSize"] > 10:
        yield f"{source['BatchSize']} notices come together"
    queue, most = queues["WebhookQueue"], worker["Timeout"]
    if queue["VisibilityTimeout"] < 6 * most:
        yield f"hidden for {queue['VisibilityTimeout']} s, with a timeout of {most} s"
    # CLAIM and the longest that a receiver may take, in the function.
    if not 15 < most < 60:
        yield f"it may take {most} s, while a receiver may take 15 s and a claim ends after 60 s"
    if queue["MessageRetentionPeriod"] < 2 * 86400:
        yield f"notices are kept for {queue['MessageRetentionPeriod']} s"
    dead = queue["RedrivePolicy"]["deadLetterTargetArn"]["Fn::GetAtt"][0]
    if queues[dead].get("MessageRetentionPeriod") != 1209600:
        yield f"{dead} forgets what could be kept"

    told = {name for name in stack.functions if "WEBHOOK_QUEUE_URL" in stack.variables(name)}
    senders = {stack.role(name) for name in told}
    may = {
        name
        for name, statement in stack.statements()
        if "sqs:SendMessage" in strings(statement["Action"]) and "WebhookQueue" in strings(statement["Resource"])
    }
    if told != {"changes", "users", "webhooks"} or senders != may:
        yield f"{sorted(told)} know the queue, and {sorted(may)} may send to it"
    role = stack.role("webhooks")
    if stack.allowed(role, "webhooksData") != WEBHOOKS_MAY:
        yield f"{role} allows {sorted(stack.allowed(role, 'webhooksData'))}"


def check_stream(stack: Stack) -> Problems:
    """Records of the main table that fail come back from the first of them on, are given up in the end, and leave a trace"""
    (source,) = stack.sources("changes")
    if source["EventSourceArn"] != {"Fn::GetAtt": ["MainTable", "StreamArn"]}:
        yield f"it reads {source['EventSourceArn']}"
    if source.get("FunctionResponseTypes") != ["ReportBatchItemFailures"]:
        yield "one failure fails the whole batch"
    if source.get("BisectBatchOnFunctionError") is not True:
        yield "a batch that fails as a whole is not divided"
    # Left out they are -1, which stands for ever: a record that always fails would hold up its shard for a day.
    yield from (f"{limit} is missing" for limit in LIMITS if source.get(limit, -1) < 0)
    if "FilterCriteria" not in source:
        yield "every message of a conversation invokes the function"

    destination = source["DestinationConfig"]["OnFailure"]["Destination"]
    queue = destination["Fn::GetAtt"][0]
    if queue not in stack.of_type("AWS::SQS::Queue"):
        yield f"{queue} is no queue"
    role = stack.role("changes")
    sends = [s for name, s in stack.statements() if name == role and "sqs:SendMessage" in strings(s["Action"])]
    if [statement["Resource"] for statement in sends] != [{"Fn::GetAtt": ["WebhookQueue", "Arn"]}, destination]:
        yield f"{role} may not send to {queue}, or to others too"


def check_failures(stack: Stack) -> Problems:
    """What fails for good has a place in every event source, where an alarm sees it"""
    queues, seen = stack.of_type("AWS::SQS::Queue"), strings(list(stack.of_type("AWS::CloudWatch::Alarm").values()))
    for name, source in stack.of_type("AWS::Lambda::EventSourceMapping").items():
        of = queues.get(source["EventSourceArn"]["Fn::GetAtt"][0], {})
        place = of.get("RedrivePolicy", {}).get("deadLetterTargetArn") or source.get("DestinationConfig", {}).get("OnFailure")
        kept = [text for text in strings(place) if text in queues]
        if len(kept) != 1:
            yield f"{name} loses what fails"
        elif kept[0] not in seen:
            yield f"nobody is told of {kept[0]}"


CHECKS = [check_queues, check_webhooks, check_stream, check_failures]
