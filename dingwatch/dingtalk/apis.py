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
API_PUT: Final = "storage-host/put"
API_GET: Final = "storage-host/get"

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
"""What counts against the month's calls: all but tokens and the address book (KB:1432).

Bytes to and from the store are no calls of DingTalk's; a webhook has a quota of its own.
"""

WEBHOOK_BILLED: Final = frozenset({API_WEBHOOK})
"""What counts against the month's Webhook & Stream calls, 3,000 for a standard organisation (KB:1431)."""

MEDIA_LIMIT: Final = 20 * 1024 * 1024
"""Bytes; KB:0646 says 20 MB for files. Whether that is 10^6 or 2^20, and inclusive, is unverified."""

REFUSED_EXTENSIONS: Final = frozenset({"htm", "html"})
"""Refused by media/upload in the field (API sheet 2.1); what else is refused is learnt from 40005."""
