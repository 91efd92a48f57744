from __future__ import annotations

import hashlib
import json
from collections.abc import Callable
from typing import TYPE_CHECKING

import pytest

from dingwatch.sandbox import Fault, FaultKind, Guesses, Sandbox, Settings

if TYPE_CHECKING:
    from tests.sandbox.conftest import Clock, Peer

SEND = "/v1.0/robot/groupMessages/send"
QUERY = "/v1.0/robot/groupMessages/query"
RECALL = "/v1.0/robot/groupMessages/recall"
PERSON = "/v1.0/robot/oToMessages/batchSend"

DOCUMENTS = "，或者在https://open.dingtalk.com/document/"
KINDS = f"参考链接:请参考本接口对应文档查看支持的消息类型{DOCUMENTS} 搜索对应文档;"
PARAMETERS = f"参考链接:请参考本接口对应文档查看参数获取方式{DOCUMENTS}  搜索对应文档;"
MARKDOWN_TITLE = "错误描述:参数 markdown --》 title 缺失，或者参数格式不正确; 解决方案:请填充上对应参数;"


def test_a_file_arrives(peer: Peer, sandbox: Sandbox, clock: Clock) -> None:
    """A sent file is in its conversation, under the name of msgParam and with the uploaded bytes."""
    media_id = peer.media_id("upload.xlsx", b"cells")
    answer = peer.send(media_id, "表格.xlsx")
    assert answer.status_code == 200
    assert answer.json().keys() == {"processQueryKey"}
    (message,) = sandbox.messages(sandbox.conversations[0].id)
    assert (message.file_name, message.file_type, message.media_id) == ("表格.xlsx", "xlsx", media_id)
    assert (message.msg_key, message.size, message.at) == ("sampleFile", 5, clock.now)
    assert message.sha256 == hashlib.sha256(b"cells").hexdigest()
    assert message.process_query_key == answer.json()["processQueryKey"]
    assert not message.recalled
    assert sandbox.messages(sandbox.conversations[1].id) == ()


def test_each_send_is_a_message(peer: Peer, sandbox: Sandbox) -> None:
    """There is no idempotency: the same body twice is two messages with two keys."""
    media_id = peer.media_id()
    first, second = (peer.send(media_id).json()["processQueryKey"] for _ in range(2))
    assert first != second
    assert len(sandbox.messages(sandbox.conversations[0].id)) == 2


@pytest.mark.parametrize(
    ("changes", "code"),
    [
        ({"openConversationId": None}, "miss.openConversationId"),
        ({"robotCode": None}, "MissingrobotCode"),
        ({"msgKey": None}, "MissingmsgKey"),
        ({"msgParam": None}, "MissingmsgParam"),
        ({"robotCode": ""}, "invalidParameter.robotCode.empty"),
        ({"robotCode": 7}, "invalidParameter.param.invalid"),
        ({"robotCode": "dingother"}, "invalidParameter.robotCode.notExsit"),
        ({"openConversationId": "cidAAAA=="}, "invalid.openConversationId"),
        ({"msgKey": "sampleActionCard1"}, "invalidParameter.msgKey.invalid"),
        ({"msgParam": {"mediaId": "@x"}}, "invalidParameter.msgParam.invalid"),
        ({"msgParam": "{"}, "invalidParameter.msgParam.invalid"),
        ({"msgParam": "[]"}, "invalidParameter.msgParam.invalid"),
        ({"msgParam": json.dumps({"mediaId": "表" * 5000})}, "invalidParameter.msgParam.tooLong"),
        ({"msgParam": '{"fileName": "a.pdf"}'}, "miss.param.file"),
        ({"msgKey": "sampleImageMsg", "msgParam": "{}"}, "miss.param.photoTophotoUrl"),
        ({"msgKey": "sampleText", "msgParam": '{"content": ""}'}, "miss.param.contentOfText"),
        ({"msgKey": "sampleMarkdown", "msgParam": '{"text": "x"}'}, "miss.param.markdownTotitle"),
        ({"msgKey": "sampleMarkdown", "msgParam": '{"title": "x"}'}, "miss.param.markdownTotext"),
        ({"msgKey": "sampleLink", "msgParam": '{"title": "x", "text": "y"}'}, "miss.param.messageUrlOfLink"),
        (
            {"msgKey": "sampleActionCard", "msgParam": '{"title": "x", "text": "y", "singleTitle": "z"}'},
            "miss.param.actionCardTosingleUrl",
        ),
        ({"msgKey": "sampleActionCard2", "msgParam": '{"title": "x"}'}, "miss.param.actionCardTotext"),
    ],
)
def test_refusals(peer: Peer, sandbox: Sandbox, changes: dict[str, object], code: str) -> None:
    """Each wrong field has its own code, HTTP 400, and nothing is shown."""
    answer = peer.post(SEND, peer.group_body(**changes), peer.new_token())
    assert (answer.status_code, answer.json()["code"]) == (400, code)
    assert answer.json().keys() == {"code", "message", "requestid"}
    assert sandbox.messages(sandbox.conversations[0].id) == ()


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"msgParam": "{"}, "错误描述:msgParam格式不正确;解决方案:请使用json格式;"),
        ({"robotCode": "dingother"}, "错误描述: robot 不存在；解决方案:请确认 robotCode 是否正确；"),
        (
            {"msgKey": "sampleMarkdoswn"},
            f"错误描述: 不支持类型 sampleMarkdoswn ;解决方案:请使用支持的类型;{KINDS}",
        ),
        ({"msgKey": "sampleMarkdown", "msgParam": '{"text": "x"}'}, f"{MARKDOWN_TITLE}{PARAMETERS}"),
    ],
)
def test_texts_of_refusals(peer: Peer, changes: dict[str, object], message: str) -> None:
    """A refusal speaks in DingTalk's own words, as they were seen in public."""
    answer = peer.post(SEND, peer.group_body(**changes), peer.new_token())
    assert answer.json()["message"] == message


