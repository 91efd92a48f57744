"""The names of what is called, and DingTalk's limits."""

from __future__ import annotations

from enum import StrEnum
from typing import Final


class Host(StrEnum):
    """The two families of interfaces; each has a token of its own.

    Whether one's token serves on the other is officially not stated (API sheet 1.4), so that each
    family gets its own: one more call in two hours, which is exempt from the quota.
    """

    API = "api"
    OAPI = "oapi"


API_UPLOAD: Final = "media/upload"
API_SEND: Final = "robot/groupMessages/send"
API_QUERY: Final = "robot/groupMessages/query"
API_RECALL: Final = "robot/groupMessages/recall"
API_ROBOTS: Final = "robot/groups/robots/query"
API_TOKEN: Final = {Host.API: "oauth2/accessToken", Host.OAPI: "gettoken"}

BILLED: Final = frozenset({API_UPLOAD, API_SEND, API_QUERY, API_RECALL, API_ROBOTS})
"""What counts against the month's calls; token calls are exempt (KB:1432)."""

MEDIA_LIMIT: Final = 20 * 1024 * 1024
"""Bytes; KB:0646 says 20 MB for files. Whether that is 10^6 or 2^20, and inclusive, is unverified."""

REFUSED_EXTENSIONS: Final = frozenset({"htm", "html"})
"""Refused by media/upload in the field (API sheet 2.1); what else is refused is learnt from 40005."""
