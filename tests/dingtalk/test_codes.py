"""The table of codes against a second reading of the API sheet's section 7."""

from collections.abc import Callable, Mapping

import pytest

from dingwatch.dingtalk import (
    API_COMMIT,
    API_CONVERSATION_SPACE,
    API_CONVERT,
    API_DOWNLOAD_INFO,
    API_PARTS_BEGIN,
    API_SEND_ENTRY,
    API_SEND_ENTRY_TO,
    API_SPACE,
    API_UPLOAD_INFO,
    API_USER,
    Host,
    SignatureExpired,
)
from dingwatch.dingtalk.codes import LEGACY, NEW, OF_API, STORE, NotGenerated, meaning_of
from dingwatch.dingtalk.errors import verdict_of_store
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
from dingwatch.texts import Advice, Language
from tests.dingtalk.verdicts import verdict_on

Expected = tuple[type[Verdict], Scope]
APP = (Misconfigured, Scope.APP)
GROUP = (Misconfigured, Scope.CONVERSATION)
PERMISSION = (Misconfigured, Scope.API)
FILE = (Rejected, Scope.ROW)
MEDIA = (MediaLost, Scope.ROW)
TOKEN = (TokenRejected, Scope.APP)
BUSY = (NoAnswer, Scope.API)
TABLES = [LEGACY, NEW, STORE, *OF_API.values()]

LEGACY_CODES: Mapping[str, Expected] = {
    "-1 400001": BUSY,
    "34015": (NoAnswer, Scope.CONVERSATION),
    "22 404": PERMISSION,
    "40001 40014 41001 42001": TOKEN,
    "33001 40013 40089 40096": APP,
    "40002 40029 40004 40008 40033 40035 40038 40000 400002 47001 43009": FILE,
    " ".join(str(n) for n in range(40077, 40092) if n != 40089): FILE,
    "33012 40003 40031 40032 60121 40012 40015 40016 40017": GROUP,
    "40005": (TypeRefused, Scope.ROW),
    "40006 45001 41005 44001 40048 45002 45003 45004 45005 45006 45007 45008": FILE,
    "40007 41006": MEDIA,
    "40056 70003 70004 50003 50005 50002 50004 60020": APP,
    "72001 72002 72003": PERMISSION,
    "41044 48002 81002": GROUP,
    "43001 43002 43003 43004 43005 43008": FILE,
    " ".join(str(n) for n in range(34001, 34015)): GROUP,
    "34016 34018 49000": GROUP,
    "43007 60011 88": PERMISSION,
    "45009 90002": (Throttled, Scope.APP),
    "90018 90001 90017": (Throttled, Scope.API),
    " ".join(str(n) for n in range(90003, 90015)): (Throttled, Scope.API),
    "90020": (QuotaExhausted, Scope.APP),
    "20001 90030": (QuotaExhausted, Scope.API),
    "310000 300001 300005 400101 400013 400102 400106": GROUP,
    "400105 430101 430102 430103 430104 460101 101002": FILE,
    "410100 130101 660026": (Throttled, Scope.CONVERSATION),
}

