"""The gateway of Stream mode: a ticket, then a websocket (the protocol of the dingtalk-stream SDK)."""

import asyncio
import json

from aiohttp import WSMsgType, web

from dingwatch.sandbox import refusals
from dingwatch.sandbox.answers import Family, Json, Refusal
from dingwatch.sandbox.gateway import Api, Call
from dingwatch.sandbox.stream import Connection
from dingwatch.sandbox.world import World

_FRAME_LIMIT = 1024 * 1024  # bytes of one frame of the client


async def open_connection(call: Call) -> Json:
    """POST /v1.0/gateway/connections/open {clientId, clientSecret, subscriptions, ua, localIp}.

    How wrong credentials are refused is unverified [?].
    """
    for name in ("clientId", "clientSecret", "subscriptions"):
        if call.json.get(name) is None:
            raise refusals.missing_field(name)
    settings = call.world.settings
    if (call.json["clientId"], call.json["clientSecret"]) != (settings.client_id, settings.client_secret):
        raise Refusal("authFailed", "鉴权失败", status=401)
    ticket = call.world.stream.issue(_topics(call.json["subscriptions"]), call.now)
    scheme = "wss" if call.request.scheme == "https" else "ws"
    return {"endpoint": f"{scheme}://{call.request.host}/connect", "ticket": ticket}


async def connect(call: Call) -> web.StreamResponse:
    """GET /connect?ticket= becomes a websocket. A ticket is good once, and not for long."""
    topics = call.world.stream.redeem(call.query("ticket"), call.now)
    if topics is None:
        raise Refusal("authFailed", "ticket无效或者已过期", status=401)
    socket = web.WebSocketResponse(max_msg_size=_FRAME_LIMIT)
    await socket.prepare(call.request)
    base_url = f"{call.request.scheme}://{call.request.host}"
    connection = Connection(asyncio.get_running_loop(), topics, base_url)
    call.world.stream.join(connection)
    tasks = [
        asyncio.create_task(each) for each in (_write(socket, connection), _ping(call.world, connection))
    ]
    try:
        async for frame in socket:
            if frame.type is WSMsgType.TEXT:
                call.world.stream.answered(connection, frame.data)
    finally:
        call.world.stream.leave(connection)
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
    return socket


def _topics(subscriptions: object) -> frozenset[str]:
    """The topics of the callbacks. Events are another matter: `*` does not include callbacks."""
    if not isinstance(subscriptions, list) or not all(isinstance(each, dict) for each in subscriptions):
        raise Refusal("paramError.subscriptions", "参数错误:subscriptions")
    return frozenset(str(each.get("topic")) for each in subscriptions if each.get("type") == "CALLBACK")


async def _write(socket: web.WebSocketResponse, connection: Connection) -> None:
    try:
        while (frame := await connection.next_frame()) is not None:
            await socket.send_str(json.dumps(frame, ensure_ascii=False))
        await socket.close()
    except ConnectionError:
        pass  # the client is gone; whoever reads finds out too


async def _ping(world: World, connection: Connection) -> None:
    """A ping at once, which shows that the line works, and then every so often."""
    while True:
        world.stream.system(connection, "ping", world.clock())
        await asyncio.sleep(world.settings.ping_seconds)


APIS = (
    Api(
        "gateway/connections/open",
        Family.NEW,
        "POST",
        "/v1.0/gateway/connections/open",
        open_connection,
        needs_token=False,
        billed=False,
    ),
    Api(
        "stream/connect",
        Family.NEW,
        "GET",
        "/connect",
        connect,
        needs_token=False,
        billed=False,
        limited=False,
    ),
)
