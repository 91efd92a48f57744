"""Every kind of recipient at the sandbox: what it is sent, under which name, and what can be taken back."""

import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from dingwatch.delivery import FolderPolicy, Send, Settings
from dingwatch.dingtalk import MEDIA_LIMIT, Account, Client, Content, SpaceFolder, connect
from dingwatch.model import Failure, Recipient, RecipientKind, Rejected
from dingwatch.notice_text import Message
from dingwatch.payload import PayloadPolicy
from dingwatch.recipients import KINDS, Address, File, Kind, Sender
from dingwatch.sandbox import Sandbox
from tests.integration.test_delivery import APP
from tests.integration.test_delivery_recipients import desk_of
from tests.support import messages_on_page

PERSON, ROBOT = "manager1234", "robot1"


@pytest.fixture(params=list(RecipientKind))
def kind(request: pytest.FixtureRequest) -> Kind:
    """Each kind in turn."""
    return KINDS[request.param]


class Stage:
    """The sandbox with one recipient of a kind, and a sender that reaches it."""

    def __init__(self, sandbox: Sandbox, client: Client, kind: Kind) -> None:
        group, robot = sandbox.conversations[0], sandbox.settings.webhooks[0]
        places = {
            RecipientKind.GROUP: (group.id, group.id),
            RecipientKind.PERSON: (PERSON, f"user:{PERSON}"),
            RecipientKind.CHAT: (group.chat_id, group.id),
            RecipientKind.WEBHOOK: (ROBOT, group.id),
        }
        self.id, self._page = places[kind.kind]
        self.recipient = str(Recipient(kind.kind, self.id))
        self.sandbox, self.client, self.kind = sandbox, client, kind
        self.operator = sandbox.settings.operator_union_id
        address = Address(f"{sandbox.url}/robot/send?access_token={robot.token}", robot.secret or None)
        self.sender = Sender(client, {ROBOT: address}, self.operator)
        if kind.host is not None:  # a send fetches no token: with the wrong host's it is refused
            client.fetch_token(kind.host)

    def upload(self, name: str, kind: str = "file") -> str:
        """Upload a file; return its media id."""
        return self.client.media.upload(name=name, content=b"content", kind=kind)

    def messages(self) -> list[dict[str, Any]]:
        """Return the messages that the recipient sees."""
        return messages_on_page(self.sandbox, self._page)


@pytest.fixture
def stage(kind: Kind, sandbox: Sandbox) -> Iterator[Stage]:
    """A stage for each kind in turn."""
    account = Account(sandbox.client_id, sandbox.client_secret, sandbox.robot_code, sandbox.url, sandbox.url)
    with connect(account, time) as client:
        yield Stage(sandbox, client, kind)


def test_it_is_sent_captions_and_notices(stage: Stage) -> None:
    """Both are texts with a title, and each message is another."""
    for number in range(2):
        stage.sender.send([stage.recipient], Message("title", f"text {number}"), f"uuid {number}")
    assert [message["text"].partition("\n")[2] for message in stage.messages()] == ["text 0", "text 1"]


def test_one_call_carries_a_message_to_as_many_as_it_takes(stage: Stage) -> None:
    """Those who do not exist are named, and the one who does has the message."""
    nobody = [f"nobody{number}" for number in range(stage.kind.batch - 1)]
    everybody = [stage.recipient, *(str(Recipient(stage.kind.kind, one)) for one in nobody)]
    receipt = stage.sender.send(everybody, Message("title", "text"), "uuid")
    assert sorted(receipt.missed) == sorted(nobody)
    assert len(stage.messages()) == 1


def test_it_is_sent_files_if_it_takes_any(stage: Stage) -> None:
    """A file has the name that people are to see, or that of its upload where there is no other."""
    file = File(stage.upload("uploaded.pdf"), "shown.pdf", "pdf")
    if stage.kind.takes_files:
        stage.sender.send([stage.recipient], file, "uuid")
        (message,) = stage.messages()
        assert message["file_name"] == ("uploaded.pdf" if stage.kind.shows_upload_name else "shown.pdf")
    else:
        with pytest.raises(Failure) as caught:
            stage.sender.send([stage.recipient], file, "uuid")
        assert isinstance(caught.value.verdict, Rejected)


