"""Every JSON call there is: how it is made, what goes over the wire, and what comes back."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, Final

from dingwatch.dingtalk import (
    API_CHAT,
    API_COMMIT,
    API_CONVERSATION_SPACE,
    API_CONVERT,
    API_DELETE_ENTRY,
    API_DOWNLOAD_INFO,
    API_OPEN_INFO,
    API_ORGANISATION,
    API_PART_ADDRESSES,
    API_PARTS_BEGIN,
    API_QUERY,
    API_READ_STATUS,
    API_RECALL,
    API_RECALL_PERSONS,
    API_ROBOTS,
    API_SEND,
    API_SEND_ENTRY,
    API_SEND_ENTRY_TO,
    API_SEND_PERSONS,
    API_SPACE,
    API_TO_CONVERSATION,
    API_UPLOAD_INFO,
    API_USER,
    Client,
    Conflict,
    Entry,
    Host,
    ReadStatus,
    Recalled,
    Room,
    SampleFile,
    SampleImage,
    SampleMarkdown,
    SentEntry,
    SentToPersons,
    SignedAddress,
    SignedUpload,
    Space,
    SpaceFolder,
    file_message,
    image_message,
    markdown_message,
)
from tests.dingtalk.peers import TOKEN, Clock

SIGNED: Final = {
    "resourceUrls": ["https://zjk.trans.dingtalk.com/a?b=%2Bc", "https://sh.trans.dingtalk.com/a"],
    "headers": {"Authorization": "OSS key:signature", "x-oss-date": "Tue, 24 Nov 2026 10:00:00 GMT"},
    "expirationSeconds": 900,
    "region": "ZHANGJIAKOU",
    "internalResourceUrls": ["http://lippi-space-zjk.oss-cn-internal"],
}
ADDRESS: Final = SignedAddress(
    (SIGNED["resourceUrls"][0], SIGNED["resourceUrls"][1]),  # type: ignore[index]
    SIGNED["headers"],  # type: ignore[arg-type]
    Clock().now + 900,
    "ZHANGJIAKOU",
)
DENTRY: Final = {
    "id": "897",
    "spaceId": "865",
    "parentId": "0",
    "type": "FILE",
    "name": "报告.pdf",
    "size": 512,
    "version": 1,
    "uuid": "uuid-1",
}
ENTRY: Final = Entry("865", "897", "报告.pdf", 512, 1)
FILE: Final = {"file": {"id": "1", "spaceId": "2", "conversationId": "cid+/=", "name": "报告.pdf", "size": 5}}
SENT_ENTRY: Final = SentEntry("1", "2", "cid+/=", "报告.pdf")
FOLDER: Final = SpaceFolder("86/5")
PDF: Final = SampleFile("@lAzP", "报告.pdf", "pdf")
PDF_PARAM: Final = '{"mediaId": "@lAzP", "fileName": "报告.pdf", "fileType": "pdf"}'


@dataclass(frozen=True)
class Case:
    """One call: `repeated` says whether a lost answer makes it anew, `needs` what its answer must have."""

    api: str
    call: Callable[[Client], object]
    target: str
    sent: Mapping[str, Any] | None
    answer: Mapping[str, Any]
    value: object
    repeated: bool = True
    host: Host = Host.API
    needs: bool = True
    method: str | None = None

    @property
    def request_line(self) -> str:
        """What the request begins with; the token stands in it on the legacy host."""
        usual = "GET" if self.sent is None else "POST"
        return f"{self.method or usual} {self.target} HTTP/1.1"

    @property
    def good(self) -> dict[str, Any]:
        """The answer as its host gives it."""
        return {**({} if self.host is Host.API else {"errcode": 0, "errmsg": "ok"}), **self.answer}

    def __str__(self) -> str:
        return f"{self.api} {json.dumps(self.sent or {}, ensure_ascii=True)[:40]}"


def _legacy(path: str) -> str:
    return f"{path}?access_token={TOKEN}"


def _option(**more: object) -> dict[str, object]:
    return {"storageDriver": "DINGTALK", **more}


GROUP: Final = {"robotCode": "dingtest", "openConversationId": "cid+/="}
PERSONS: Final = {"robotCode": "dingtest", "userIds": ["u1", "u2", "u3", "u4"]}

ROBOT: Final = [
    Case(
        API_SEND,
        lambda c: c.groups.send(conversation_id="cid+/=", message=PDF),
        "/v1.0/robot/groupMessages/send",
        GROUP | {"msgKey": "sampleFile", "msgParam": PDF_PARAM},
        {"processQueryKey": "key"},
        "key",
        repeated=False,
    ),
    Case(
        API_SEND,
        lambda c: c.groups.send(conversation_id="cid+/=", message=SampleMarkdown("标题", "**2 GB**")),
        "/v1.0/robot/groupMessages/send",
        GROUP | {"msgKey": "sampleMarkdown", "msgParam": '{"title": "标题", "text": "**2 GB**"}'},
        {"processQueryKey": "key"},
        "key",
        repeated=False,
    ),
    Case(
        API_SEND,
        lambda c: c.groups.send(conversation_id="cid+/=", message=SampleImage("@lAzP")),
        "/v1.0/robot/groupMessages/send",
        GROUP | {"msgKey": "sampleImageMsg", "msgParam": '{"photoURL": "@lAzP"}'},
        {"processQueryKey": "key"},
        "key",
        repeated=False,
    ),
    Case(
        API_QUERY,
        lambda c: c.groups.read_status(conversation_id="cid+/=", process_query_key="k"),
        "/v1.0/robot/groupMessages/query",
        GROUP | {"processQueryKey": "k", "maxResults": 200},
        {"sendStatus": "SUCCESS", "readUserIds": ["manager1"], "hasMore": False},
        ReadStatus("SUCCESS", ("manager1",)),
    ),
    Case(
        API_RECALL,
        lambda c: c.groups.recall(conversation_id="cid+/=", process_query_keys=["k", "l"]),
        "/v1.0/robot/groupMessages/recall",
        GROUP | {"processQueryKeys": ["k", "l"]},
        {"successResult": ["k"], "failedResult": {"l": "expired"}},
        Recalled(("k",), {"l": "expired"}),
        repeated=False,
        needs=False,
    ),
    Case(
        API_ROBOTS,
        lambda c: c.groups.robots("cid+/="),
        "/v1.0/robot/groups/robots/query",
        {"openConversationId": "cid+/="},
        {"chatbotInstanceVOList": [{"robotCode": "dingtest", "name": "r"}]},
        ("dingtest",),
        needs=False,
    ),
    Case(
        API_SEND_PERSONS,
        lambda c: c.persons.send(user_ids=["u1", "u2", "u3", "u4"], message=PDF),
        "/v1.0/robot/oToMessages/batchSend",
        PERSONS | {"msgKey": "sampleFile", "msgParam": PDF_PARAM},
        {
            "processQueryKey": "key",
            "invalidStaffIdList": ["u2"],
            "flowControlledStaffIdList": ["u3"],
            "filteredStaffIdList": ["u4"],
        },
        SentToPersons("key", ("u1",), ("u2",), ("u3",), ("u4",)),
        repeated=False,
    ),
    Case(
        API_READ_STATUS,
        lambda c: c.persons.read_status("k+/="),
        "/v1.0/robot/oToMessages/readStatus?robotCode=dingtest&processQueryKey=k%2B%2F%3D",
        None,
        {
            "sendStatus": "SUCESS",
            "messageReadInfoList": [
                {"name": "曲大岳", "userId": "u1", "readStatus": "READ"},
                {"userId": "u2", "readStatus": "UNREAD"},
            ],
        },
        ReadStatus("SUCCESS", ("u1",), ("u2",), {"u1": "曲大岳"}),
    ),
    Case(
        API_RECALL_PERSONS,
        lambda c: c.persons.recall(["k"]),
        "/v1.0/robot/otoMessages/batchRecall",
        {"robotCode": "dingtest", "processQueryKeys": ["k"]},
        {"successResult": ["k"], "failedResult": {}},
        Recalled(("k",), {}),
        repeated=False,
        needs=False,
    ),
    Case(
        API_CONVERT,
        lambda c: c.conversations.open_id("chat/1"),
        "/v1.0/im/chat/chat%2F1/convertToOpenConversationId",
        {},
        {"openConversationId": "cidl1B8=="},
        "cidl1B8==",
    ),
]

DRIVE: Final = [
    Case(
        API_SPACE,
        lambda c: c.storage("op/1").space(scene="dingwatch", scene_id="财务-7", name="财务"),
        "/v1.0/storage/spaces?unionId=op%2F1",
        {
            "option": {
                "scene": "dingwatch",
                "sceneId": "财务-7",
                "ownerType": "USER",
                "name": "财务",
            }
        },
        {"space": {"id": "833", "name": "财务", "usedQuota": 1024, "quota": 1048576, "status": "NORMAL"}},
        Space("833", "财务", 1024, 1048576),
    ),
    Case(
        API_UPLOAD_INFO,
        lambda c: c.storage("op").begin_whole(FOLDER, 512),
        "/v1.0/storage/spaces/86%2F5/files/uploadInfos/query?unionId=op",
        {
            "protocol": "HEADER_SIGNATURE",
            "multipart": False,
            "option": _option(
                preCheckParam={"size": 512, "parentId": "0"},
                preferIntranet=False,
            ),
        },
        {"uploadKey": "up", "protocol": "HEADER_SIGNATURE", "headerSignatureInfo": SIGNED},
        SignedUpload("up", ADDRESS),
    ),
    Case(
        API_PARTS_BEGIN,
        lambda c: c.storage("op").begin_parts(FOLDER, 512),
        "/v1.0/storage/spaces/86%2F5/files/multiPartUploadInfos/init?unionId=op",
        {"option": _option(preCheckParam={"size": 512, "parentId": "0"})},
        {"uploadKey": "up", "storageDriver": "DINGTALK"},
        "up",
    ),
    Case(
        API_PART_ADDRESSES,
        lambda c: c.storage("op").part_addresses("up", [1, 2]),
        "/v1.0/storage/spaces/files/multiPartUploadInfos/query?unionId=op",
        {"uploadKey": "up", "partNumbers": [1, 2], "option": {"preferIntranet": False}},
        {
            "multipartHeaderSignatureInfos": [
                {"partNumber": 2, "headerSignatureInfo": SIGNED},
                {"partNumber": 1, "headerSignatureInfo": SIGNED},
            ]
        },
        {1: ADDRESS, 2: ADDRESS},
    ),
    Case(
        API_COMMIT,
        lambda c: c.storage("op").commit(FOLDER, upload_key="up", name="报告.pdf", size=512),
        "/v1.0/storage/spaces/86%2F5/files/commit?unionId=op",
        {
            "uploadKey": "up",
            "name": "报告.pdf",
            "parentId": "0",
            "option": {"size": 512, "conflictStrategy": "AUTO_RENAME"},
        },
        {"dentry": DENTRY},
        ENTRY,
        repeated=False,
    ),
    Case(
        API_COMMIT,
        lambda c: c.storage("op").commit(
            FOLDER, upload_key="up", name="报告.pdf", size=512, conflict=Conflict.OVERWRITE
        ),
        "/v1.0/storage/spaces/86%2F5/files/commit?unionId=op",
        {
            "uploadKey": "up",
            "name": "报告.pdf",
            "parentId": "0",
            "option": {"size": 512, "conflictStrategy": "OVERWRITE"},
        },
        {"dentry": DENTRY},
        ENTRY,
        repeated=False,
    ),
    Case(
        API_DOWNLOAD_INFO,
        lambda c: c.storage("op").download_address("86/5", "897"),
        "/v1.0/storage/spaces/86%2F5/dentries/897/downloadInfos/query?unionId=op",
        {"option": {"preferIntranet": False}},
        {"protocol": "HEADER_SIGNATURE", "headerSignatureInfo": SIGNED},
        ADDRESS,
    ),
    Case(
        API_OPEN_INFO,
        lambda c: c.storage("op").open_address("86/5", "897"),
        "/v1.0/storage/spaces/86%2F5/dentries/897/openInfos/query?unionId=op",
        {"option": {"type": "PREVIEW", "checkLogin": True}},
        {"url": "https://space.dingtalk.com/preview?a=b&c=%2F", "hasWaterMark": False},
        "https://space.dingtalk.com/preview?a=b&c=%2F",
    ),
    Case(
        API_DELETE_ENTRY,
        lambda c: c.storage("op").delete("86/5", "897"),
        "/v1.0/storage/spaces/86%2F5/dentries/897?unionId=op&toRecycleBin=false",
        None,
        {"async": True, "taskId": "t"},
        None,
        needs=False,
        method="DELETE",
    ),
    Case(
        API_ORGANISATION,
        lambda c: c.storage("op").room("ding/1"),
        "/v1.0/storage/orgs/ding%2F1?unionId=op",
        None,
        {
            "org": {
                "corpId": "ding/1",
                "partitions": [
                    {"partitionType": "PUBLIC_OSS_PARTITION", "quota": {"max": 100, "used": 7}},
                    {"partitionType": "MINI_OSS_PARTITION", "quota": {"max": 50, "used": 1}},
                ],
            }
        },
        Room(8, 150),
    ),
    Case(
        API_CONVERSATION_SPACE,
        lambda c: c.conversation_files("op").space("cid+/="),
        "/v1.0/convFile/conversations/spaces/query?unionId=op",
        {"openConversationId": "cid+/="},
        {"space": {"spaceId": "798", "corpId": "ding1"}},
        "798",
    ),
    Case(
        API_SEND_ENTRY,
        lambda c: c.conversation_files("op").send(conversation_id="cid+/=", space_id="8", entry_id="9"),
        "/v1.0/convFile/conversations/files/send?unionId=op",
        {"spaceId": "8", "dentryId": "9", "openConversationId": "cid+/="},
        FILE,
        SENT_ENTRY,
        repeated=False,
    ),
    Case(
        API_SEND_ENTRY_TO,
        lambda c: c.conversation_files("op").send_to_person(union_id="re/1", space_id="8", entry_id="9"),
        "/v1.0/convFile/apps/conversations/files/send?unionId=re%2F1",
        {"spaceId": "8", "dentryId": "9"},
        FILE,
        SENT_ENTRY,
        repeated=False,
    ),
]

LEGACY: Final = [
    Case(
        API_USER,
        lambda c: c.contacts.union_id("user1"),
        _legacy("/topapi/v2/user/get"),
        {"userid": "user1"},
        {"result": {"unionid": "z21H", "userid": "user1"}},
        "z21H",
        host=Host.OAPI,
    ),
    Case(
        API_CHAT,
        lambda c: c.legacy.send_to_chat(chat_id="chat1", message=file_message("@lAzP")),
        _legacy("/chat/send"),
        {"chatid": "chat1", "msg": {"msgtype": "file", "file": {"media_id": "@lAzP"}}},
        {"messageId": "msgpjzC"},
        "msgpjzC",
        repeated=False,
        host=Host.OAPI,
    ),
    Case(
        API_CHAT,
        lambda c: c.legacy.send_to_chat(chat_id="chat1", message=markdown_message("标题", "文")),
        _legacy("/chat/send"),
        {"chatid": "chat1", "msg": {"msgtype": "markdown", "markdown": {"title": "标题", "text": "文"}}},
        {"messageId": "msgpjzC"},
        "msgpjzC",
        repeated=False,
        host=Host.OAPI,
    ),
    Case(
        API_CHAT,
        lambda c: c.legacy.send_to_chat(chat_id="chat1", message=image_message("@lAzP")),
        _legacy("/chat/send"),
        {"chatid": "chat1", "msg": {"msgtype": "image", "image": {"media_id": "@lAzP"}}},
        {"messageId": "msgpjzC"},
        "msgpjzC",
        repeated=False,
        host=Host.OAPI,
    ),
    Case(
        API_TO_CONVERSATION,
        lambda c: c.legacy.send_to_conversation(sender="u1", cid="1", message=file_message("@lAzP")),
        _legacy("/message/send_to_conversation"),
        {
            "sender": "u1",
            "cid": "1",
            "msg": {"msgtype": "file", "file": {"media_id": "@lAzP"}},
        },
        {"errcode": "0", "receiver": "u1|u2"},
        ("u1", "u2"),
        repeated=False,
        host=Host.OAPI,
        needs=False,
    ),
]

CASES: Final = [*ROBOT, *DRIVE, *LEGACY]
