"""DingTalk's HTTP interfaces, as far as a file needs them: token, media upload, robot message.

Usable by itself, without the service: see `Client`.
"""

from dingwatch.dingtalk.client import Account, Client, Delivered
from dingwatch.dingtalk.names import (
    API_QUERY,
    API_RECALL,
    API_ROBOTS,
    API_SEND,
    API_TOKEN,
    API_UPLOAD,
    BILLED,
    MEDIA_LIMIT,
    REFUSED_EXTENSIONS,
    Host,
)
from dingwatch.dingtalk.transport import Timeouts

__all__ = [
    "API_QUERY",
    "API_RECALL",
    "API_ROBOTS",
    "API_SEND",
    "API_TOKEN",
    "API_UPLOAD",
    "BILLED",
    "MEDIA_LIMIT",
    "REFUSED_EXTENSIONS",
    "Account",
    "Client",
    "Delivered",
    "Host",
    "Timeouts",
]
