"""The rival: `GET /documents` as a service in Python would have it, over the same table.

Written to be as fast as such a service is in good hands: uvloop, httptools, hiredis and orjson; limits and the cached answer in one
round trip of a pipeline; the cached answer is bytes that nobody parses. It does less than Ragline: no plans or limits of tenants, no
roles, and a change shows when the cached answer is a minute old.
"""

import hashlib
import os
import uuid
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any

import aioboto3
import jwt
import orjson
import redis.asyncio
from boto3.dynamodb.conditions import Key
from fastapi import Depends, FastAPI, Header, HTTPException, Query, Request, Response
from pydantic import BaseModel
from redis.exceptions import NoScriptError

ISSUER, AUDIENCE = os.environ["JWT_ISSUER"], os.environ["JWT_AUDIENCE"]
# Sizes of the buckets, and the seconds in which they fill.
LIMITS = {"ip": (10_000_000, 60), "user": (10_000_000, 60), "tenant": (10_000_000, 3_600)}
POLICY = ", ".join(f'"{name}";q={size};w={seconds}' for name, (size, seconds) in LIMITS.items())
REFILL = [number for size, seconds in LIMITS.values() for number in (size, size / seconds)]
BUCKET = Path(__file__).with_name("bucket.lua").read_text()
CACHED_S = 60


@asynccontextmanager
async def lifespan(app: FastAPI) -> AsyncIterator[None]:
    async with AsyncExitStack() as stack:
        app.state.cache = await stack.enter_async_context(redis.asyncio.Redis.from_url(os.environ["REDIS_URL"]))
        app.state.bucket = await app.state.cache.script_load(BUCKET)
        client = aioboto3.Session().resource("dynamodb", endpoint_url=os.environ["DYNAMODB_ENDPOINT"])
        app.state.table = await (await stack.enter_async_context(client)).Table(os.environ["TABLE_NAME"])
        app.state.keys = {key.key_id: key.key for key in jwt.PyJWKClient(os.environ["JWKS_URL"]).get_signing_keys()}
        yield


app = FastAPI(lifespan=lifespan)


class Document(BaseModel):
    """A document, as it is shown."""

    id: str
    collection: str
    filename: str
    content_type: str
    size_bytes: int
    sha256: str | None
    version: int
    served_version: int | None
    status: str
    stages: list[dict[str, Any]]
    error: dict[str, str] | None
    chunk_count: int
    language: str | None
    metadata: dict[str, Any]
    created_at: str
    updated_at: str
    created_by: str


@dataclass(slots=True)
class Caller:
    """Who is asking."""

    tenant: str
    user: str


async def authenticated(request: Request, authorization: Annotated[str, Header()] = "") -> Caller:
    """Whom the token speaks for."""
    token = authorization.removeprefix("Bearer ")
    try:
        key = request.app.state.keys[jwt.get_unverified_header(token)["kid"]]
        claims = jwt.decode(token, key, algorithms=["EdDSA"], audience=AUDIENCE, issuer=ISSUER)
        return Caller(claims["tenant"], claims["sub"])
    except (jwt.PyJWTError, KeyError) as error:
        raise HTTPException(401, headers={"WWW-Authenticate": "Bearer"}) from error


@app.get("/health")
async def health() -> dict[str, str]:
    return {"status": "ok"}


@app.get("/documents")
async def documents(
    request: Request,
    caller: Annotated[Caller, Depends(authenticated)],
    limit: Annotated[int, Query(ge=1, le=100)] = 20,
    if_none_match: Annotated[str, Header()] = "",
) -> Response:
    """The documents, newest first."""
    state, name = request.app.state, f"documents:{caller.tenant}:{limit}"
    taken, kept = await ask(state, caller, request.client.host if request.client else "", name)
    left = ", ".join(f'"{bucket}";r={number}' for bucket, number in zip(LIMITS, taken[1:]))
    headers = {"RateLimit-Policy": POLICY, "RateLimit": left, "X-Request-Id": uuid.uuid4().hex}
    if not taken[0]:
        raise HTTPException(429, headers=headers | {"Retry-After": "1"})
    if hit := kept is not None:
        tag, body = kept[:32].decode(), kept[32:]
    else:
        body = await read(state.table, caller.tenant, limit)
        tag = hashlib.blake2b(body, digest_size=16).hexdigest()
        await state.cache.set(name, tag.encode() + body, ex=CACHED_S)
    headers |= {"ETag": f'"{tag}"', "Cache-Status": "rival; hit" if hit else "rival; fwd=miss; stored"}
    if if_none_match == headers["ETag"]:
        return Response(status_code=304, headers=headers)
    return Response(body, media_type="application/json", headers=headers)


async def ask(state: Any, caller: Caller, address: str, name: str) -> tuple[list[int], bytes | None]:
    """Limits, and the cached answer, in one round trip."""
    buckets = [f"bucket:ip:{address}", f"bucket:user:{caller.tenant}:{caller.user}", f"bucket:tenant:{caller.tenant}"]
    try:
        pipeline = state.cache.pipeline(transaction=False)
        found = await pipeline.evalsha(state.bucket, len(buckets), *buckets, *REFILL).get(name).execute()
    except NoScriptError:
        state.bucket = await state.cache.script_load(BUCKET)
        return await ask(state, caller, address, name)
    return found[0], found[1]


async def read(table: Any, tenant: str, limit: int) -> bytes:
    """The list from the table."""
    wanted = Key("pk").eq(f"T#{tenant}") & Key("sk").begins_with("DOC#")
    found = await table.query(KeyConditionExpression=wanted, ScanIndexForward=False, Limit=limit)
    data = [Document.model_validate(item).model_dump() for item in found["Items"]]
    return orjson.dumps({"data": data, "next_cursor": None}, default=int)
