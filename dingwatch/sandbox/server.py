"""The stand-in as a running server: both hosts of DingTalk, the control paths and the page, on one port."""

import asyncio
import socket
import threading
import time
from collections.abc import Awaitable, Callable, Iterator
from concurrent.futures import Future
from types import TracebackType
from typing import Self

from aiohttp import web

from dingwatch.sandbox import page, refusals
from dingwatch.sandbox.apis import APIS
from dingwatch.sandbox.chat import person_chat
from dingwatch.sandbox.control import Control
from dingwatch.sandbox.faults import Fault
from dingwatch.sandbox.faulty import serve
from dingwatch.sandbox.gateway import Api
from dingwatch.sandbox.limits import Limits
from dingwatch.sandbox.model import Conversation, Entry, Message, Space, Upload
from dingwatch.sandbox.people import Said, read, say
from dingwatch.sandbox.settings import Settings
from dingwatch.sandbox.stream import Ack
from dingwatch.sandbox.world import World

_LAST_TURNS = 0.01
"""Seconds in which the loop makes the connections that it has accepted; it needs no more than a few turns."""
_BACKLOG = 1024
_GRACE = 0.2  # seconds that calls in flight have at the end; then they are cut
_JOIN = 2.0

_Started = Future[Callable[[], object]]


class Sandbox:
    """A local DingTalk. Nothing starts before `start()` or `with`; any thread may call any method.

    It may be stopped and started again: it keeps its port and all it knows, like a DingTalk that was
    unreachable for a while.
    """

    def __init__(
        self,
        host: str = "127.0.0.1",
        port: int = 0,
        settings: Settings | None = None,
        clock: Callable[[], float] = time.time,
    ) -> None:
        self._host = host
        self._port = port
        self._world = World.create(settings or Settings(), clock)
        self._thread: threading.Thread | None = None
        self._stop: Callable[[], object] | None = None

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.stop()

    def start(self) -> None:
        """Listens, and returns when calls are answered.

        Raises:
            OSError: the address is taken or not ours.
        """
        if self._thread is not None:
            raise RuntimeError("the sandbox runs already")
        listener = _listen(self._host, self._port)
        self._port = listener.getsockname()[1]
        started: _Started = Future()
        # A daemon: a test or a command that dies with an exception is not kept alive by its stand-in.
        thread = threading.Thread(
            target=_run_in_thread, args=(self._world, listener, started), name="sandbox", daemon=True
        )
        thread.start()
        self._stop = started.result()
        self._thread = thread

    def stop(self) -> None:
        """Closes all connections and joins the thread, within about a second. Harmless when it is stopped."""
        if self._thread is None or self._stop is None:
            return
        thread, stop = self._thread, self._stop
        self._thread = self._stop = None
        stop()
        thread.join(_JOIN)

    @property
    def url(self) -> str:
        """The base URL of both hosts, without a slash at the end."""
        host = {"": "127.0.0.1", "0.0.0.0": "127.0.0.1", "::": "::1"}.get(self._host, self._host)  # noqa: S104
        return f"http://[{host}]:{self._port}" if ":" in host else f"http://{host}:{self._port}"

    @property
    def port(self) -> int:
        """The port that it listens on; 0 before the first start if any would do."""
        return self._port

    @property
    def page_url(self) -> str:
        """The chat page."""
        return f"{self.url}/"

    @property
    def settings(self) -> Settings:
        """As given."""
        return self._world.settings

    @property
    def client_id(self) -> str:
        """The only app's Client ID."""
        return self._world.settings.client_id

    @property
    def client_secret(self) -> str:
        """The only app's Client Secret."""
        return self._world.settings.client_secret

    @property
    def robot_code(self) -> str:
        """The only robot's code."""
        return self._world.robot_code

    @property
    def conversations(self) -> tuple[Conversation, ...]:
        """The groups, also those where the robot is not inside."""
        return self._world.settings.conversations

    def messages(self, conversation_id: str) -> tuple[Message, ...]:
        """What a conversation shows, oldest first. A person's chat is `user:<userid>`."""
        return self._world.chat.messages(conversation_id)

    def content(self, media_id: str) -> bytes:
        """The bytes as uploaded.

        Raises:
            KeyError: for an id that was never given out.
        """
        return b"".join(self._world.shelf.blocks(media_id))

    def uploads(self) -> tuple[Upload, ...]:
        """All accepted uploads, in the order they came."""
        return self._world.shelf.uploads()

    def forget(self, media_id: str) -> None:
        """Loses one upload, so that its media id is unknown from now on.

        Raises:
            KeyError: for an id that was never given out.
        """
        self._world.shelf.forget(media_id)

    def spaces(self) -> tuple[Space, ...]:
        """The spaces of the drive, those of conversations included, in the order they were made."""
        return self._world.drive.spaces()

    def entries(self, space_id: str) -> tuple[Entry, ...]:
        """The files and folders of one space, in the order they came."""
        return self._world.drive.entries(space_id)

    def entry_blocks(self, entry: Entry) -> Iterator[bytes]:
        """The bytes of a file of the drive in this version, at most 1 MiB at a time.

        Raises:
            Refusal: for an entry that is not there, or a folder.
        """
        content = self._world.drive.content(entry.space_id, entry.id, entry.version)
        return self._world.objects.blocks(content)

    def entry_content(self, entry: Entry) -> bytes:
        """The same in one piece. `Entry.sha256` costs no memory."""
        return b"".join(self.entry_blocks(entry))

    def expire_addresses(self) -> None:
        """Ends all addresses of the storage host that were given out, before their time."""
        self._world.signer.expire()

    def calls(self) -> dict[str, int]:
        """Requests received by API name, whatever was answered."""
        return self._world.meter.calls()

    def billed(self) -> int:
        """Calls that count against the monthly quota."""
        return self._world.meter.billed()

    def inject(self, fault: Fault) -> None:
        """Orders a fault, after those already on order."""
        self._world.faults.add(fault)

    def faults(self) -> tuple[Fault, ...]:
        """The faults still on order, with what is left of them."""
        return self._world.faults.pending()

    def clear_faults(self) -> None:
        """Cancels all faults."""
        self._world.faults.clear()

    def granted(self) -> dict[str, int]:
        """Calls by API name that no limit refused."""
        return self._world.meter.granted()

    def events(self) -> int:
        """Webhook calls and Stream callbacks, which count against a quota of their own."""
        return self._world.meter.events()

    @property
    def limits(self) -> Limits:
        """The limits that hold now."""
        return self._world.meter.limits

    def limit(self, **changes: int | None) -> None:
        """Changes limits from now on, by the names of `Limits`; None takes one away.

        Raises:
            ValueError: for a name that is none, or a value that is no number.
        """
        self._world.limit(**changes)

    def flow_control(self, *user_ids: str) -> None:
        """These people are flow-controlled for the robot from now on, and nobody else is by hand."""
        self._world.flow.hold_back(frozenset(user_ids))

    def pick(self, conversation_id: str, user_id: str) -> str:
        """A cid for `message/send_to_conversation`, as if this person had picked the group in the client."""
        return self._world.picks.add(conversation_id, user_id, self._world.clock())

    def person_messages(self, user_id: str) -> tuple[Message, ...]:
        """What the robot and the app sent to one person, oldest first."""
        return self._world.chat.messages(person_chat(user_id))

    def say(self, conversation_id: str, text: str, user_id: str = "manager1234") -> Said:
        """A person writes in a group, or to the robot alone (`user:<userid>`).

        In a group the robot hears it, through Stream, when the text mentions it: `@robot`, `@dingwatch`.

        Raises:
            ValueError: for a conversation or a person that does not exist.
        """
        return say(self._world, conversation_id, text, user_id)

    def read(self, conversation_id: str, *user_ids: str) -> None:
        """People read all that a group, or the robot's chat with one of them (`user:<userid>`), has by now.

        Raises:
            ValueError: for a conversation or a person that does not exist.
        """
        read(self._world, conversation_id, user_ids)

    def stream_connections(self) -> int:
        """How many Stream websockets are open."""
        return self._world.stream.connections()

    def acks(self) -> tuple[Ack, ...]:
        """What Stream clients answered so far, pings included, in the order it came."""
        return self._world.stream.acks()

    def disconnect_streams(self) -> None:
        """Asks all Stream clients to connect anew; they are cut off when they answer, or in ten seconds."""
        self._world.stream.disconnect(self._world.clock())

    def kill_tokens(self) -> None:
        """Ends all access tokens before their time."""
        self._world.tokens.kill()

    def reset(self) -> None:
        """Forgets messages, uploads, the drive, counters, tokens and faults."""
        self._world.reset()


