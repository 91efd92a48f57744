"""The handlers of the API: each turns a request into a call of `service.api`, and back."""

from __future__ import annotations

import asyncio
import json
import pwd
import socket
import time
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from functools import partial
from typing import Any, Final, TypeVar
from urllib.parse import parse_qsl

from aiohttp import web

from dingwatch.host.control_socket import LONGEST_QUESTION, QUESTIONS, peer_uid
from dingwatch.service.actions import RefusedError
from dingwatch.service.api import Api
from dingwatch.service.sentences import Sentences, iso_time
from dingwatch.texts import Language, Web
from dingwatch.web import parameters
from dingwatch.web.events import Events, mark_of
from dingwatch.web.guard import COOKIE, LOGIN_SECONDS, UNAUTHORISED, Gatekeeper
from dingwatch.web.reader import Reader, WantedPage
from dingwatch.web.static_files import FOR_A_YEAR, PREFIX, by_address

T = TypeVar("T")
Run = Callable[[Callable[[], T]], Awaitable[T]]
Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]
LARGEST_FORM: Final = 16 * 1024
MOST_FIELDS: Final = 20
JSON: Final = "application/json; charset=utf-8"


@dataclass(frozen=True, slots=True)
class Route:
    """An address of the API, and whether it is answered without a token."""

    method: str
    path: str
    handler: Handler
    is_open: bool = False
    is_endless: bool = False
    """Whether the answer has no end, so that HEAD makes no sense."""


