"""The table of DingTalk's codes (API sheet, section 7; KB:0013, KB:1433, KB:0716). A new code is one line.

A pattern is a code, or begins or ends with `*`. The first that matches counts, so the most specific come
first. `Meaning` holds the verdict that a code becomes, its scope, and the advice that people get.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Final

from dingwatch.dingtalk.apis import (
    API_DELETE_ENTRY,
    API_DOWNLOAD_INFO,
    API_MEDIA,
    API_OPEN_INFO,
    API_USER,
    CONVERSATION_FILES,
    STORAGE,
)
from dingwatch.dingtalk.signed import SignatureExpired
from dingwatch.model import (
    MediaLost,
    Misconfigured,
    NoAnswer,
    QuotaExhausted,
    Rejected,
    Scope,
    Throttled,
    TokenRejected,
    TypeRefused,
    Verdict,
)


class NotGenerated(Rejected):
    """DingTalk has no data about a message: not yet, right after the send, or no more (KB:0720, KB:0722)."""


@dataclass(frozen=True, slots=True)
class Meaning:
    """The verdict, scope and advice for a code.

    `retry_after` in seconds counts for Throttled alone, `ambiguous` for Misconfigured.
    """

    kind: type[Verdict]
    scope: Scope
    advice: str
    retry_after: float = 1.0
    ambiguous: bool = False


Table = tuple[tuple[str, Meaning], ...]
"""Patterns with their meanings, the most specific first."""


def _each(codes: str, meaning: Meaning) -> Iterator[tuple[str, Meaning]]:
    for code in codes.split():
        first, dash, last = code.partition("–")
        numbers = range(int(first), int(last) + 1) if dash else (first,)
        yield from ((str(number), meaning) for number in numbers)


_BUG: Final = Meaning(Rejected, Scope.ROW, "REPORT_BUG")
_TOKEN: Final = Meaning(TokenRejected, Scope.APP, "CREDENTIALS")
_CREDENTIALS: Final = Meaning(Misconfigured, Scope.APP, "CREDENTIALS")
_PERMISSION: Final = Meaning(Misconfigured, Scope.API, "PERMISSION")
_RECIPIENT: Final = Meaning(Misconfigured, Scope.CONVERSATION, "CONVERSATION")
# Each of these was seen for one group alone, which lacked the robot, and for a robot that is wrong everywhere
# (API sheet, section 14). One bad group must not stop the others.
_ROBOT: Final = Meaning(Misconfigured, Scope.CONVERSATION, "ROBOT_OR_GROUP", ambiguous=True)
_ROBOT_IN_GROUP: Final = Meaning(Misconfigured, Scope.CONVERSATION, "ROBOT_IN_GROUP")
_CONTENT: Final = Meaning(Rejected, Scope.ROW, "CONTENT")
_TOO_BIG: Final = Meaning(Rejected, Scope.ROW, "TOO_BIG")
_EMPTY: Final = Meaning(Rejected, Scope.ROW, "EMPTY")
_BUSY: Final = Meaning(NoAnswer, Scope.API, "DINGTALK_BUSY")
_IP: Final = Meaning(Misconfigured, Scope.APP, "IP_LIST")
_DISABLED: Final = Meaning(Misconfigured, Scope.APP, "APP_DISABLED")
_QUOTA: Final = Meaning(QuotaExhausted, Scope.APP, "QUOTA")
_SPACE: Final = Meaning(Misconfigured, Scope.API, "SPACE")
_WEBHOOK: Final = Meaning(Misconfigured, Scope.CONVERSATION, "WEBHOOK")
_LOST: Final = Meaning(MediaLost, Scope.ROW, "MEDIA_LOST")
_NOT_GENERATED: Final = Meaning(NotGenerated, Scope.ROW, "KEY_EXPIRED")
_KEY: Final = Meaning(Rejected, Scope.ROW, "KEY_EXPIRED")
_SIGNATURE: Final = Meaning(SignatureExpired, Scope.ROW, "SIGNATURE_EXPIRED")


def _throttle(scope: Scope, seconds: float) -> Meaning:
    return Meaning(Throttled, scope, "THROTTLED", seconds)


LEGACY: Final[Table] = (
    *_each("40001 40014 41001 42001", _TOKEN),
    *_each("22 404", Meaning(Misconfigured, Scope.API, "ADDRESS")),  # no such path: another host than oapi
    *_each("33001 40013 40089 40096", _CREDENTIALS),
    *_each("40005", Meaning(TypeRefused, Scope.ROW, "TYPE_REFUSED")),
    *_each("40006 45001", _TOO_BIG),
    *_each("40007 41006", _LOST),
    *_each("41005 44001", _EMPTY),
    *_each("-1 400001", _BUSY),
    *_each("34015", Meaning(NoAnswer, Scope.CONVERSATION, "DINGTALK_BUSY")),
    *_each("90018", _throttle(Scope.API, 1.0)),
    *_each("45009 90002", _throttle(Scope.APP, 20.0)),
    *_each("90001 90003–90014 90017", _throttle(Scope.API, 300.0)),
    *_each("410100 130101 660026", _throttle(Scope.CONVERSATION, 600.0)),
    *_each("90020", _QUOTA),
    *_each("20001 90030", Meaning(QuotaExhausted, Scope.API, "WEBHOOK_QUOTA")),
    *_each("60020", _IP),
    *_each("43007 60011 88", _PERMISSION),
    *_each("50002 50004", Meaning(Misconfigured, Scope.APP, "NOT_PUBLISHED")),
    *_each("50003 50005", _DISABLED),
    *_each("33012 40003 40031 40032 60121 40012 40015–40017 34001–34014 34016 34018 49000", _RECIPIENT),
    *_each("41044 48002 81002", Meaning(Misconfigured, Scope.CONVERSATION, "SENDING_FORBIDDEN")),
    *_each("40056 70003 70004", _CREDENTIALS),
    *_each("72001–72003", _SPACE),
    *_each("310000 300001 300005 400101 400013 400102 400106", _WEBHOOK),
    *_each("430101–430104 460101 101002 40048 45002–45008", _CONTENT),
    *_each("40000 40002 40004 40008 40029 40033 40035 40038 40077–40088 40090 40091", _BUG),
    *_each("400105 400002 47001 43001–43005 43008 43009", _BUG),
)
"""Errcodes of oapi.dingtalk.com, which come with HTTP 200; for 88 the sub_code is looked up."""

NEW: Final[Table] = (
    *_each("InvalidAuthentication AuthenticationFailed.*", _TOKEN),
    *_each("invalidClientIdOrSecret invalid.client unauthorized.client unsupported.grant.type", _CREDENTIALS),
    *_each("Forbidden.AccessDenied.QpmLimit*", _throttle(Scope.API, 60.0)),
    *_each("Forbidden.AccessDenied.QpsLimit*", _throttle(Scope.API, 1.0)),
    *_each("Forbidden.AccessDenied.ApiCountLimitForOrg", _QUOTA),
    *_each("Forbidden.AccessDenied.AccessTokenPermissionDenied", _PERMISSION),
    *_each("Forbidden.AccessDenied.IpNotInWhiteList ip.not.match", _IP),
    *_each("Forbidden.*", _PERMISSION),
    *_each("permession.checkFailed", Meaning(Misconfigured, Scope.CONVERSATION, "NOT_PUBLISHED")),  # (sic)
    *_each("permissionDenied acrossOrgAccessForbidden", _PERMISSION),
    *_each("orgAuthLevelNotEnough", Meaning(Misconfigured, Scope.API, "ORGANISATION_LEVEL")),
    *_each("send.too.fast send.byToken.tooFast", _throttle(Scope.CONVERSATION, 3.0)),
    *_each("too.many.group too.many.people", _throttle(Scope.API, 3.0)),
    *_each("operationConcurrentControl fileArchived", Meaning(Throttled, Scope.ROW, "DINGTALK_BUSY", 5.0)),
    *_each(
        "invalidParameter.robotCode* not.allowed.robotCode chatbotId.notAllow.sendOTO robot.oto.notExist",
        _ROBOT,
    ),
    *_each("resource.not.found bot.stopped", _ROBOT_IN_GROUP),
    *_each("resource.unavailable template.* unauthorized auth.error", _ROBOT),
    *_each("miss.openConversationId invalid.openConversationId conversation.org.notMatch", _RECIPIENT),
    *_each(
        "group.disbanded conversationNotExist invalideChatId staffId.notExisted invalidParameter.userIds.*",
        _RECIPIENT,
    ),
    *_each("illegal.receivers receivers.exceed illegal.excludes invalidParameter.userId.empty", _RECIPIENT),
    *_each("session.notExisted session.expired paramError.conversationId", _RECIPIENT),
    *_each("illegal.openconevrsation.id conversation.org.dismatch", _RECIPIENT),  # (sic)
    *_each("openConversationId.notExisted reject", _RECIPIENT),
    *_each("keywords.not.match sign.not.match token.notExisted", _WEBHOOK),
    *_each("contain.*", _CONTENT),
    *_each(
        "send.forbidden bot.forbidden.sendMessage only.groupAdmin.canAtAll",
        Meaning(Misconfigured, Scope.CONVERSATION, "SENDING_FORBIDDEN"),
    ),
    # Deliberately a doubt: DingTalk itself says that it does not know whether it sent (KB:0716).
    *_each("unknown.send.result", Meaning(NoAnswer, Scope.API, "DINGTALK_BUSY")),
    *_each("system.error systemError unknownError server.error", _BUSY),
    *_each("ServiceUnavailable operationTimeout service.timeout", _BUSY),
    # What the send answers to a media id that DingTalk does not know is unverified [?].
    *_each("miss.param.file miss.param.photo* miss.param.image* miss.param.video miss.param.audio", _LOST),
    # An upload whose bytes or key the drive does not have (any more) begins anew.
    *_each("paramError.uploadKey dentryStoreError dentryUploadError dentryNotExist", _LOST),
    *_each("processQueryKey.expireTime", _NOT_GENERATED),
    *_each("robot.processQueryKey.expired invalid.processQueryKey notRevoke.all.messages", _KEY),
    *_each("invalidParameter.* invalid.param.* miss.* param* Missing* Invalidbody msg*", _BUG),
    *_each("*QuotaInsufficient spaceNotExist documentNotExist", _SPACE),
    *_each("dentryName* dentryFormatNotSupport dentryUploadForbidden folderNotSupport", _CONTENT),
    *_each("dentryDownloadProtocolNotSupport dentryUploadProtocolNotSupport operationNotSupported", _BUG),
    *_each("sendMessage.model.notMatch recycleBinNotSupportForSpace", _BUG),
    *_each("dentryPreviewNotSupport dentryEditNotSupport dentryExtensionNotSupport", _CONTENT),
    *_each("fileViral fileMalicious", _CONTENT),
)
"""Codes of api.dingtalk.com."""


_GONE: Final = Meaning(Rejected, Scope.ROW, "CONTENT_GONE")
# What is said to a unionId that is nobody's is not documented [?].
_OPERATOR: Final = (*_each("paramError.unionId", Meaning(Misconfigured, Scope.API, "OPERATOR")),)
_RIGHTS: Final = (
    *_OPERATOR,
    *_each("permissionDenied", Meaning(Misconfigured, Scope.API, "OPERATOR")),
)
# Somebody deleted the space: an upload begins anew, in a new one.
_OF_STORAGE: Final = (*_each("spaceNotExist paramError.spaceId", _LOST), *_RIGHTS)
_OF_CONVERSATION: Final = (
    *_OPERATOR,
    *_each("paramError.dentryId paramError.spaceId", _LOST),
    *_each(
        "permissionDenied acrossOrgAccessForbidden",
        Meaning(Misconfigured, Scope.CONVERSATION, "OPERATOR_IN_GROUP"),
    ),
)
_OF_DOWNLOAD: Final = (
    *_each("dentryNotExist spaceNotExist paramError.dentryId paramError.spaceId", _GONE),
    *_RIGHTS,
)
_OF_MEDIA: Final = (*_each("40004 40007", _GONE),)  # (API sheet 2.2)
_OF_PERSON: Final = (*_each("50002 50004", _RECIPIENT),)  # this one is out of sight, and nobody else

OF_API: Final[Mapping[str, Table]] = {
    **dict.fromkeys(STORAGE, _OF_STORAGE),
    **dict.fromkeys(CONVERSATION_FILES, _OF_CONVERSATION),
    API_DOWNLOAD_INFO: _OF_DOWNLOAD,
    API_OPEN_INFO: _OF_DOWNLOAD,
    API_DELETE_ENTRY: _OF_DOWNLOAD,
    API_MEDIA: _OF_MEDIA,
    API_USER: _OF_PERSON,
}
"""Codes that mean more in the answer of one API than elsewhere."""

STORE: Final[Table] = (
    *_each("RequestTimeTooSkewed", _SIGNATURE),
    # Also by OSS's own list: temporary rights that have ended. That DingTalk's say so too is unverified [?].
    *_each("AccessDenied InvalidAccessKeyId SecurityTokenExpired", _SIGNATURE),
    *_each("SignatureDoesNotMatch", Meaning(Misconfigured, Scope.API, "SIGNATURE")),
    # By OSS's own list: the upload in parts was committed, given up or forgotten [?].
    *_each("NoSuchUpload NoSuchKey", _LOST),
    *_each("EntityTooLarge", _TOO_BIG),
    *_each("RequestTimeout IncompleteBody InternalError ServiceUnavailable", _BUSY),
)
"""Codes of the store behind signed addresses, in its XML (KB:0680 names two)."""


def meaning_of(code: str, table: Table) -> Meaning | None:
    """Look a code up; None when the table does not know it."""
    for pattern, meaning in table:
        if pattern == code or (pattern.endswith("*") and code.startswith(pattern[:-1])):
            return meaning
        if pattern.startswith("*") and code.endswith(pattern[1:]):
            return meaning
    return None
