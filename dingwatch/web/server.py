"""The server: a thread with an asyncio loop, its sockets, and what guards every request."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import os
import re
import socket
import threading
import time
import traceback
from collections.abc import AsyncIterator, Awaitable, Callable
from concurrent.futures import Future, ThreadPoolExecutor
from functools import partial
from typing import Any, Final, TypeVar

from aiohttp import web

from dingwatch.config.values import Config, Http, TcpAddress
from dingwatch.host import control_socket
from dingwatch.model import Cause, LedgerError
from dingwatch.service.actions import RefusedError
from dingwatch.service.api import Api
from dingwatch.service.log import log_bug
from dingwatch.service.sentences import Sentences, iso_time
from dingwatch.texts import Text, Web
from dingwatch.web.connections import MOST_CONNECTIONS, PATIENCE, Connection, Crowd
from dingwatch.web.events import Events
from dingwatch.web.guard import COOKIE, UNAUTHORISED, Gatekeeper, check_site
from dingwatch.web.handlers import (
    Handler,
    Handlers,
    Route,
    as_html,
    as_json,
    reader_of,
    sentences_for,
    wants_html,
)
from dingwatch.web.listening import listen

T = TypeVar("T")
_Site = tuple[list[socket.socket], Http | None]
"""Sockets that listen, and the settings of `http.listen`; None for the control socket."""
COMPRESS_FROM: Final = 4096
"""Bytes; the status of 300 folders is 400 KB, and a tenth of that when compressed."""
THREADS: Final = 3
"""For what reads or writes the ledger; nothing that may block runs on the loop."""
_STOP_SECONDS: Final = 0.5
_LAST_TURNS: Final = 0.01
"""Seconds in which the loop makes the connections that it has accepted; it needs no more than a few turns."""
_SAFE: Final = {
    "Content-Security-Policy": (
        "default-src 'none'; style-src 'self'; script-src 'self'; connect-src 'self'; img-src 'self' data:;"
        " form-action 'self'; base-uri 'none'; frame-ancestors 'none'"
    ),
    "Cross-Origin-Resource-Policy": "same-origin",
    "Referrer-Policy": "same-origin",
    "X-Content-Type-Options": "nosniff",
    "X-Frame-Options": "DENY",
}
"""Headers of every answer; besides, what is no file for a year is not to be kept."""
_SILENT: Final = logging.getLogger("dingwatch.web")
"""aiohttp's own log: a traceback for every malformed request, so it is silenced."""
_SILENT.disabled = True


def make_server(config: Config, api: Api) -> WebServer:
    """Return the server of a configuration; nothing listens yet."""
    return WebServer(config, api)


