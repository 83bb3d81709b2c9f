#!/usr/bin/env python3
"""Deletes a stack, and with --data what it leaves behind: the tables, the bucket and the secret.

Usage: delete.py [--data] STACK

Without --data those stay, for a stack of the same account to be restored from. With it nothing is left. The name of the stack
must be typed once more, unless --yes is given. Needs boto3, which comes with the SAM CLI.
"""

import argparse
import sys

import boto3

# What the template retains, and how each is removed for good.
DATA = ("AWS::DynamoDB::Table", "AWS::S3::Bucket", "AWS::SecretsManager::Secret")


def retained(cloudformation, stack: str) -> list[tuple[str, str]]:
    """Kind and name of what holds data. Asked before the stack is gone; nobody knows it afterwards."""
    pages = cloudformation.get_paginator("list_stack_resources").paginate(StackName=stack)
    resources = [each for page in pages for each in page["StackResourceSummaries"]]
    return [(each["ResourceType"], each["PhysicalResourceId"]) for each in resources if each["ResourceType"] in DATA]


def protected(session, resources: list[tuple[str, str]]) -> list[str]:
    """The tables that DynamoDB refuses to delete."""
    dynamodb = session.client("dynamodb")
    tables = [name for kind, name in resources if kind == "AWS::DynamoDB::Table"]
    return [name for name in tables if dynamodb.describe_table(TableName=name)["Table"].get("DeletionProtectionEnabled")]


def remove(session, kind: str, name: str) -> None:
    """Removes one of what holds data, with all that is in it."""
    print("removing", name)
    if kind == "AWS::DynamoDB::Table":
        session.client("dynamodb").delete_table(TableName=name)
    elif kind == "AWS::SecretsManager::Secret":
        session.client("secretsmanager").delete_secret(SecretId=name, ForceDeleteWithoutRecovery=True)
    else:
        bucket = session.resource("s3").Bucket(name)
        # Of a bucket without versions these are the objects themselves.
        bucket.object_versions.delete()
        bucket.delete()


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("stack")
    parser.add_argument("--data", action="store_true", help="remove tables, bucket and secret as well")
    parser.add_argument("--yes", action="store_true", help="do not ask")
    arguments = parser.parse_args()

    session = boto3.Session()
    cloudformation = session.client("cloudformation")
    resources = retained(cloudformation, arguments.stack)
    if arguments.data and (names := protected(session, resources)):
        sys.exit(f"protected from deletion: {', '.join(names)}; deploy with DeletionProtection=false first")
    kept = "with all data" if arguments.data else f"and keeps {', '.join(name for _, name in resources)}"
    if not arguments.yes and input(f"Deletes {arguments.stack} {kept}. Its name once more: ") != arguments.stack:
        sys.exit("nothing was deleted")

    cloudformation.delete_stack(StackName=arguments.stack)
    cloudformation.get_waiter("stack_delete_complete").wait(StackName=arguments.stack)
    print("deleted", arguments.stack)
    if arguments.data:
        for kind, name in resources:
            remove(session, kind, name)


if __name__ == "__main__":
    main()