NEW_CODES: Mapping[str, Expected] = {
    "InvalidAuthentication AuthenticationFailed.MissingParameter": TOKEN,
    "invalidClientIdOrSecret invalid.client unsupported.grant.type unauthorized.client": APP,
    "Missingbody Invalidbody MissinguserIds paramError paramError.spaceId paramError.name": FILE,
    "paramError.uploadKey dentryStoreError dentryUploadError dentryNotExist": MEDIA,
    "paramError.conversationId illegal.receivers receivers.exceed illegal.excludes": GROUP,
    "illegal.openconevrsation.id conversation.org.dismatch openConversationId.notExisted reject": GROUP,
    "only.groupAdmin.canAtAll": GROUP,
    "dentryPreviewNotSupport dentryEditNotSupport dentryExtensionNotSupport": FILE,
    "fileViral fileMalicious recycleBinNotSupportForSpace": FILE,
    "miss.param.markdownTotitle miss.param.contentOfText": FILE,
    "session.notExisted session.expired keywords.not.match sign.not.match token.notExisted": GROUP,
    "invalidParameter.param.invalid invalidParameter.msgKey.empty invalidParameter.msgKey.invalid": FILE,
    "invalidParameter.msgParam.invalid invalidParameter.msgParam.tooLong": FILE,
    "invalidParameter.token.invalid invalidParameter.msg.unsupport invalidParameter.msgBody.invalid": FILE,
    "miss.param.file miss.param.photo miss.param.photoTophotoUrl miss.param.video miss.param.audio": MEDIA,
    "invalidParameter.robotCode invalidParameter.robotCode.empty invalidParameter.robotCode.missing": GROUP,
    "not.allowed.robotCode": GROUP,
    "invalidParameter.processQueryKeys.overMax invalidParameter.processQueryKey.missing": FILE,
    "invalid.param.actionCardTocanForward miss.param.markdown sendMessage.model.notMatch": FILE,
    "invalid.processQueryKey robot.processQueryKey.expired notRevoke.all.messages": FILE,
    "miss.param.image miss.param.imageTopicUrl": MEDIA,
    "dentryDownloadProtocolNotSupport dentryUploadProtocolNotSupport operationNotSupported": FILE,
    "invalidParameter.robotCode.invalid invalidParameter.robotCode.notExsit": GROUP,
    "invalidParameter.robotCode.auth invalidParameter.robotCode.coolApp": GROUP,
    "template.stopped template.not.existed unauthorized auth.error resource.unavailable": GROUP,
    "resource.not.found bot.stopped": GROUP,
    "invalidParameter.userIds.empty invalidParameter.userIds.overMax staffId.notExisted": GROUP,
    "invalidParameter.userId.empty": GROUP,
    "miss.openConversationId invalid.openConversationId conversation.org.notMatch group.disbanded": GROUP,
    "conversationNotExist send.forbidden bot.forbidden.sendMessage permession.checkFailed": GROUP,
    "chatbotId.notAllow.sendOTO robot.oto.notExist": GROUP,
    "send.too.fast send.byToken.tooFast": (Throttled, Scope.CONVERSATION),
    "too.many.group too.many.people": (Throttled, Scope.API),
    "contain.unsafe.url contain.notAllowed.text contain.notAllowed.picture": FILE,
    "contain.notAllowed.content folderNotSupport": FILE,
    "unknown.send.result": BUSY,
    "operationConcurrentControl fileArchived": (Throttled, Scope.ROW),
    "spaceQuotaInsufficient sceneQuotaInsufficient appQuotaInsufficient orgQuotaInsufficient": PERMISSION,
    "spaceNotExist documentNotExist": PERMISSION,
    "dentryNameIllegal dentryNameConflict dentryFormatNotSupport dentryUploadForbidden": FILE,
    "Forbidden.AccessDenied.QpsLimitForAppkeyAndApi": (Throttled, Scope.API),
    "Forbidden.AccessDenied.QpsLimitForApi": (Throttled, Scope.API),
    "Forbidden.AccessDenied.QpmLimitForAppkeyAndApi": (Throttled, Scope.API),
    "Forbidden.AccessDenied.ApiCountLimitForOrg": (QuotaExhausted, Scope.APP),
    "Forbidden.AccessDenied.AccessTokenPermissionDenied Forbidden.AccessDenied.Other": PERMISSION,
    "Forbidden.AccessDenied.IpNotInWhiteList ip.not.match": APP,
    "permissionDenied acrossOrgAccessForbidden orgAuthLevelNotEnough": PERMISSION,
    "processQueryKey.expireTime": (NotGenerated, Scope.ROW),
    "system.error systemError unknownError server.error": BUSY,
    "ServiceUnavailable operationTimeout service.timeout": BUSY,
}