def test_longest_parameter(peer: Peer) -> None:
    """15000 bytes of msgParam are accepted; it is bytes that count, not letters."""
    frame = len(json.dumps({"content": ""}))
    text = json.dumps({"content": "x" * (15000 - frame)})
    body = peer.group_body(msgKey="sampleText", msgParam=text)
    assert peer.post(SEND, body, peer.new_token()).status_code == 200
    body["msgParam"] = text.replace("x}", "é}").replace('x"}', 'é"}')
    assert peer.post(SEND, body, peer.new_token()).json()["code"] == "invalidParameter.msgParam.tooLong"


def test_unknown_media(peer: Peer, peer_of: Callable[[Settings], Peer]) -> None:
    """A mediaId that was never given out is refused, or taken and shown without a file, as set."""
    assert peer.send("@lAzPD-never").json()["code"] == "invalidParameter.msgParam.invalid"
    lax = peer_of(Settings(guesses=Guesses(unknown_media_code=None)))
    assert lax.send("@lAzPD-never").status_code == 200
    (message,) = lax.sandbox.messages(lax.sandbox.conversations[0].id)
    assert (message.media_id, message.size) == ("@lAzPD-never", None)


def test_robot_outside(peer: Peer, peer_of: Callable[[Settings], Peer]) -> None:
    """A group without the robot refuses, or takes the message and shows nothing, as set."""
    (outside,) = (each for each in peer.sandbox.conversations if not each.robot_inside)
    answer = peer.send(peer.media_id(), openConversationId=outside.id)
    assert (answer.status_code, answer.json()["code"]) == (400, "resource.not.found")
    # The text blames the robotCode, which is right: this is how DingTalk misleads people.
    assert answer.json()["message"] == "错误描述: robot 不存在；解决方案:请确认 robotCode 是否正确；"
    lax = peer_of(Settings(guesses=Guesses(outsider_code=None)))
    assert lax.send(lax.media_id(), openConversationId=outside.id).status_code == 200
    assert lax.sandbox.messages(outside.id) == ()


def test_missing_file_name(peer: Peer, sandbox: Sandbox) -> None:
    """Without fileName the members see the placeholder of the template."""
    parameter = json.dumps({"mediaId": peer.media_id()})
    peer.post(SEND, peer.group_body(msgParam=parameter), peer.new_token())
    (message,) = sandbox.messages(sandbox.conversations[0].id)
    assert (message.file_name, message.file_type) == ("#fileName#", None)


def test_texts(peer: Peer, sandbox: Sandbox) -> None:
    """Text and markdown messages show their text."""
    for key, parameter in (
        ("sampleText", {"content": "太大了"}),
        ("sampleMarkdown", {"title": "标题", "text": "**x**"}),
    ):
        body = peer.group_body(msgKey=key, msgParam=json.dumps(parameter))
        assert peer.post(SEND, body, peer.new_token()).status_code == 200
    assert [each.text for each in sandbox.messages(sandbox.conversations[0].id)] == ["太大了", "标题\n**x**"]