class Handlers:
    """The handlers for one socket; `gatekeeper` is None for the control socket."""

    def __init__(
        self, api: Api, events: Events, gatekeeper: Gatekeeper | None, run: Run[Any], patience: float
    ) -> None:
        self._patience = patience
        self._api = api
        self._events = events
        self._gatekeeper = gatekeeper
        self._run = run

    def routes(self) -> list[Route]:
        """Return every address, with the internal one of the control socket where this is it."""
        api = "/api/v1"
        actions = self._api.actions
        deliveries = {
            "retry": (actions.retry, actions.retry_alike),
            "confirm": (actions.confirm, actions.confirm_alike),
            "resend": (actions.resend, actions.resend_alike),
        }
        folders = {
            "resume": actions.resume_folder,
            "release": actions.release,
            "discard": actions.discard,
            "look": self._look,
        }
        pauses = {"try": actions.try_pause, "resume": actions.resume_pause}
        internal = [Route("POST", f"{QUESTIONS}{{question}}", self._answer)]
        return [
            Route("GET", "/", self._page),
            Route("GET", "/confirm", self._confirm),
            Route("GET", "/files/{id}", self._show_file),
            Route("GET", f"{PREFIX}{{name}}", self._static, is_open=True),
            Route("GET", "/login", self._show_login, is_open=True),
            Route("POST", "/login", self._log_in, is_open=True),
            Route("GET", "/healthz", self._show_health, is_open=True),
            Route("GET", "/metrics", self._show_metrics),
            Route("GET", "/f/{token}", self._show_folder, is_open=True),
            Route("GET", f"{api}/status", self._show_status),
            Route("GET", f"{api}/history", self._show_history),
            Route("GET", f"{api}/why", self._show_why),
            Route("GET", f"{api}/events", self._events.serve, is_endless=True),
            *(
                Route("POST", f"{api}/deliveries/{{id}}/{name}", partial(self._act_on_delivery, *both))
                for name, both in deliveries.items()
            ),
            *(
                Route("POST", f"{api}/folders/{{id}}/{name}", partial(self._act, do))
                for name, do in folders.items()
            ),
            Route("POST", f"{api}/folders/{{id}}/pause", self._pause),
            Route("POST", f"{api}/reload", self._reload),
            Route("POST", f"{api}/node/drain", partial(self._act_on_node, actions.drain)),
            Route("POST", f"{api}/node/undrain", partial(self._act_on_node, actions.undrain)),
            *(
                Route("POST", f"{api}/pauses/{{scope}}/{{key:.+}}/{name}", partial(self._act_on_pause, do))
                for name, do in pauses.items()
            ),
            *(internal if self._gatekeeper is None else []),
        ]

    # --- What is shown ---------------------------------------------------------------------------

    async def _show_status(self, request: web.Request) -> web.Response:
        parameters.require_known(request, ())
        return as_json(await self._run(partial(self._api.status, sentences_for(request, self._api))))

    async def _show_history(self, request: web.Request) -> web.Response:
        query = parameters.history_query(request)
        return as_json(await self._run(partial(self._api.history, sentences_for(request, self._api), query)))

    async def _show_why(self, request: web.Request) -> web.Response:
        wanted = parameters.wanted_path(request)
        return as_json(await self._run(partial(self._api.why, sentences_for(request, self._api), *wanted)))

    async def _show_folder(self, request: web.Request) -> web.Response:
        """Return the page of one folder, a part of it, or JSON."""
        parameters.require_known(request, ())
        reader, parts = reader_of(request, self._api), _parts_asked(request)
        token = request.match_info["token"]
        found = await self._run(partial(self._api.folder_page, reader.sentences, token))
        if not parts and not wants_html(request):
            return as_json(found)
        from dingwatch.web import pages  # noqa: PLC0415 (most services are never asked for a page)

        return as_html(pages.folder_page(reader, found, is_part=bool(parts)))

    async def _show_metrics(self, _: web.Request) -> web.Response:
        text = await self._run(self._api.metrics)
        return web.Response(body=text, headers={"Content-Type": self._api.metrics_type})

    async def _show_health(self, _: web.Request) -> web.Response:
        healthy = self._api.healthy()
        text = "ok\n" if healthy else "unhealthy\n"
        return web.Response(text=text, status=200 if healthy else 503)

    # --- Pages -----------------------------------------------------------------------------------

    async def _page(self, request: web.Request) -> web.Response:
        wanted = parameters.wanted_page(request)
        parts = _parts_asked(request)
        return as_html(await self._run(partial(self._draw, reader_of(request, self._api), wanted, parts)))

    def _draw(self, reader: Reader, wanted: WantedPage, parts: list[str]) -> str:
        """Return the page, or some of its parts; reads the ledger."""
        from dingwatch.web import pages  # noqa: PLC0415 (most services are never asked for a page)

        if parts == [pages.FIND]:
            found = self._api.history(reader.sentences, wanted.query)
            return pages.results_part(reader, iso_time(time.time()), found, wanted.search)
        mark = mark_of(self._api)
        status = self._api.status(reader.sentences) | {"mark": mark}
        history = pages.NOTHING_FOUND
        if status["ledger"]["ok"] and (not parts or {pages.ALL, pages.FIND} & set(parts)):
            history = self._api.history(reader.sentences, wanted.query)
        if parts:
            return pages.status_parts(reader, status, history, wanted.search, parts)
        return pages.status_page(reader, status, history, wanted.search, wanted.choice)

    async def _show_file(self, request: web.Request) -> web.Response:
        """Return the story of a file: a page, a part of one, or JSON."""
        number = parameters.wanted_id(request)
        parameters.require_known(request, ())
        reader, parts = reader_of(request, self._api), _parts_asked(request)
        found = await self._run(partial(self._api.file, reader.sentences, number))
        if not parts and not wants_html(request):
            return as_json(found)
        from dingwatch.web import pages  # noqa: PLC0415 (most services are never asked for a page)

        return as_html(pages.file_page(reader, iso_time(time.time()), found, is_part=bool(parts)))

    async def _confirm(self, request: web.Request) -> web.Response:
        """Ask before what cannot be taken back, where the browser runs no script."""
        address = parameters.wanted_deed(request)
        return as_html(await self._run(partial(self._ask, reader_of(request, self._api), address)))

    def _ask(self, reader: Reader, address: str) -> str:
        from dingwatch.web import pages  # noqa: PLC0415 (most services are never asked for a page)

        return pages.confirm_page(reader, self._api.status(reader.sentences), address)

    async def _static(self, request: web.Request) -> web.Response:
        found = by_address().get(request.path)
        if found is None:
            raise RefusedError(404, "not_found", Web.NO_PATH, path=request.path[:200])
        headers = {"Content-Type": found.type, "Cache-Control": FOR_A_YEAR, "Vary": "Accept-Encoding"}
        return web.Response(body=found.content, headers=headers)

    async def _show_login(self, request: web.Request) -> web.Response:
        return self._login_page(request)

    def _login_page(self, request: web.Request, error: str = "", status: int = 200) -> web.Response:
        from dingwatch.web import pages  # noqa: PLC0415 (most services are never asked for a page)

        reader = reader_of(request, self._api)
        return as_html(pages.login_page(reader, iso_time(time.time()), error), status)

    async def _log_in(self, request: web.Request) -> web.Response:
        form = _fields_of(request, await read_body(request, LARGEST_FORM, self._patience))
        given = form.get("token", "").strip()
        keeper = self._gatekeeper
        if keeper is not None and keeper.needs_token:
            if not keeper.is_token(given):
                await asyncio.sleep(1.0)  # guessing takes for ever
                sentences = sentences_for(request, self._api)
                if wants_html(request):
                    return self._login_page(request, sentences.render(Web.WRONG_TOKEN), UNAUTHORISED)
                raise RefusedError(UNAUTHORISED, "wrong_token", Web.WRONG_TOKEN)
            answer = done(request)
            secure = request.headers.get("X-Forwarded-Proto", "").lower() == "https"
            answer.set_cookie(
                COOKIE, keeper.make_login(time.time()), max_age=LOGIN_SECONDS, path="/",
                httponly=True, samesite="Strict", secure=secure,
            )  # fmt: skip
            return answer
        return done(request)

    # --- What is done ----------------------------------------------------------------------------

    async def _act(self, do: Callable[[int], None], request: web.Request) -> web.Response:
        number = parameters.wanted_id(request)
        parameters.require_known(request, ())
        await read_body(request, LARGEST_FORM, self._patience)
        await self._run(partial(do, number))
        return done(request)

    async def _act_on_delivery(
        self, do: Callable[[int], None], do_alike: Callable[[int], None], request: web.Request
    ) -> web.Response:
        """Act on a delivery, or with `alike` on all that wait for the same reason."""
        number = parameters.wanted_id(request)
        parameters.require_known(request, ("alike",))
        await read_body(request, LARGEST_FORM, self._patience)
        await self._run(partial(do_alike if parameters.wants_alike(request) else do, number))
        return done(request)

    async def _reload(self, request: web.Request) -> web.Response:
        parameters.require_known(request, ())
        await read_body(request, LARGEST_FORM, self._patience)
        await self._run(partial(self._api.reload, sentences_for(request, self._api)))
        return done(request)

    async def _act_on_node(self, do: Callable[[], None], request: web.Request) -> web.Response:
        parameters.require_known(request, ())
        await read_body(request, LARGEST_FORM, self._patience)
        await self._run(do)
        return done(request)

    async def _act_on_pause(self, do: Callable[..., None], request: web.Request) -> web.Response:
        wanted = parameters.wanted_pause(request)
        parameters.require_known(request, ())
        await read_body(request, LARGEST_FORM, self._patience)
        await self._run(partial(do, *wanted))
        return done(request)

    async def _pause(self, request: web.Request) -> web.Response:
        """Pause a folder by hand: `for` and `reason` come in the address or in a form."""
        number = parameters.wanted_id(request)
        parameters.require_known(request, ("for", "reason"))
        form = _fields_of(request, await read_body(request, LARGEST_FORM, self._patience))
        seconds = parameters.wanted_duration(request.query.get("for") or form.get("for", ""))
        reason = request.query.get("reason") or form.get("reason", "")
        await self._run(
            partial(self._api.actions.pause_folder, number, seconds, by=_user_of(request), reason=reason)
        )
        return done(request)

    def _look(self, number: int) -> None:
        self._api.actions.require_folder(number)
        self._api.look(number)

    # --- What only commands ask ------------------------------------------------------------------

    async def _answer(self, request: web.Request) -> web.Response:
        body = await read_body(request, LONGEST_QUESTION, self._patience)
        question = request.match_info["question"]
        return as_json(await self._run(partial(self._api.answer, question, _load_object(body))))