STORE_CODES: Mapping[str, Expected] = {
    "RequestTimeTooSkewed AccessDenied InvalidAccessKeyId SecurityTokenExpired": (
        SignatureExpired,
        Scope.ROW,
    ),
    "SignatureDoesNotMatch": PERMISSION,
    "NoSuchUpload NoSuchKey": MEDIA,
    "EntityTooLarge": FILE,
    "RequestTimeout IncompleteBody InternalError ServiceUnavailable": BUSY,
    "InvalidDigest": FILE,
}

ADVISED: Mapping[tuple[str, str], tuple[Expected, str]] = {
    (API_SPACE, "permissionDenied"): (PERMISSION, "OPERATOR"),
    (API_UPLOAD_INFO, "permissionDenied"): (PERMISSION, "OPERATOR"),
    (API_PARTS_BEGIN, "permissionDenied"): (PERMISSION, "OPERATOR"),
    (API_COMMIT, "permissionDenied"): (PERMISSION, "OPERATOR"),
    (API_COMMIT, "paramError.unionId"): (PERMISSION, "OPERATOR"),
    (API_SEND_ENTRY, "paramError.unionId"): (PERMISSION, "OPERATOR"),
    (API_DOWNLOAD_INFO, "permissionDenied"): (PERMISSION, "OPERATOR"),
    (API_DOWNLOAD_INFO, "dentryNotExist"): (FILE, "CONTENT_GONE"),
    (API_DOWNLOAD_INFO, "spaceNotExist"): (FILE, "CONTENT_GONE"),
    (API_DOWNLOAD_INFO, "paramError.dentryId"): (FILE, "CONTENT_GONE"),
    (API_DOWNLOAD_INFO, "paramError.spaceId"): (FILE, "CONTENT_GONE"),
    (API_COMMIT, "paramError.spaceId"): (MEDIA, "MEDIA_LOST"),
    (API_UPLOAD_INFO, "paramError.spaceId"): (MEDIA, "MEDIA_LOST"),
    (API_DOWNLOAD_INFO, "orgAuthLevelNotEnough"): (PERMISSION, "ORGANISATION_LEVEL"),
    (API_SEND_ENTRY, "permissionDenied"): (GROUP, "OPERATOR_IN_GROUP"),
    (API_SEND_ENTRY_TO, "permissionDenied"): (GROUP, "OPERATOR_IN_GROUP"),
    (API_CONVERSATION_SPACE, "acrossOrgAccessForbidden"): (GROUP, "OPERATOR_IN_GROUP"),
    (API_SEND_ENTRY, "conversationNotExist"): (GROUP, "CONVERSATION"),
    (API_SEND_ENTRY, "dentryNotExist"): (MEDIA, "MEDIA_LOST"),
    (API_SEND_ENTRY, "paramError.dentryId"): (MEDIA, "MEDIA_LOST"),
    (API_COMMIT, "orgQuotaInsufficient"): (PERMISSION, "SPACE"),
    (API_CONVERT, "permession.checkFailed"): (GROUP, "NOT_PUBLISHED"),
    ("", "permissionDenied"): (PERMISSION, "PERMISSION"),
}


def compare(codes: Mapping[str, Expected], judge: Callable[[str], Verdict | None]) -> None:
    """See that each code has the expected verdict, which repeats what the answer says."""
    wrong = []
    for group, expected in codes.items():
        for code in group.split():
            found = judge(code)
            assert found is not None, code
            said = (found.cause.code, found.cause.message, found.cause.request_id)
            if (type(found), found.scope) != expected or said != (code, "说明", "r1"):
                wrong.append(f"{code}: {found}, expected: {expected}")
    assert not wrong, "\n".join(wrong)


def test_every_legacy_code_means_what_the_sheet_says() -> None:
    """Every code of section 7.1 becomes its verdict and scope, in an answer with HTTP 200."""

    def judge(code: str) -> Verdict:
        return verdict_on({"errcode": int(code), "errmsg": "说明", "request_id": "r1"}, 200, Host.OAPI)

    compare(LEGACY_CODES, judge)


@pytest.mark.parametrize("status", [400, 403, 404, 500])
def test_every_new_code_means_what_the_sheet_says(status: int) -> None:
    """Every code of section 7.2 becomes its verdict and scope, whatever the status."""

    def judge(code: str) -> Verdict:
        return verdict_on({"code": code, "message": "说明", "requestid": "r1"}, status)

    compare(NEW_CODES, judge)


