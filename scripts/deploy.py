#!/usr/bin/env python3
"""Deploys an environment of samconfig.toml: `sam deploy` with a number of its own for the release.

Usage: PARAMETERS="NAME=VALUE ..." deploy.py [--sam PROGRAM] [--yes] ENVIRONMENT

The parameters are those of samconfig.toml, and over them those in PARAMETERS, where a value with spaces or quotes is quoted as in
a shell, but none runs it. All others stay as the stack has them. SAM
publishes a function when its file in the bucket or the template changes, but not when a parameter does; so each deployment
says which release it is, and publishes all functions.
"""

import argparse
import os
import shlex
import sys
import time
import tomllib
from pathlib import Path

CONFIG = Path(__file__).resolve().parent.parent / "samconfig.toml"


def parameters(config: dict, environment: str, given: list[str], release: int) -> list[str]:
    """What is overridden, the later in place of the earlier."""
    if environment not in config:
        known = ", ".join(name for name, each in config.items() if isinstance(each, dict))
        sys.exit(f"{environment} is no environment of samconfig.toml; there are {known}")
    merged = {}
    for pair in [*config[environment]["deploy"]["parameters"].get("parameter_overrides", []), *given]:
        name, equals, value = pair.partition("=")
        if not equals or not name.isalnum():
            sys.exit(f"{pair} is no NAME=VALUE")
        merged[name] = value
    merged["Release"] = f"{release:010}"
    return [f"{name}={value}" for name, value in merged.items()]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--sam", default="sam", help="the SAM CLI")
    parser.add_argument("--yes", action="store_true", help="do not ask, whatever samconfig.toml says")
    parser.add_argument("environment")
    arguments = parser.parse_args()
    given = shlex.split(os.environ.get("PARAMETERS", ""))
    overrides = parameters(tomllib.loads(CONFIG.read_text()), arguments.environment, given, int(time.time()))
    command = [arguments.sam, "deploy", "--config-env", arguments.environment, "--parameter-overrides", *overrides]
    command += ["--no-confirm-changeset"] if arguments.yes else []
    os.environ["SAM_CLI_TELEMETRY"] = "0"
    os.execvp(command[0], command)


if __name__ == "__main__":
    main()