class WebServer:
    """Serves the API on the control socket, and on `http.listen`. Nothing listens before `start`."""

    def __init__(
        self, config: Config, api: Api, *, patience: float = PATIENCE, most: int = MOST_CONNECTIONS
    ) -> None:
        self._config = config
        self._api = api
        self._patience = patience
        self._most = most
        self._thread: threading.Thread | None = None
        self._loop: asyncio.AbstractEventLoop | None = None
        self._stopping: asyncio.Event | None = None
        self._events: Events | None = None
        self._owners = frozenset({0, os.geteuid()})
        self._said: set[tuple[object, ...]] = set()
        self.routes: list[Route] = []
        """The control socket's site, once it listens."""
        self.port: int | None = None
        """The port of `http.listen`, once it listens."""

    def start(self) -> None:
        """Listen, and return when requests are answered.

        Raises:
            OSError: another service has the control socket.
            ListenError: the address of `http.listen` is taken, or not ours.
        """
        with contextlib.ExitStack() as undo:
            control = undo.enter_context(control_socket.listen(self._config.state_dir))
            undo.callback(self._remove_control_socket)
            http = self._config.http
            others = [] if http is None else listen(http)
            for one in others:
                undo.enter_context(one)
                name = one.getsockname()
                self.port = name[1] if isinstance(name, tuple) else None
            started: Future[None] = Future()
            sites: list[_Site] = [([control], None), *([(others, http)] if others else [])]
            self._thread = threading.Thread(target=self._run, args=(sites, started), name="web", daemon=True)
            self._thread.start()
            started.result()
            undo.pop_all()

    def stop(self) -> None:
        """Close all connections and remove the sockets; do nothing if it is not running."""
        if self._thread is None or self._loop is None or self._stopping is None:
            return
        with contextlib.suppress(RuntimeError):  # the loop has ended by itself
            self._loop.call_soon_threadsafe(self._stopping.set)
        self._thread.join()
        self._thread = None
        self._remove_control_socket()
        if self._config.http is not None and not isinstance(self._config.http.listen, TcpAddress):
            with contextlib.suppress(FileNotFoundError):
                self._config.http.listen.path.unlink()

    def note_change(self) -> None:
        """Note that something may have changed; from any thread."""
        if self._events is not None:
            self._events.note()

    def _remove_control_socket(self) -> None:
        with contextlib.suppress(FileNotFoundError):
            (self._config.state_dir / control_socket.SOCKET).unlink()

    # --- The thread ------------------------------------------------------------------------------

    def _run(self, sites: list[_Site], started: Future[None]) -> None:
        try:
            asyncio.run(self._serve(sites, started))
        except BaseException as error:  # noqa: BLE001 (it ends the service, which logs it)
            if started.done():
                self._api.end(error)
            else:
                started.set_exception(error)

    async def _serve(self, sites: list[_Site], started: Future[None]) -> None:
        self._loop, self._stopping = asyncio.get_running_loop(), asyncio.Event()
        self._loop.set_exception_handler(self._note_loop_error)
        pool = ThreadPoolExecutor(THREADS, "web")
        run = partial(_run_in, self._loop, pool)
        self._events = Events(self._api, run)
        async with contextlib.AsyncExitStack() as undo:
            undo.callback(pool.shutdown, wait=False, cancel_futures=True)
            for listeners, http in sites:
                await undo.enter_async_context(self._listening(listeners, http, run))
            watching = asyncio.create_task(self._events.watch())
            watching.add_done_callback(self._stop_on_fault)
            undo.callback(watching.cancel)
            started.set_result(None)
            await self._stopping.wait()
            if watching.done():
                watching.result()

    def _stop_on_fault(self, task: asyncio.Task[None]) -> None:
        if not task.cancelled() and self._stopping is not None:
            self._stopping.set()

    @contextlib.asynccontextmanager
    async def _listening(
        self,
        listeners: list[socket.socket],
        http: Http | None,
        run: Callable[[Callable[[], Any]], Awaitable[Any]],
    ) -> AsyncIterator[None]:
        assert self._events is not None  # noqa: S101 (made before)
        keeper = None if http is None else Gatekeeper(lambda: self._api.http or http)
        routes = Handlers(self._api, self._events, keeper, run, self._patience).routes()
        self.routes = [*self.routes, *(one for one in routes if http is None)]
        is_open = {_pattern(one.path) for one in routes if one.is_open}
        guard = _Guard(self._api, keeper, is_open, self._note_bug)
        runner = web.AppRunner(
            _application(routes, guard),
            shutdown_timeout=_STOP_SECONDS,
            handle_signals=False,
            handler_cancellation=True,
        )
        await runner.setup()
        admits = partial(_is_of, self._owners) if http is None else _is_anybodys
        crowd = Crowd(self._most, self._patience, admits)
        server = runner.server
        assert server is not None  # noqa: S101 (it was set up)
        loop = asyncio.get_running_loop()
        tcp = http is not None and isinstance(http.listen, TcpAddress)

        def connect() -> Connection:
            handler = _RequestHandler(
                server,
                loop=loop,
                logger=_SILENT,
                access_log=None,  # type: ignore[arg-type] # as aiohttp documents it
                keepalive_timeout=self._patience,
                lingering_time=_STOP_SECONDS,
                tcp_keepalive=tcp,
            )
            handler.refuse = guard.refuse_nonsense
            return Connection(handler, crowd)

        listening = [await loop.create_server(connect, sock=one) for one in listeners]
        try:
            yield
        finally:
            # asyncio leaves a socket open that it has accepted, if the listener is closed before it has a
            # transport. So nothing more is accepted first, and what was accepted gets one.
            for listener in listeners:
                loop.remove_reader(listener)
            await asyncio.sleep(_LAST_TURNS)
            for one in listening:
                one.close()
            crowd.close()
            await runner.cleanup()

    def _note_loop_error(self, _: asyncio.AbstractEventLoop, context: dict[str, Any]) -> None:
        """Log an unexpected exception of a callback.

        Where no descriptor is free, asyncio tells of each connection that it cannot accept, and tries again
        a second later.
        """
        error = context.get("exception")
        if isinstance(error, Exception) and not isinstance(error, OSError):
            self._note_bug(error)

    def _note_bug(self, error: Exception) -> None:
        """Log an unexpected exception, once for each line of code: whoever may ask could fill the log."""
        places = [(one.filename, one.lineno) for one in traceback.extract_tb(error.__traceback__)[-1:]]
        place = (type(error), *places)
        if place not in self._said:
            self._said.add(place)
            log_bug(Web.BUG.render(self._api.language), error)


