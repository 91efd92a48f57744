"""The APIs by the names that pace, meter and pauses know them by, and DingTalk's limits."""

from __future__ import annotations

from enum import StrEnum
from typing import Final


class Host(StrEnum):
    """DingTalk's two API hosts; each gets a token of its own.

    DingTalk does not document whether one host accepts the other's token (API sheet 1.4). A token of its own
    for each costs one more call in two hours, which does not count against the quota.
    """

    API = "api"
    OAPI = "oapi"


API_TOKEN: Final = {Host.API: "oauth2/accessToken", Host.OAPI: "gettoken"}

API_UPLOAD: Final = "media/upload"
API_MEDIA: Final = "media/downloadFile"

API_SEND: Final = "robot/groupMessages/send"
API_QUERY: Final = "robot/groupMessages/query"
API_RECALL: Final = "robot/groupMessages/recall"
API_ROBOTS: Final = "robot/groups/robots/query"

API_SEND_PERSONS: Final = "robot/oToMessages/batchSend"
API_READ_STATUS: Final = "robot/oToMessages/readStatus"
API_RECALL_PERSONS: Final = "robot/otoMessages/batchRecall"

API_CONVERT: Final = "im/chat/convertToOpenConversationId"
API_USER: Final = "topapi/v2/user/get"

API_SPACE: Final = "storage/spaces"
API_UPLOAD_INFO: Final = "storage/uploadInfos"
API_PARTS_BEGIN: Final = "storage/multiPartUploadInfos/init"
API_PART_ADDRESSES: Final = "storage/multiPartUploadInfos"
API_COMMIT: Final = "storage/commit"
API_DOWNLOAD_INFO: Final = "storage/downloadInfos"
API_OPEN_INFO: Final = "storage/openInfos"
API_DELETE_ENTRY: Final = "storage/dentries/delete"
API_ORGANISATION: Final = "storage/orgs"
API_PUT: Final = "storage-host/put"
API_GET: Final = "storage-host/get"
API_PROBE: Final = "storage-host/probe"

API_CONVERSATION_SPACE: Final = "convFile/spaces"
API_SEND_ENTRY: Final = "convFile/send"
API_SEND_ENTRY_TO: Final = "convFile/apps/send"

API_CHAT: Final = "chat/send"
API_TO_CONVERSATION: Final = "message/send_to_conversation"
API_WEBHOOK: Final = "robot/send"

STORAGE: Final = frozenset(
    {
        API_SPACE,
        API_UPLOAD_INFO,
        API_PARTS_BEGIN,
        API_PART_ADDRESSES,
        API_COMMIT,
        API_DOWNLOAD_INFO,
        API_OPEN_INFO,
        API_DELETE_ENTRY,
        API_ORGANISATION,
    }
)
"""Calls that need the operator's rights in the drive."""

CONVERSATION_FILES: Final = frozenset({API_CONVERSATION_SPACE, API_SEND_ENTRY, API_SEND_ENTRY_TO})
"""Calls that need the operator's rights in a conversation."""

BILLED: Final = frozenset(
    {
        API_UPLOAD,
        API_MEDIA,
        API_SEND,
        API_QUERY,
        API_RECALL,
        API_ROBOTS,
        API_SEND_PERSONS,
        API_READ_STATUS,
        API_RECALL_PERSONS,
        API_CONVERT,
        API_CHAT,
        API_TO_CONVERSATION,
        *STORAGE,
        *CONVERSATION_FILES,
    }
)
"""The APIs that count against the month's calls: all but tokens and the address book (KB:1432).

Bytes go to and from the store, which is not DingTalk's API; custom robots have a quota of their own.
"""

WEBHOOK_BILLED: Final = frozenset({API_WEBHOOK})
"""The APIs that count against the Webhook & Stream calls, 3,000 a month in a standard plan (KB:1431)."""

MEDIA_LIMIT: Final = 20 * 1024 * 1024
"""Bytes; KB:0646 says 20 MB for files. Whether that is 10^6 or 2^20, and inclusive, is unverified."""

REFUSED_EXTENSIONS: Final = frozenset({"htm", "html"})
"""Extensions that media/upload refuses in the field (API sheet 2.1); others are learnt from 40005."""
