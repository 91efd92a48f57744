"""Acts a fault out on one call."""

import asyncio
import json
from collections.abc import AsyncIterator

from aiohttp import web

from dingwatch.sandbox import refusals
from dingwatch.sandbox.answers import Family, Refusal, refused
from dingwatch.sandbox.faults import ALTERING, Fault, FaultKind
from dingwatch.sandbox.gateway import Api, Call, answer, drain, receive
from dingwatch.sandbox.world import World

_BLANKS = b" " * 65536
_HUGE_BLOCKS = 1024  # × 64 KiB = 64 MiB

_EFFECTIVE = frozenset({FaultKind.CUT_AFTER, FaultKind.SLOW, FaultKind.SLOW_ANSWER, *ALTERING})
_SECONDS_LATER = frozenset({FaultKind.SLOW_ANSWER, FaultKind.ENDLESS})

_HTML = """<!DOCTYPE html>
<html><head><meta charset="utf-8"><title>访问被拒绝</title></head>
<body><h1>很抱歉，由于您访问的频率过高，您的请求已被阻断。</h1></body></html>
"""

# An IP ban lasts 5 minutes (KB:0012); the body was seen in public.
_STATUS_1111 = '{"status":1111,"wait":5,"source":"x5","punish":"deny","uuid":"8b1f2c5d0a7e4f63"}'


async def serve(api: Api, world: World, request: web.Request) -> web.StreamResponse:
    """Answers one request: as DingTalk would, or as the next fault on order has it."""
    world.meter.arrived(api.name)
    fault = world.faults.take(api.name)
    if fault is None:
        return await answer(api, await receive(api, world, request))
    if fault.kind is FaultKind.CUT_EARLY:
        return _cut(request)
    return await _struck(api, await receive(api, world, request), fault)


async def _struck(api: Api, call: Call, fault: Fault) -> web.StreamResponse:
    if fault.kind not in _EFFECTIVE:
        await drain(call.request)
    if fault.kind not in _SECONDS_LATER:
        await asyncio.sleep(fault.seconds)
    match fault.kind:
        case FaultKind.CUT_BEFORE:
            return _cut(call.request)
        case kind if kind in _EFFECTIVE:
            return await _effective(api, call, fault)
        case FaultKind.TOKEN_DEAD:
            return await _token_dead(api, call, fault)
        case FaultKind.HTML | FaultKind.STATUS_1111:
            return _banned(fault)
        case FaultKind.ENDLESS | FaultKind.HUGE:
            return await _flood(call.request, fault)
        case _:
            return refused(api.family, _refusal(api, call, fault))


async def _effective(api: Api, call: Call, fault: Fault) -> web.StreamResponse:
    """The kinds that let the call have its effect."""
    response = await answer(api, call)
    if fault.kind is FaultKind.SLOW_ANSWER:
        await asyncio.sleep(fault.seconds)
    if fault.kind in ALTERING:
        return _altered(api, response, fault)
    return _cut(call.request) if fault.kind is FaultKind.CUT_AFTER else response


def _altered(api: Api, response: web.StreamResponse, fault: Fault) -> web.StreamResponse:
    """The answer with one field changed; what is no JSON, as a file, is left alone.

    A field that cannot be is a slip of whoever ordered the fault, and says so.
    """
    if not isinstance(response, web.Response) or response.content_type != "application/json":
        return response
    try:
        document = _alter(response.text or "", fault)
    except (LookupError, TypeError, ValueError):
        return web.Response(status=500, text=f"the answer of {api.name} has no {fault.field}")
    response.body = json.dumps(document).encode()  # ASCII: a lone surrogate goes out as its escape
    response.set_status(fault.status or response.status)
    return response


def _alter(text: str, fault: Fault) -> object:
    """The JSON text as a document whose field is replaced or removed."""
    if not fault.field:
        return fault.value
    *path, last = fault.field.split(".")
    holder = document = json.loads(text)
    for name in path:
        holder = holder[_key(holder, name)]
    if fault.kind is FaultKind.REMOVE:
        del holder[_key(holder, last)]
    else:
        holder[_key(holder, last)] = fault.value
    return document


def _key(holder: object, name: str) -> str | int:
    return int(name) if isinstance(holder, list) else name


def _cut(request: web.Request) -> web.Response:
    """Aborts the connection. The response is for aiohttp, which finds nobody to send it to."""
    if request.transport is not None:
        request.transport.abort()
    return web.Response()


async def _token_dead(api: Api, call: Call, fault: Fault) -> web.StreamResponse:
    if api.family is Family.STORAGE:
        call.world.signer.expire()
        return refused(api.family, _refusal(api, call, fault))
    call.world.tokens.kill()
    if not api.needs_token:  # a token call itself simply hands out a new one
        return await answer(api, call)
    return refused(api.family, _refusal(api, call, fault))


def _refusal(api: Api, call: Call, fault: Fault) -> Refusal:
    """The kind's own refusal, with what the fault wants otherwise."""
    family = api.family
    match fault.kind:
        case FaultKind.THROTTLE:
            usual = refusals.throttled(family)
        case FaultKind.QUOTA:
            usual = refusals.exhausted(family, *call.world.meter.quota())
        case FaultKind.TOKEN_DEAD:
            usual = refusals.token_invalid(family, call.world.settings.guesses.bad_token_errcode)
        case FaultKind.IP_NOT_ALLOWED:
            usual = refusals.ip_not_allowed(family, call.request.remote or "")
        case FaultKind.NO_PERMISSION:
            usual = refusals.no_permission(family, api.scope)
        case _:
            usual = _system_error(family)
    return Refusal(
        usual.code if fault.code is None else fault.code,
        usual.message if fault.message is None else fault.message,
        status=usual.status if fault.status is None else fault.status,
        scopes=usual.scopes,
        at_gate=usual.at_gate,
    )


def _system_error(family: Family) -> Refusal:
    if family is Family.NEW:
        return Refusal("system.error", "系统错误", status=500)
    if family is Family.STORAGE:
        return Refusal("InternalError", "We encountered an internal error. Please try again.", status=500)
    return Refusal(-1, "系统繁忙")


def _banned(fault: Fault) -> web.Response:
    if fault.kind is FaultKind.HTML:
        return web.Response(status=fault.status or 200, text=_HTML, content_type="text/html")
    return web.Response(status=fault.status or 200, text=_STATUS_1111, content_type="application/json")


async def _flood(request: web.Request, fault: Fault) -> web.StreamResponse:
    """More body than any client should read. Blanks are what JSON allows before its first token."""
    response = web.StreamResponse(status=fault.status or 200, headers={"content-type": "application/json"})
    if fault.kind is FaultKind.HUGE:
        response.content_length = len(_BLANKS) * _HUGE_BLOCKS
    try:
        await response.prepare(request)
        async for block in _blanks(fault):
            await response.write(block)
    except ConnectionError:
        pass  # the client has had enough, as it should
    return response


async def _blanks(fault: Fault) -> AsyncIterator[bytes]:
    sent = 0
    while fault.kind is FaultKind.ENDLESS or sent < _HUGE_BLOCKS:
        yield _BLANKS
        sent += 1
        await asyncio.sleep(fault.seconds)
