"""Serves the chat page: three files from `static/`, and nothing from any other host."""

from collections.abc import Awaitable, Callable
from importlib.resources import files

from aiohttp import web

from dingwatch.sandbox.events import events
from dingwatch.sandbox.guard import guarded
from dingwatch.sandbox.world import World

_FILES = {
    "/": ("index.html", "text/html"),
    "/sandbox/style.css": ("style.css", "text/css"),
    "/sandbox/app.js": ("app.js", "text/javascript"),
}

_HEADERS = {
    "Content-Security-Policy": (
        "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:; connect-src 'self'; "
        "base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
    ),
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "no-referrer",
    "Cache-Control": "no-cache",
}


def routes(world: World) -> list[web.RouteDef]:
    """The page, its two assets and its events."""
    allowed = world.settings.allowed_hosts

    async def listen(request: web.Request) -> web.StreamResponse:
        return await events(world, request)

    return [
        *(
            web.get(path, guarded(_static(name, content_type), allowed, navigable=True))
            for path, (name, content_type) in _FILES.items()
        ),
        web.get("/sandbox/events", guarded(listen, allowed)),
    ]


def _static(name: str, content_type: str) -> Callable[[web.Request], Awaitable[web.StreamResponse]]:
    body = (files(__package__) / "static" / name).read_bytes()

    async def serve(_: web.Request) -> web.StreamResponse:
        return web.Response(body=body, content_type=content_type, charset="utf-8", headers=_HEADERS)

    return serve