def test_every_code_of_the_store_has_its_meaning() -> None:
    """It comes as XML; its code, message and request id are told, and nothing else of it."""

    def judge(code: str) -> Verdict | None:
        body = (
            f'<?xml version="1.0" encoding="UTF-8"?>\n<Error>\n  <Code>{code}</Code>\n'
            "  <Message>说明</Message>\n  <RequestId>r1</RequestId>\n"
            "  <StringToSign>PUT secret</StringToSign>\n</Error>"
        )
        return verdict_of_store(403, {}, body.encode(), 0.0)

    compare(STORE_CODES, judge)


def test_a_code_may_mean_more_to_one_api() -> None:
    """Whose rights are missing, and where, depends on what was asked."""
    wrong = []
    for (api, code), expected in ADVISED.items():
        found = verdict_on({"code": code, "message": "", "requestid": "r"}, 403, api=api)
        if ((type(found), found.scope), found.cause.advice) != expected:
            wrong.append(f"{api} {code}: {found}, expected: {expected}")
    assert not wrong, "\n".join(wrong)


@pytest.mark.parametrize("code", ["50002", "50004"])
def test_one_person_out_of_sight_is_no_trouble_of_the_app(code: str) -> None:
    """Who one person is was asked: only what goes to that person waits."""
    found = verdict_on({"errcode": int(code), "errmsg": "m"}, 200, Host.OAPI, api=API_USER)
    assert ((type(found), found.scope), found.cause.advice) == (GROUP, "CONVERSATION")


def test_every_row_has_its_advice() -> None:
    """No row names an advice that does not exist."""
    assert {meaning.advice for table in TABLES for _, meaning in table} <= set(Advice.__members__)


def test_no_row_is_hidden_by_an_earlier_one() -> None:
    """The first row that matches a pattern is the pattern's own."""
    hidden = [
        pattern
        for table in TABLES
        for pattern, meaning in table
        if meaning_of(pattern.replace("*", "Some"), table) is not meaning
    ]
    assert hidden == []


def test_only_what_is_wrong_with_the_file_stays_with_its_row() -> None:
    """A refusal is the row's own; what a person must mend reaches further."""
    for table in TABLES:
        for pattern, meaning in table:
            own = issubclass(meaning.kind, Rejected | MediaLost | SignatureExpired)
            assert (meaning.scope is Scope.ROW) == own or meaning.kind is Throttled, pattern


def test_an_advice_is_short_and_in_both_languages() -> None:
    """There are at most two sentences of it, and they differ."""
    for advice in Advice:
        chinese, english = advice.render(Language.ZH), advice.render(Language.EN)
        assert chinese != english
        assert 1 <= chinese.count("。") + chinese.count("；") <= 2, chinese
        assert 1 <= english.count(". ") + english.endswith(".") <= 2, english


def test_a_wrapped_code_is_unwrapped() -> None:
    """For errcode 88 the sub_code counts, or the one inside the message."""
    whole = {"errcode": 88, "sub_code": "90018", "sub_msg": "太快", "errmsg": "ding talk error"}
    assert isinstance(verdict_on(whole, 200, Host.OAPI), Throttled)
    message = "ding talk error[subcode=40014,submsg=不合法的access_token]"
    assert isinstance(verdict_on({"errcode": 88, "errmsg": message}, 200, Host.OAPI), TokenRejected)


def test_missing_permissions_are_named() -> None:
    """The scopes to be requested stand behind DingTalk's message."""
    answer = {
        "code": "Forbidden.AccessDenied.AccessTokenPermissionDenied",
        "message": "没有调用该接口的权限",
        "accessdenieddetail": {"requiredScopes": ["qyapi_robot_sendmsg"]},
    }
    found = verdict_on(answer, 403)
    assert found.cause.message == "没有调用该接口的权限 [qyapi_robot_sendmsg]"
    assert found.cause.advice == "PERMISSION"
