"""What the generated requests are about."""

import os

import schemathesis
from schemathesis import GenerationMode

# Nobody makes up an identifier that exists.
KNOWN = {"/documents/{id}": "CONTRACT_DOCUMENT", "/conversations/{id}": "CONTRACT_CONVERSATION"}


@schemathesis.hook
def filter_case(context: schemathesis.HookContext, case: schemathesis.Case) -> bool:
    """Whether a request is sent: not one that ends what the others are about, such as the user who asks."""
    needed = [os.environ[name] for name in ("CONTRACT_USER", *KNOWN.values())]
    return case.method != "DELETE" or (case.path_parameters or {}).get("id") not in needed


@schemathesis.hook
def before_call(context: schemathesis.HookContext, case: schemathesis.Case, kwargs: dict) -> None:
    """Names something that exists where the form of a request is right, unless that would be the end of it."""
    resource = "/".join(case.operation.path.split("/")[:3])
    if case.meta and case.meta.generation.mode == GenerationMode.POSITIVE and resource in KNOWN and case.method != "DELETE":
        case.path_parameters = {"id": os.environ[KNOWN[resource]]}