def test_it_is_sent_pictures_if_it_takes_files(stage: Stage) -> None:
    """A picture goes inline, not as a file."""
    if stage.kind.takes_files:
        image = File(stage.upload("a.png", "image"), "a.png", "png", image=True)
        stage.sender.send([stage.recipient], image, "uuid")
        (message,) = stage.messages()
        assert "image" in message["msg_key"].lower()


def test_it_is_sent_entries_of_the_drive_if_it_can_get_them(stage: Stage) -> None:
    """A copy of the entry arrives, and its place comes back."""
    storage, content = stage.client.storage(stage.operator), b"large"
    space = SpaceFolder(storage.space(scene="dingwatch", scene_id="test").id)
    begun = storage.begin_whole(space)
    storage.put(begun.address, Content.of(content))
    entry = storage.commit(space, upload_key=begun.upload_key, name="large.iso", size=len(content))
    if stage.kind.entries is not None:
        copy = stage.sender.send_entry(stage.recipient, entry.space_id, entry.id)
        assert (copy.space_id, copy.id) != (entry.space_id, entry.id)
        assert [message["file_name"] for message in stage.messages()] == ["large.iso"]
    else:
        with pytest.raises(Failure) as caught:
            stage.sender.send_entry(stage.recipient, entry.space_id, entry.id)
        assert isinstance(caught.value.verdict, Rejected)


def test_its_messages_can_be_recalled_if_they_have_a_key(stage: Stage) -> None:
    """The send returns a key exactly where a call takes the message back by it."""
    receipt = stage.sender.send([stage.recipient], Message("title", "text"), "uuid")
    assert (receipt.key is None) == (stage.kind.recall is None)
    if stage.kind.recall is not None and receipt.key is not None:
        assert stage.kind.recall.call(stage.client, stage.id, receipt.key).done == (receipt.key,)


def test_it_is_known_who_has_read_its_messages_if_they_have_a_key(stage: Stage) -> None:
    """Who has read a message can be asked exactly where the robot's messages have a key."""
    receipt = stage.sender.send([stage.recipient], Message("title", "text"), "uuid")
    assert (receipt.key is None) == (stage.kind.receipts is None)
    if stage.kind.receipts is not None and receipt.key is not None:
        chat = stage.recipient
        before = stage.kind.receipts.ask(stage.client, stage.id, receipt.key, "", True)  # noqa: FBT003
        stage.sandbox.read(chat, "manager1234")
        after = stage.kind.receipts.ask(stage.client, stage.id, receipt.key, "", True)  # noqa: FBT003
        assert (before.status, before.read_by, after.read_by) == ("SUCCESS", (), ("manager1234",))


def test_check_asks_about_it_where_dingtalk_answers(stage: Stage) -> None:
    """DingTalk knows the robots and the space of what is inspectable, and of nothing else."""
    try:
        robots = stage.client.groups.robots(stage.id)
        space = stage.client.conversation_files(stage.operator).space(stage.id)
    except Failure:
        assert not stage.kind.inspectable
    else:
        assert stage.kind.inspectable
        assert stage.sandbox.robot_code in robots
        assert space


def test_the_loop_fills_a_call(kind: Kind, tmp_path: Path, ledger_url: str) -> None:
    """Recipients of a version share a call as far as the kind allows; one more has a call of its own."""
    everybody = [
        str(Recipient(kind.kind, f"{kind.id_prefix}{number:02}")) for number in range(kind.batch + 1)
    ]
    desk = desk_of(tmp_path, ledger_url, *everybody)
    send_as = "file" if kind.takes_files else "notice"
    policy = FolderPolicy(PayloadPolicy(APP, MEDIA_LIMIT, send_as=send_as))
    desk.settings = Settings(APP, folders={desk.mark.id: policy})
    desk.restart()
    desk.drop("a.pdf", *everybody)
    jobs = [job for _ in range(3) for job in desk.upload() if isinstance(job, Send)]
    assert sorted(len(job.rows) for job in jobs) == sorted([kind.batch, 1])
    desk.store.close()
