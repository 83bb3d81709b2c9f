#!/usr/bin/env python3
"""Prints what each function weighs: its binary, the same zipped, and its resident memory once it is warm.

Usage: footprint.py FUNCTION...

The binaries are those of `cargo lambda build` in target/lambda. Each is run as Lambda runs it, with the sample events of
events/<function> and against the services of `local`. Binaries of another architecture are only weighed. Fails over one of the
ceilings in scripts/ceilings.toml.
"""

import io
import os
import pathlib
import platform
import subprocess
import sys
import tomllib
import zipfile

from runtime_api import ROOT, Services, running, samples, services

MB = 1_000_000
INVOCATIONS = 20
# What the authorizer is to say of the sample without a token.
REFUSAL = b'"errorMessage":"Unauthorized"'
# ELF's e_machine.
MACHINES = {62: "x86_64", 183: "aarch64"}


def architecture(binary: pathlib.Path) -> str | None:
    with open(binary, "rb") as file:
        head = file.read(20)
    return MACHINES.get(int.from_bytes(head[18:20], "little")) if head[:4] == b"\x7fELF" else None


def runs_here(binary: pathlib.Path) -> bool:
    return platform.system() == "Linux" and architecture(binary) == platform.machine()


def zipped(binary: pathlib.Path) -> int:
    """The bytes of a deployment package that holds the binary alone, as the SAM CLI makes it."""
    package = io.BytesIO()
    with zipfile.ZipFile(package, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.write(binary, "bootstrap")
    return len(package.getvalue())


def resident_mb(pid: int) -> float:
    output = subprocess.run(["ps", "-o", "rss=", "-p", str(pid)], capture_output=True, check=True, text=True)
    return int(output.stdout) * 1024 / MB


def measure(binary: pathlib.Path, function: str, local: Services) -> tuple[float, list[bytes]]:
    """The resident memory after the invocations, in MB, and the first answer to each sample."""
    events = list(samples(function, local.token()).values())
    with running(binary, function, local.variables) as (api, process):
        answers = [api.invoke(events[number % len(events)]).body for number in range(INVOCATIONS)]
        return resident_mb(process.pid), answers[: len(events)]


def weigh(function: str, binary: pathlib.Path, resident: float | None, ceilings: dict[str, float]) -> list[str]:
    """Prints the line of a function; what is over its ceilings."""
    weights = {"binary": binary.stat().st_size / MB, "zip": zipped(binary) / MB, "resident": resident}
    print(f"{function:<12}" + "".join(f"{'-' if each is None else format(each, '.1f'):>14}" for each in weights.values()))
    return [
        f"{function}: {name} is over {ceilings[name]} MB"
        for name, weight in weights.items()
        if weight is not None and weight > ceilings[name]
    ]


def main() -> None:
    binaries = {function: ROOT / "target" / "lambda" / function / "bootstrap" for function in sys.argv[1:]}
    ceilings = tomllib.loads((ROOT / "scripts" / "ceilings.toml").read_text())
    program = pathlib.Path(os.environ.get("CARGO_TARGET_DIR", ROOT / "target")) / "debug" / "local"
    runnable, failures = all(runs_here(binary) for binary in binaries.values()), []
    residents: dict[str, float] = {}
    if runnable:
        with services(program) as local:
            for function, binary in binaries.items():
                residents[function], answers = measure(binary, function, local)
                for answer in answers:
                    if (b'"errorMessage"' in answer and REFUSAL not in answer) or b'"statusCode":5' in answer:
                        failures.append(f"{function} answered {answer.decode()[:200]}")
    print(f"{'function':<12}{'binary MB':>14}{'zip MB':>14}{'resident MB':>14}")
    for function, binary in binaries.items():
        failures += weigh(function, binary, residents.get(function), ceilings.get(function, ceilings["default"]))
    if not runnable:
        print("(built for another architecture: memory is not measured)")
    if failures:
        sys.exit("\n".join(failures))


if __name__ == "__main__":
    main()