# --- Requests and responses ------------------------------------------------------------------------


async def read_body(request: web.Request, most: int, patience: float) -> bytes:
    """Return the body of a request.

    Raises:
        RefusedError: it is too large, or does not arrive.
    """
    body = bytearray()
    try:
        async with asyncio.timeout(patience):
            async for chunk in request.content.iter_any():
                body += chunk
                if len(body) > most:
                    raise RefusedError(413, "too_large", Web.TOO_LARGE, most=most)
    except TimeoutError:
        raise RefusedError(408, "too_slow", Web.TOO_SLOW, seconds=patience) from None
    return bytes(body)


def _fields_of(request: web.Request, body: bytes) -> dict[str, str]:
    """Return the fields of a form, or of an object of JSON.

    Raises:
        RefusedError: it has too many.
    """
    if request.content_type == "application/json":
        return {name: value for name, value in _load_object(body).items() if isinstance(value, str)}
    try:
        return dict(parse_qsl(body.decode("utf-8", "replace"), max_num_fields=MOST_FIELDS))
    except ValueError:
        raise RefusedError(400, "bad_form", Web.BAD_FORM) from None


def _user_of(request: web.Request) -> str:
    """Return who makes a request: on a unix socket the kernel knows the user."""
    peer = None if request.transport is None else request.transport.get_extra_info("socket")
    if peer is None or peer.family != socket.AF_UNIX:
        return f"HTTP {request.remote or ''}".strip()
    uid = peer_uid(peer)
    try:
        return pwd.getpwuid(uid).pw_name
    except KeyError:
        return str(uid)