def test_picture_by_media_id_or_url(peer: Peer, sandbox: Sandbox) -> None:
    """A picture message takes a media id or a URL; a URL is shown as such, for nothing here loads it."""
    media_id, url = peer.media_id("a.png"), "https://example.com/a.png"
    for photo in (media_id, url):
        body = peer.group_body(msgKey="sampleImageMsg", msgParam=json.dumps({"photoURL": photo}))
        assert peer.post(SEND, body, peer.new_token()).status_code == 200
    messages = sandbox.messages(sandbox.conversations[0].id)
    assert [(each.media_id, each.text) for each in messages] == [(media_id, ""), (None, url)]


def test_query(peer: Peer, sandbox: Sandbox) -> None:
    """A key can be asked after: SUCCESS, and after a recall RECALLED."""
    key = peer.send(peer.media_id()).json()["processQueryKey"]
    where = {"openConversationId": sandbox.conversations[0].id, "robotCode": sandbox.robot_code}
    question = {**where, "processQueryKey": key, "maxResults": 200}
    token = peer.new_token()
    early = peer.post(QUERY, question, token)
    assert (early.status_code, early.json()["code"]) == (400, "processQueryKey.expireTime")
    assert peer.post(QUERY, question, token).json() == {
        "sendStatus": "SUCCESS",
        "readUserIds": [],
        "hasMore": False,
    }
    answer = peer.post(RECALL, {**where, "processQueryKeys": [key, "never"]}, token).json()
    assert answer["successResult"] == [key]
    assert answer["failedResult"].keys() == {"never"}
    assert peer.post(QUERY, question, token).json()["sendStatus"] == "RECALLED"
    assert sandbox.messages(sandbox.conversations[0].id)[0].recalled
    unknown = peer.post(QUERY, {**question, "processQueryKey": "never"}, token)
    assert (unknown.status_code, unknown.json()["code"]) == (400, "processQueryKey.expireTime")
    wrong = peer.post(QUERY, {**question, "maxResults": 201}, token)
    assert (wrong.status_code, wrong.json()["code"]) == (400, "invalidParameter.pageSize.invalid")


def test_early_queries(peer_of: Callable[[Settings], Peer]) -> None:
    """How often a message's data is not there yet can be set, for groups and for persons."""
    peer = peer_of(Settings(guesses=Guesses(early_queries=2)))
    token, robot_code = peer.new_token(), peer.sandbox.robot_code
    key = {"processQueryKey": peer.send(peer.media_id()).json()["processQueryKey"]}
    answers = [peer.post(QUERY, key, token) for _ in range(3)]
    assert [each.json().get("code") for each in answers] == [*["processQueryKey.expireTime"] * 2, None]
    body = {"robotCode": robot_code, "userIds": ["manager1234"]}
    sent = peer.post(PERSON, {**body, "msgKey": "sampleText", "msgParam": '{"content":"hi"}'}, token).json()
    query = {"robotCode": robot_code, "processQueryKey": sent["processQueryKey"]}
    status = "/v1.0/robot/oToMessages/readStatus"
    assert [peer.call("GET", status, **query).status_code for _ in range(3)] == [400, 400, 200]


def test_query_by_the_key_alone(peer: Peer) -> None:
    """Conversation and robot are optional in a query, but must be the message's when they are given."""
    key = {"processQueryKey": peer.send(peer.media_id()).json()["processQueryKey"]}
    token = peer.new_token()
    assert [peer.post(QUERY, key, token).status_code for _ in range(2)] == [400, 200]
    elsewhere = {**key, "openConversationId": peer.sandbox.conversations[1].id}
    assert peer.post(QUERY, elsewhere, token).json()["code"] == "processQueryKey.expireTime"
    assert peer.post(QUERY, {**key, "robotCode": "dingother"}, token).status_code == 400