async def _run_in(loop: asyncio.AbstractEventLoop, pool: ThreadPoolExecutor, work: Callable[[], T]) -> T:
    """Do in a thread what may block."""
    return await loop.run_in_executor(pool, work)


def _is_of(users: frozenset[int], connection: socket.socket) -> bool:
    """Return whether a process of one of these users is at the other end."""
    return control_socket.peer_uid(connection) in users


def _pattern(path: str) -> re.Pattern[str]:
    """Return what matches the addresses of a route, whose `{names}` stand for a part of them."""
    return re.compile("[^/]+".join(map(re.escape, re.split(r"\{\w+\}", path))))


def _is_anybodys(_: socket.socket) -> bool:
    return True


class _RequestHandler(web.RequestHandler):
    """Answers what is no HTTP as the API answers everything that it refuses."""

    __slots__ = ("refuse",)
    refuse: Callable[[], web.Response]

    def handle_error(
        self,
        request: web.BaseRequest,
        status: int = 500,  # noqa: ARG002 (as the base class has it)
        exc: BaseException | None = None,  # noqa: ARG002
        message: str | None = None,  # noqa: ARG002
    ) -> web.StreamResponse:
        """Return the answer to a request that cannot be read, and close the connection after it."""
        if request.writer.output_size > 0:
            raise ConnectionError
        answer = self.refuse()
        answer.force_close()
        return answer


# --- Around every request ----------------------------------------------------------------------------


def _application(routes: list[Route], guard: _Guard) -> web.Application:
    @web.middleware
    async def guarded(request: web.Request, handler: Handler) -> web.StreamResponse:
        return await guard.handle(request, handler)

    application = web.Application(middlewares=[guarded])
    application.on_response_prepare.append(_add_headers)
    for one in routes:
        if one.method == "GET":
            application.router.add_get(one.path, one.handler, allow_head=not one.is_endless)
        else:
            application.router.add_route(one.method, one.path, one.handler)
    return application


async def _add_headers(_: web.Request, answer: web.StreamResponse) -> None:
    answer.headers.update(_SAFE)
    answer.headers.setdefault("Cache-Control", "no-store")
    answer.headers.popall("Server", None)