def _load_object(body: bytes) -> dict[str, Any]:
    """Return an object of JSON; an empty one for anything else."""
    try:
        found = json.loads(body)
    except (ValueError, RecursionError):
        return {}
    return found if isinstance(found, dict) else {}


def as_json(answer: Mapping[str, object], status: int = 200) -> web.Response:
    """Return a response in JSON."""
    body = json.dumps(answer, ensure_ascii=False).encode("utf-8", "replace")
    return web.Response(body=body, status=status, headers={"Content-Type": JSON})


def as_html(page: str, status: int = 200) -> web.Response:
    """Return a response that is a page."""
    body = page.encode("utf-8", "replace")
    return web.Response(body=body, status=status, headers={"Content-Type": "text/html; charset=utf-8"})


def done(request: web.Request) -> web.Response:
    """Return the response to a POST that was carried out: back to the page for a form, else nothing."""
    if wants_html(request):
        language = request.query.get("lang", "")
        place = f"/?lang={language}" if language in set(Language) else "/"
        return web.Response(status=303, headers={"Location": place})
    return web.Response(status=204)


def wants_html(request: web.Request) -> bool:
    """Return whether a browser shows the answer to a person."""
    return "text/html" in request.headers.get("Accept", "").lower()


def _parts_asked(request: web.Request) -> list[str]:
    """Return the parts of a page that its script asks for; none when the whole is wanted."""
    return [part for one in request.headers.get("X-Part", "").split(",") if (part := one.strip())]


def reader_of(request: web.Request, api: Api) -> Reader:
    """Return who reads a page."""
    return Reader(sentences_for(request, api), request.query.get("lang", "") in set(Language))


def sentences_for(request: web.Request, api: Api) -> Sentences:
    """Return the language that a client asks for, by `lang` or its browser's settings; else the config's."""
    asked = [request.query.get("lang", ""), *request.headers.get("Accept-Language", "").split(",")]
    for one in asked:
        name = one.strip().lower()[:2]
        if name in set(Language):
            return api.sentences(Language(name))
    return api.sentences(None)