def test_to_persons(peer: Peer, sandbox: Sandbox) -> None:
    """A send to persons answers 200 with lists, also when a recipient is unknown."""
    body = {
        "robotCode": sandbox.robot_code,
        "userIds": ["manager1234", "nobody"],
        "msgKey": "sampleText",
        "msgParam": '{"content":"hi"}',
    }
    answer = peer.post(PERSON, body, peer.new_token()).json()
    assert answer.pop("processQueryKey")
    assert answer == {
        "invalidStaffIdList": ["nobody"],
        "flowControlledStaffIdList": [],
        "filteredStaffIdList": [],
    }
    assert [each.text for each in sandbox.messages("user:manager1234")] == ["hi"]
    for users, code in (
        (None, "MissinguserIds"),
        ([], "invalidParameter.userIds.empty"),
        (["u"] * 21, "invalidParameter.userIds.overMax"),
        ("u", "invalidParameter.param.invalid"),
    ):
        assert peer.post(PERSON, {**body, "userIds": users}, peer.new_token()).json()["code"] == code


def test_robots_of_a_group(peer: Peer, sandbox: Sandbox) -> None:
    """The list of robots holds ours where it is a member."""
    lists = {
        each.robot_inside: peer.post(
            "/v1.0/robot/groups/robots/query", {"openConversationId": each.id}, peer.new_token()
        ).json()["chatbotInstanceVOList"]
        for each in sandbox.conversations
    }
    assert [(each["robotCode"], each["openRobotType"]) for each in lists[True]] == [(sandbox.robot_code, 2)]
    assert lists[False] == []


def test_permission_for_the_robots_of_a_group(peer: Peer, sandbox: Sandbox) -> None:
    """Asking who is in a group takes another permission than sending to it, and has a code of its own."""
    sandbox.inject(Fault("robot/groups/robots/query", FaultKind.NO_PERMISSION))
    ask = "/v1.0/robot/groups/robots/query"
    refused = peer.post(ask, {"openConversationId": sandbox.conversations[0].id}, peer.new_token()).json()
    assert refused["accessdenieddetail"] == {"requiredScopes": ["qyapi_chat_manage"]}
    unknown = peer.post(ask, {"openConversationId": "cidAAAA=="}, peer.new_token())
    assert (unknown.status_code, unknown.json()["code"]) == (400, "illegal.openconevrsation.id")


def test_union_id(peer: Peer, sandbox: Sandbox) -> None:
    """A topapi takes JSON or a form, answers with request_id, and wraps its gate's refusals in errcode 88."""
    url = "/topapi/v2/user/get"
    answer = peer.post(f"{url}?access_token={peer.legacy_token()}", {"userid": "manager1234"}).json()
    assert answer["errcode"] == 0
    assert answer["result"]["unionid"] == sandbox.settings.operator_union_id
    assert answer["request_id"]
    form = {"access_token": peer.legacy_token(), "userid": "manager1234", "language": "zh_CN"}
    by_form = peer.session.post(f"{sandbox.url}{url}", data=form, timeout=10).json()
    assert by_form["result"] == answer["result"]
    refused = peer.post(f"{url}?access_token=wrong", {"userid": "manager1234"}).json()
    assert refused.pop("request_id")
    assert refused == {
        "errcode": 88,
        "sub_code": "40014",
        "sub_msg": "不合法的access_token",
        "errmsg": "ding talk error[subcode=40014,submsg=不合法的access_token]",
    }
    unknown = peer.post(f"{url}?access_token={peer.legacy_token()}", {"userid": "x"}).json()
    assert (unknown["errcode"], unknown["errmsg"]) == (60121, "找不到该用户")
    assert sandbox.billed() == 0


def test_unknown_paths(peer: Peer) -> None:
    """Each host family has its own answer to a path it does not know."""
    assert peer.get("/media/nothing").status_code == 200
    assert peer.get("/media/nothing").json() == {"errcode": 404, "errmsg": "请求的URI地址不存在"}
    topapi = peer.get("/topapi/flow/Form/save").json()
    assert topapi.pop("request_id")
    assert topapi == {
        "errcode": 22,
        "sub_msg": "不合法ApiName，ApiName = dingtalk.oapi.flow.Form.save",
        "errmsg": "Invalid method[submsg=不合法ApiName，ApiName = dingtalk.oapi.flow.Form.save]",
    }
    new = peer.get("/v1.0/robot/nothing")
    assert new.status_code == 404
    assert new.json().keys() == {"code", "message", "requestid"}


def test_wrong_methods(peer: Peer) -> None:
    """A known path with the wrong method is 43001 or 43002 here and 404 there."""
    assert peer.get("/media/upload").json() == {"errcode": 43002, "errmsg": "需要POST请求"}
    assert peer.post("/media/downloadFile", {}).json() == {"errcode": 43001, "errmsg": "需要GET请求"}
    assert peer.get(SEND).status_code == 404
