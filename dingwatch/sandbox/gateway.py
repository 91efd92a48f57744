"""The way of every call: counted, perhaps struck by a fault, authenticated, limited, handled, answered.

A module under `apis/` adds APIs by listing `Api` values; nothing else has to know of them.
"""

import contextlib
import json
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from functools import cached_property
from urllib.parse import parse_qsl

from aiohttp import web

from dingwatch.sandbox import refusals
from dingwatch.sandbox.answers import Family, Json, Refusal, accepted, refused
from dingwatch.sandbox.meter import Admission
from dingwatch.sandbox.multipart import Part, boundary_of, parts_of
from dingwatch.sandbox.world import World

TOKEN_HEADER = "x-acs-dingtalk-access-token"  # noqa: S105 -- a header's name

# Room for the largest file and the multipart around it. What is longer is read to its end, so that the
# client gets its answer instead of a broken pipe, but not kept.
BODY_LIMIT = 21 * 1024 * 1024


class Call:
    """One request whose body has arrived.

    Attributes:
        world: the state.
        request: for the rest: headers, path parameters.
        body: its bytes, cut at `BODY_LIMIT`.
        overlong: whether it was cut.
    """

    def __init__(self, world: World, request: web.Request, body: bytes, *, overlong: bool) -> None:
        self.world = world
        self.request = request
        self.body = body
        self.overlong = overlong

    @property
    def now(self) -> float:
        """Wall-clock seconds."""
        return self.world.clock()

    def query(self, name: str) -> str:
        """A parameter of the URL, or an empty string."""
        return self.request.query.get(name, "")

    @cached_property
    def parts(self) -> tuple[Part, ...] | None:
        """The parts of a multipart form; None when the body is none."""
        boundary = boundary_of(self.request.headers.get("content-type", ""))
        return None if boundary is None else parts_of(self.body, boundary)

    @cached_property
    def form(self) -> dict[str, str]:
        """The text fields of a form, multipart or urlencoded."""
        if self.request.content_type == "application/x-www-form-urlencoded":
            return dict(parse_qsl(self.body.decode("utf-8", "replace")))
        fields = [part for part in self.parts or () if part.filename is None]
        return {part.name: str(part.content, "utf-8", "replace").strip() for part in fields}

    def field(self, name: str) -> str:
        """A parameter of the URL or, on POST, of the form; the URL wins. An empty string if absent."""
        return self.query(name) or self.form.get(name, "")

    @cached_property
    def json(self) -> dict[str, object]:
        """The body as a JSON object.

        Raises:
            Refusal: Missingbody or Invalidbody, as the new host's gateway says it.
        """
        if self.request.content_type != "application/json" or not self.body:
            raise refusals.missing_body()
        try:
            document = json.loads(self.body)
        except (ValueError, RecursionError):
            raise refusals.invalid_body() from None
        if not isinstance(document, dict):
            raise refusals.invalid_body()
        return document


Handler = Callable[[Call], Awaitable[Json | web.StreamResponse]]


@dataclass(frozen=True, slots=True)
class Api:
    """One API of DingTalk.

    Attributes:
        name: as in `Sandbox.calls()` and in faults.
        family: its host, which fixes where the token is and what errors look like.
        method: GET, POST, PUT or DELETE; `*` takes all.
        path: with `{placeholders}` in aiohttp's manner.
        handler: does the work; answers with the body of a success, or raises `Refusal`.
        needs_token: False for the token calls.
        billed: whether it counts against the monthly quota (KB:1432).
        scope: the permission that `no_permission` names.
        limited: whether the QPS limit holds for it.
        streams: its handler reads the body by itself, a block at a time.
    """

    name: str
    family: Family
    method: str
    path: str
    handler: Handler
    needs_token: bool = True
    billed: bool = True
    scope: str = "qyapi_base"
    limited: bool = True
    streams: bool = False


async def answer(api: Api, call: Call) -> web.StreamResponse:
    """Handles one call as DingTalk would on a good day."""
    try:
        if api.needs_token:
            _authenticate(api, call)
        _admit(api, call)
        result = await api.handler(call)
    except Refusal as refusal:
        await drain(call.request)
        return refused(api.family, refusal)
    return result if isinstance(result, web.StreamResponse) else accepted(api.family, result)


async def receive(api: Api, world: World, request: web.Request) -> Call:
    """Reads the whole body, and keeps at most `BODY_LIMIT` of it; a handler that streams reads it itself."""
    if api.streams or not request.body_exists:
        return Call(world, request, b"", overlong=False)
    blocks: list[bytes] = []
    size = 0
    async for block in request.content.iter_any():
        size += len(block)
        if size <= BODY_LIMIT:
            blocks.append(block)
    body = blocks[0] if len(blocks) == 1 else b"".join(blocks)
    return Call(world, request, body, overlong=size > BODY_LIMIT)


async def drain(request: web.Request) -> None:
    """Reads what is left of the body, so that the client gets its answer instead of a broken pipe."""
    with contextlib.suppress(web.RequestPayloadError, ConnectionError):
        async for _ in request.content.iter_any():
            pass


def _authenticate(api: Api, call: Call) -> None:
    token = _token(api.family, call)
    if not token:
        raise refusals.token_missing(api.family)
    if not call.world.tokens.accepts(token, api.family.issuer, call.now):
        raise refusals.token_invalid(api.family, call.world.settings.guesses.bad_token_errcode)


def _token(family: Family, call: Call) -> str:
    """The new host looks at its header only, the legacy one at the URL and at the form."""
    if family is Family.NEW:
        return call.request.headers.get(TOKEN_HEADER, "")
    return call.field("access_token")


def _admit(api: Api, call: Call) -> None:
    if not api.limited:
        return
    admission = call.world.meter.admit(api.name, call.now, billed=api.billed)
    if admission is Admission.THROTTLED:
        raise refusals.throttled(api.family)
    if admission is Admission.THROTTLED_MINUTE:
        raise refusals.throttled_minute(api.family)
    if admission is Admission.EXHAUSTED:
        raise refusals.exhausted(api.family, *call.world.meter.quota())
