"""Alarms and the dashboard."""

import json
import re
import tomllib

from .stack import ROOT, Problems, Stack, walk

# The alarms there must be, and the metrics each looks at.
ALARMS = {
    "ApiErrorsAlarm": {"5XXError", "Count"},
    "SearchSlowAlarm": {"Duration"},
    "DocumentsSlowAlarm": {"Duration"},
    "ThrottlesAlarm": {"Throttles"},
    "TableThrottlesAlarm": {"ReadThrottleEvents", "WriteThrottleEvents"},
    "StreamLagAlarm": {"IteratorAge"},
    "IngestLagAlarm": {"ApproximateAgeOfOldestMessage"},
    "CacheBreakerAlarm": {"CacheLeftAlone"},
    "ArrivalsDeadLettersAlarm": {"ApproximateNumberOfMessagesVisible"},
    "IngestDeadLettersAlarm": {"ApproximateNumberOfMessagesVisible"},
    "WebhookDeadLettersAlarm": {"ApproximateNumberOfMessagesVisible"},
    "ChangesFailureAlarm": {"ApproximateNumberOfMessagesVisible"},
}


def check_alarms(stack: Stack) -> Problems:
    """Every alarm that there must be is there, looks at its metrics of this stack, tells the topic, and is explained"""
    alarms, explained = stack.of_type("AWS::CloudWatch::Alarm"), (ROOT / "docs" / "OPERATIONS.md").read_text()
    if alarms.keys() != ALARMS.keys():
        yield f"there are {sorted(alarms)}"
    for name, alarm in alarms.items():
        metrics = {node["MetricName"] for node in walk(alarm) if isinstance(node, dict) and "MetricName" in node}
        if f"`{name}`" not in explained:
            yield f"{name} is not in docs/OPERATIONS.md"
        if metrics != ALARMS.get(name):
            yield f"{name} looks at {sorted(metrics)}"
        if alarm.get("AlarmActions") != [{"Ref": "AlarmTopic"}]:
            yield f"{name} tells {alarm.get('AlarmActions')}"
        # Without requests there is nothing to wake anybody for.
        if alarm.get("TreatMissingData") != "notBreaching":
            yield f"{name} goes off when nothing happens"
        for dimension in (node for node in walk(alarm) if isinstance(node, dict) and node.keys() == {"Name", "Value"}):
            if isinstance(dimension["Value"], str):
                yield f"{name} looks at {dimension['Value']}, whosesoever it is"
    if "AWS::SNS::Subscription" not in {each["Type"] for each in stack.document["Resources"].values()}:
        yield "nobody is told"
    if not stack.of_type("AWS::Budgets::Budget"):
        yield "there is no budget"


def check_breaker(stack: Stack) -> Problems:
    """Each function that asks the door counts when it leaves the cache alone, by the words of the code"""
    filters = stack.of_type("AWS::Logs::MetricFilter").values()
    counted = {each["LogGroupName"]["Ref"] for each in filters}
    wanted = {f"{name}Logs" for name in ("chat", "documents", "search", "upload", "users")}
    if counted != wanted:
        yield f"{sorted(counted)} are counted"
    code = (ROOT / "shared" / "src" / "clients" / "redis" / "breaker.rs").read_text()
    (words,) = re.findall(r'tracing::warn!\(.*"(.*)"\)', code)
    for each in filters:
        if each["FilterPattern"] != f'{{ $.message = "{words}" }}':
            yield f"{each['FilterPattern']} is counted"
        (to,) = each["MetricTransformations"]
        alarm = stack.properties("CacheBreakerAlarm")
        if (to["MetricName"], to["MetricNamespace"]) != (alarm["MetricName"], alarm["Namespace"]):
            yield f"it counts as {to}"


def check_dashboard(stack: Stack) -> Problems:
    """The dashboard is JSON, and shows what is in the stack, every function and queue of it"""
    (dashboard,) = stack.of_type("AWS::CloudWatch::Dashboard").values()
    body = dashboard["DashboardBody"]["Fn::Sub"]
    try:
        json.loads(re.sub(r"\$\{[^}]+\}", "x", body))
    except json.JSONDecodeError as error:
        yield str(error)
    shown = {name.partition(".")[0] for name in re.findall(r"\$\{([^}]+)\}", body)}
    known = stack.document["Resources"].keys() | stack.document["Parameters"].keys() | {"AWS::Region", "AWS::StackName"}
    yield from (f"{name} is not in the stack" for name in sorted(shown - known))
    wanted = {*stack.functions, *stack.of_type("AWS::SQS::Queue")} - {"health"}
    yield from (f"{name} is not shown" for name in sorted(wanted - shown))


def check_bill(stack: Stack) -> Problems:
    """costs/work.toml reckons with what is billed at rest, and with the memory of the functions"""
    work = tomllib.loads((ROOT / "costs" / "work.toml").read_text())
    alarms = list(stack.of_type("AWS::CloudWatch::Alarm").values())
    # Each metric is named once, alone or as one of several.
    metrics = sum("MetricName" in node for node in walk(alarms) if isinstance(node, dict))
    there = {
        "alarm_metrics": metrics,
        "dashboards": len(stack.of_type("AWS::CloudWatch::Dashboard")),
        "secrets": len(stack.of_type("AWS::SecretsManager::Secret")),
    }
    yield from (f"{count} {name}, not {work['rest'][name]}" for name, count in there.items() if count != work["rest"][name])
    for name, memory in work["memory_mb"].items():
        if stack.functions[name]["MemorySize"] != memory:
            yield f"{name} has {stack.functions[name]['MemorySize']} MB, not {memory}"


CHECKS = [check_alarms, check_breaker, check_dashboard, check_bill]
