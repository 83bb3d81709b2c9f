#!/usr/bin/env python3
"""Checks template.yaml without an AWS account: linters, and what the template promises once SAM has translated it.

Usage: check_template.py [--template FILE] [TRANSLATED]

Writes the translated CloudFormation document to TRANSLATED, or to a temporary file. Then has every assertion fail once, on
translations in which something was changed for the worse: one that cannot fail is a failure. Needs the packages
aws-sam-translator and cfn-lint (1.57 or later, the first to know vector indexes). The last line reads `N passed, M failed`;
the exit status is 1 if anything failed.
"""

import argparse
import json
import logging
import sys
import tempfile
from pathlib import Path
from typing import Any

from cfnlint.api import lint_file
from cfnlint.config import ManualArgs
from samtranslator.model.exceptions import InvalidDocumentException
from template_checks import CHECKS
from template_checks.mutations import unfailed
from template_checks.stack import ROOT, Problems, Stack, translate


def lint(path: Path, ignored: list[str]) -> Problems:
    """Whatever cfn-lint says of a template, warnings included."""
    for match in lint_file(path, ManualArgs(ignore_checks=ignored)):
        yield f"{match.rule.id} in line {match.linenumber}: {match.message}"


def codedeploy(document: dict[str, Any]) -> Problems:
    """What of a translation is CodeDeploy's."""
    yield from (name for name, each in document["Resources"].items() if each["Type"].startswith("AWS::CodeDeploy"))


def report(title: str, problems: Problems) -> bool:
    """Prints the outcome of one check; true if it found nothing. A check that does not find its way has failed."""
    found: list[str] = []
    try:
        found.extend(problems)
    except (AttributeError, LookupError, TypeError, ValueError) as error:
        found.append(repr(error))
    print("FAIL" if found else "ok  ", title)
    for problem in found:
        print("      ", problem)
    return not found


def translations(template: Path, plain: Path, canary: Path) -> Stack:
    """Writes what SAM makes of the template, once without and once with a canary, and returns the latter, which has more."""
    plain.write_text(json.dumps(translate(template, {}), indent=2))
    document = translate(template, {"Canary": "true"})
    canary.write_text(json.dumps(document, indent=2))
    return Stack(document)


def main() -> int:
    """Runs every check and returns the exit status."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("translated", type=Path, nargs="?", help="where to write the translated document")
    parser.add_argument("--template", type=Path, default=ROOT / "template.yaml", help="the SAM template to check")
    arguments = parser.parse_args()
    logging.disable(logging.WARNING)

    outcomes = [report("cfn-lint has nothing to say about the SAM template", lint(arguments.template, []))]
    with tempfile.TemporaryDirectory() as scratch:
        plain, canary = arguments.translated or Path(scratch, "plain.json"), Path(scratch, "canary.json")
        try:
            stack = translations(arguments.template, plain, canary)
        except InvalidDocumentException as error:
            outcomes.append(report("SAM translates the template", iter([cause.message for cause in error.causes])))
        else:
            # Parameters that only SAM reads are not used any more.
            outcomes += [
                report("cfn-lint has nothing to say about its translation", lint(plain, ["W2001"])),
                report("cfn-lint has nothing to say about it with a canary", lint(canary, ["W2001"])),
            ]
            outcomes.append(report("Without a canary no release goes by CodeDeploy", codedeploy(json.loads(plain.read_text()))))
            outcomes += [report(check.__doc__ or "", check(stack)) for check in CHECKS]
            outcomes.append(report("Every assertion fails when what it asserts does not hold", unfailed(stack.document)))
    print(f"{outcomes.count(True)} passed, {outcomes.count(False)} failed")
    return 0 if all(outcomes) else 1


if __name__ == "__main__":
    sys.exit(main())
