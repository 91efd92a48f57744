"""Keeps other sites' pages away from the sandbox's own paths.

Any page in the user's browser can send requests to 127.0.0.1. Two things give it away: the Origin (or
Sec-Fetch-Site) that the browser adds, and, after DNS rebinding, a Host that is a foreign name.
"""

import ipaddress
import socket
from collections.abc import Awaitable, Callable

from aiohttp import web

Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]


def guarded(handler: Handler, allowed_hosts: frozenset[str], *, navigable: bool = False) -> Handler:
    """Answers 403 instead of calling `handler` for a request that another site's page made.

    Args:
        handler: what to protect.
        allowed_hosts: host names that are ours, beside the obvious ones.
        navigable: a page that may be reached by a link on another site.
    """
    names = allowed_hosts | {"localhost", socket.gethostname().lower()}

    async def guard(request: web.Request) -> web.StreamResponse:
        if not _is_ours(_name(request.host), names) or _is_foreign(request, navigable=navigable):
            return web.json_response({"error": "refused: the request comes from another site"}, status=403)
        return await handler(request)

    return guard


def _is_ours(name: str, names: frozenset[str]) -> bool:
    # An address cannot be rebound: the browser names the origin it really talks to.
    return name in names or _is_address(name)


def _is_foreign(request: web.Request, *, navigable: bool) -> bool:
    origin = request.headers.get("origin")
    if origin is not None and origin.lower() not in (
        f"http://{request.host}".lower(),
        f"https://{request.host}".lower(),
    ):
        return True
    site = request.headers.get("sec-fetch-site", "none")
    return site not in ("none", "same-origin") and not navigable


def _name(host: str) -> str:
    """The host without its port, `[::1]:80` included."""
    if host.startswith("["):
        return host[1:].partition("]")[0]
    return host.rpartition(":")[0].lower() if ":" in host else host.lower()


def _is_address(name: str) -> bool:
    try:
        ipaddress.ip_address(name)
    except ValueError:
        return False
    return True