class _Guard:
    """Lets a request through, or answers with why not; turns failures into answers."""

    def __init__(
        self,
        api: Api,
        keeper: Gatekeeper | None,
        is_open: set[re.Pattern[str]],
        note_bug: Callable[[Exception], None],
    ) -> None:
        self._api = api
        self._keeper = keeper
        self._open = is_open
        self._note_bug = note_bug

    async def handle(self, request: web.Request, handler: Handler) -> web.StreamResponse:
        connection = None if request.transport is None else request.transport.get_protocol()
        with connection.busy() if isinstance(connection, Connection) else contextlib.nullcontext():
            try:
                answer = await self._answer(request, handler)
                if isinstance(answer, web.Response) and (answer.content_length or 0) > COMPRESS_FROM:
                    answer.enable_compression()  # as far as the client takes it
                return answer  # noqa: TRY300 (its errors are handled here, too)
            except RefusedError as error:
                return self._refuse(request, error)
            except LedgerError as error:
                return self._refuse(request, RefusedError(503, "ledger", Web.LEDGER, cause=error.cause))
            except web.HTTPException as error:
                return self._refuse(request, _of_router(request, error))
            except ConnectionError:
                raise
            except Exception as error:  # noqa: BLE001 (logged; a page that fails must not stop deliveries)
                self._note_bug(error)
                return self._refuse(request, RefusedError(500, "bug", Web.BUG))

    async def _answer(self, request: web.Request, handler: Handler) -> web.StreamResponse:
        keeper = self._keeper
        if keeper is not None:
            keeper.check_host(request.headers.get("Host", ""), _reached(request))
        if request.method not in {"GET", "HEAD"}:
            check_site(request.headers)
        if keeper is not None and not any(one.fullmatch(request.path) for one in self._open):
            try:
                keeper.check_token(request.headers, request.cookies.get(COOKIE, ""), time.time())
            except RefusedError:
                if request.method == "GET" and wants_html(request):
                    return web.Response(status=303, headers={"Location": "/login"})
                raise
        return await handler(request)

    def refuse_nonsense(self) -> web.Response:
        """Return the answer to what is no request, or has too long a line."""
        message = self._api.sentences(None).render(Web.NONSENSE)
        answer = as_json({"error": {"code": "bad_request", "message": message}}, 400)
        answer.headers.update(_SAFE)
        answer.headers["Cache-Control"] = "no-store"
        return answer

    def _refuse(self, request: web.Request, error: RefusedError) -> web.Response:
        sentences = sentences_for(request, self._api)
        message = _render(sentences, error)
        if wants_html(request):
            from dingwatch.web import pages  # noqa: PLC0415 (most services are never asked for a page)

            reader = reader_of(request, self._api)
            answer = as_html(pages.error_page(reader, iso_time(time.time()), message), error.status)
        else:
            answer = as_json({"error": {"code": error.code, "message": message}}, error.status)
        if error.status == UNAUTHORISED:
            answer.headers["WWW-Authenticate"] = 'Bearer realm="dingwatch"'
        if "allowed" in error.values:
            answer.headers["Allow"] = str(error.values["allowed"])
        if error.status >= 408 and error.code in {"too_large", "too_slow"}:  # noqa: PLR2004
            answer.force_close()  # the rest of it may still come
        return answer


def _render(sentences: Sentences, error: RefusedError) -> str:
    values = {name: _render_value(sentences, value) for name, value in error.values.items()}
    cause = values.pop("cause", None)
    return sentences.render(error.text, cause if isinstance(cause, Cause) else None, **values)


def _render_value(sentences: Sentences, value: object) -> object:
    match value:
        case (Text() as text, dict() as inner):
            return sentences.render(text, **inner)
        case list():
            return ", ".join(map(str, value))
    return value


def _of_router(request: web.Request, error: web.HTTPException) -> RefusedError:
    """Return what is wrong with an address or a method."""
    if isinstance(error, web.HTTPMethodNotAllowed):
        allowed = ", ".join(sorted(error.allowed_methods))
        values = {"path": request.path, "method": request.method, "allowed": allowed}
        return RefusedError(405, "wrong_method", Web.WRONG_METHOD, **values)
    if isinstance(error, web.HTTPNotFound):
        return RefusedError(404, "not_found", Web.NO_PATH, path=request.path[:200])
    return RefusedError(error.status, "bad_request", Web.NO_PATH, path=request.path[:200])


def _reached(request: web.Request) -> str | None:
    """Return the address of ours that a client has reached."""
    name = None if request.transport is None else request.transport.get_extra_info("sockname")
    return name[0] if isinstance(name, tuple) else None