def application(world: World) -> web.Application:
    """All routes over one world, for those who bring their own aiohttp runner."""
    app = web.Application()
    for path in dict.fromkeys(api.path for api in APIS):
        app.router.add_route("*", path, _route([api for api in APIS if api.path == path], world))
    app.router.add_routes(Control(world).routes())
    app.router.add_routes(page.routes(world))
    app.router.add_route("*", "/{path:.*}", _unknown)
    return app


def _route(apis: list[Api], world: World) -> Callable[[web.Request], Awaitable[web.StreamResponse]]:
    async def handle(request: web.Request) -> web.StreamResponse:
        for api in apis:
            if api.method in ("*", request.method):
                return await serve(api, world, request)
        return refusals.wrong_method(apis[0].family, apis[0].method, request.host, request.path)

    return handle


async def _unknown(request: web.Request) -> web.Response:
    return refusals.unknown_path(request.host, request.path)


def _listen(host: str, port: int) -> socket.socket:
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    listener = socket.socket(family, socket.SOCK_STREAM)
    try:
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listener.bind((host, port))
        listener.listen(_BACKLOG)
    except OSError:
        listener.close()
        raise
    return listener


def _run_in_thread(world: World, listener: socket.socket, started: _Started) -> None:
    try:
        asyncio.run(_run(world, listener, started))
    finally:
        listener.close()
        if not started.done():  # the reason is in the thread's own traceback
            started.set_exception(RuntimeError("the sandbox did not start"))


async def _run(world: World, listener: socket.socket, started: _Started) -> None:
    """Serves until the function that `started` receives is called, from any thread."""
    loop = asyncio.get_running_loop()
    stopped = asyncio.Event()
    runner = web.AppRunner(application(world), access_log=None, shutdown_timeout=_GRACE)
    await runner.setup()
    await web.SockSite(runner, listener, backlog=_BACKLOG).start()
    started.set_result(lambda: loop.call_soon_threadsafe(stopped.set))
    await stopped.wait()
    # asyncio leaves a socket open that it has accepted, if the listener is closed before it has a transport.
    loop.remove_reader(listener)
    await asyncio.sleep(_LAST_TURNS)
    await runner.cleanup()
