"""Tables, the bucket and queues: what keeps them."""

from .stack import Problems, Stack, strings


def check_encryption(stack: Stack) -> Problems:
    """Tables, buckets and queues are encrypted"""
    for name, table in stack.of_type("AWS::DynamoDB::Table").items():
        if table.get("SSESpecification", {}).get("SSEEnabled") is not True:
            yield f"{name} is not encrypted"
    for name, bucket in stack.of_type("AWS::S3::Bucket").items():
        if "BucketEncryption" not in bucket:
            yield f"{name} is not encrypted"
    for name, queue in stack.of_type("AWS::SQS::Queue").items():
        if queue.get("SqsManagedSseEnabled") is not True:
            yield f"{name} is not encrypted"


def check_tables(stack: Stack) -> Problems:
    """Tables can be restored, are not deleted by mistake, and cost no more than a ceiling"""
    ceiling = {"MaxReadRequestUnits": {"Ref": "MaxReadUnits"}, "MaxWriteRequestUnits": {"Ref": "MaxWriteUnits"}}
    for name, table in stack.of_type("AWS::DynamoDB::Table").items():
        resource = stack.document["Resources"][name]
        if table.get("PointInTimeRecoverySpecification", {}).get("PointInTimeRecoveryEnabled") is not True:
            yield f"{name} has no point-in-time recovery"
        if table.get("DeletionProtectionEnabled") != {"Ref": "DeletionProtection"}:
            yield f"{name} can be deleted"
        if {resource.get("DeletionPolicy"), resource.get("UpdateReplacePolicy")} != {"Retain"}:
            yield f"{name} goes with the stack"
        if table.get("BillingMode") != "PAY_PER_REQUEST":
            yield f"{name} is billed at rest"
        for part in (table, *table.get("GlobalSecondaryIndexes", [])):
            if part.get("OnDemandThroughput") != ceiling:
                yield f"{part.get('IndexName', name)} has no ceiling"


def check_bucket(stack: Stack) -> Problems:
    """The bucket is closed to the public and to plain HTTP, outlives the stack, and gives up what is not finished"""
    for name, bucket in stack.of_type("AWS::S3::Bucket").items():
        resource = stack.document["Resources"][name]
        if {resource.get("DeletionPolicy"), resource.get("UpdateReplacePolicy")} != {"Retain"}:
            yield f"{name} goes with the stack"
        access = bucket.get("PublicAccessBlockConfiguration", {})
        if len(access) != 4 or not all(value is True for value in access.values()):
            yield f"{name} is closed by {access}"
        rules = bucket.get("LifecycleConfiguration", {}).get("Rules", [])
        if not any("AbortIncompleteMultipartUpload" in rule for rule in rules):
            yield f"{name} keeps parts of uploads"
        if not any("NoncurrentVersionExpiration" in rule for rule in rules):
            yield f"{name} keeps what was deleted"
        allowed = [rule["AllowedOrigins"] for rule in bucket["CorsConfiguration"]["Fn::If"][1]["CorsRules"]]
        if allowed != [[{"Ref": "AllowedOrigin"}]]:
            yield f"{name} is open to pages of {allowed}"
        denied = [s for n, s in stack.statements() if s["Effect"] == "Deny" and n in stack.of_type("AWS::S3::BucketPolicy")]
        if not any(
            s["Condition"] == {"Bool": {"aws:SecureTransport": "false"}} and name in strings(s["Resource"]) for s in denied
        ):
            yield f"{name} can be asked in the clear"


CHECKS = [check_encryption, check_tables, check_bucket]
