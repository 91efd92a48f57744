"""The HTTP server: puts the API of the running service (`service.api`) on the control socket and on TCP.

Only this package and the sandbox import aiohttp, and only the service imports this package.
"""

from dingwatch.web.listening import ListenError
from dingwatch.web.server import WebServer, make_server

__all__ = ["ListenError", "WebServer", "make_server"]
