"""The service against the sandbox: every kind of recipient, and every way in which a message goes out."""

import os
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from dingwatch.config.values import Config, Folder, Webhook
from dingwatch.sandbox import Fault, FaultKind, Guesses, MediaRules, Message, Sandbox, Settings
from dingwatch.texts import Language, Log
from tests.ledger import deliveries, execute, pauses, states
from tests.security.leaks import Listener
from tests.support import Heard, config, eventually, folder, messages_on_page, running, sha256

PERSONS = "robot/oToMessages/batchSend"
GROUPS = "robot/groupMessages/send"
MANAGER, COLLEAGUE = "manager1234", "user2345"


def setting_of(tmp_path: Path, sandbox: Sandbox, share: Path, *groups: str, **changes: Any) -> Config:  # noqa: ANN401
    """Return a configuration with one folder."""
    return config(tmp_path / "state", sandbox, folder(share, *groups, **changes))


def with_folder(setting: Config, **changes: Any) -> Config:  # noqa: ANN401
    """Return a configuration whose folder is set otherwise."""
    changed: Folder = replace(setting.folders[0], **changes)
    return replace(setting, folders=(changed,))


def contents(messages: tuple[Message, ...]) -> list[str]:
    """Return what a conversation shows: words, or the name of a file."""
    return [message.file_name or message.text.partition("\n")[2] for message in messages]


# --- Persons -------------------------------------------------------------------------------------


def test_persons_get_a_file_in_one_call(tmp_path: Path, share: Path, sandbox: Sandbox) -> None:
    """One upload and one call for all persons of a folder, and each has the file."""
    setting = setting_of(tmp_path, sandbox, share, user_ids=(MANAGER, COLLEAGUE))
    with running(setting):
        (share / "报告.pdf").write_bytes(b"report")
        eventually(lambda: states(setting)["sent"] == 2)
    for person in (MANAGER, COLLEAGUE):
        assert contents(sandbox.person_messages(person)) == ["报告.pdf"]
    assert (sandbox.calls()["media/upload"], sandbox.calls()[PERSONS]) == (1, 1)
    keys = {row[0] for row in deliveries(setting, "process_query_key")}
    assert keys == {sandbox.person_messages(MANAGER)[0].process_query_key}


def test_twenty_persons_are_one_call_and_the_next_another(tmp_path: Path, share: Path) -> None:
    """DingTalk takes at most twenty at once."""
    users = {f"user{number:02}": f"union{number}" for number in range(23)}
    with Sandbox(settings=Settings(users=users)) as sandbox:
        setting = setting_of(tmp_path, sandbox, share, user_ids=tuple(users))
        with running(setting):
            (share / "a.pdf").write_text("a")
            eventually(lambda: states(setting)["sent"] == 23)
        assert sandbox.calls()[PERSONS] == 2
        assert all(len(sandbox.person_messages(user)) == 1 for user in users)


def test_one_person_that_is_none_costs_the_others_nothing(
    tmp_path: Path, share: Path, sandbox: Sandbox
) -> None:
    """An invalid user id pauses that person alone, by name and with what to do; no later call is for it."""
    setting = setting_of(tmp_path, sandbox, share, user_ids=(MANAGER, "nobody", COLLEAGUE))
    heard = Heard()
    with running(setting, heard):
        for calls, name in enumerate(("a.pdf", "b.pdf"), 1):
            (share / name).write_text(name)
            eventually(lambda n=2 * calls: states(setting)["sent"] == n)  # type: ignore[misc]
            assert sandbox.calls()[PERSONS] == calls
    assert states(setting) == {"sent": 4, "uploaded": 1, "pending": 1}
    assert deliveries(setting, "conversation_id", "code", "message", "advice")[1] == (
        "user:nobody",
        "invalid_user",
        "nobody",
        "PERSON",
    )
    paused = [(values["scope"], values["key"]) for text, values in heard.said if text is Log.PAUSED]
    assert paused == [("conversation", "user:nobody")]


def test_who_is_a_member_again_gets_what_came_meanwhile(
    tmp_path: Path, share: Path, sandbox: Sandbox
) -> None:
    """A restart asks at once, with the oldest file, and the others follow."""
    setting = setting_of(tmp_path, sandbox, share, user_ids=("nobody",))
    heard = Heard()
    with running(setting, heard):
        for name in ("a.pdf", "b.pdf"):
            (share / name).write_text(name)
            eventually(lambda: heard.count(Log.PAUSED) == 1)
        eventually(lambda: states(setting) == {"uploaded": 1, "pending": 1})
    assert sandbox.calls()[PERSONS] == 1
    guesses = Guesses(unknown_media_code="miss.param.file")
    with Sandbox(settings=Settings(users={"nobody": "union"}, guesses=guesses)) as other:
        with running(setting_of(tmp_path, other, share, user_ids=("nobody",))):
            eventually(lambda: states(setting) == {"sent": 2})
        assert other.calls()["media/upload"] == 2  # DingTalk has forgotten the first one's upload meanwhile


def test_who_is_flow_controlled_gets_it_later(tmp_path: Path, share: Path, sandbox: Sandbox) -> None:
    """The others have their file at once; for that one it is due again, and is not failed."""
    sandbox.flow_control(COLLEAGUE)
    setting = setting_of(tmp_path, sandbox, share, user_ids=(MANAGER, COLLEAGUE))
    with running(setting):
        (share / "a.pdf").write_text("a")
        eventually(lambda: states(setting) == {"sent": 1, "uploaded": 1})
        waiting = deliveries(setting, "state", "due", "uploaded_at")
        assert all(59 < due - at < 90 for state, due, at in waiting if state == "uploaded")
        sandbox.flow_control()
        execute(setting, "UPDATE deliveries SET due = 0")
    with running(setting):
        eventually(lambda: states(setting) == {"sent": 2})
    assert len(sandbox.person_messages(COLLEAGUE)) == len(sandbox.person_messages(MANAGER)) == 1


def test_a_lost_answer_leaves_all_persons_in_doubt(tmp_path: Path, share: Path, sandbox: Sandbox) -> None:
    """Whom it reached is not known of any of them."""
    made = setting_of(tmp_path, sandbox, share, user_ids=(MANAGER, COLLEAGUE))
    setting = replace(made, delivery=replace(made.delivery, on_uncertain="hold"))
    sandbox.inject(Fault(PERSONS, FaultKind.CUT_AFTER))
    with running(setting):
        (share / "a.pdf").write_text("a")
        eventually(lambda: states(setting) == {"uncertain": 2})


def test_a_call_refused_for_one_person_is_made_for_each_alone(
    tmp_path: Path, share: Path, sandbox: Sandbox
) -> None:
    """Which of them is meant is not said, and the others must not wait for that one."""
    setting = setting_of(tmp_path, sandbox, share, user_ids=(MANAGER, COLLEAGUE))
    sandbox.inject(Fault(PERSONS, FaultKind.ERROR, code="staffId.notExisted", status=400))
    with running(setting):
        (share / "a.pdf").write_text("a")
        eventually(lambda: states(setting) == {"sent": 2})
    assert sandbox.calls()[PERSONS] == 3


# --- Chats ---------------------------------------------------------------------------------------


def test_a_chat_gets_a_file_under_its_own_name(tmp_path: Path, share: Path, sandbox: Sandbox) -> None:
    """A chat shows the name of the upload: the same content under two names is uploaded twice for it."""
    chat = sandbox.conversations[0]
    setting = setting_of(tmp_path, sandbox, share, chat_ids=(chat.chat_id,))
    with running(setting):
        for name in ("a.pdf", "二.pdf"):
            (share / name).write_text("same")
            eventually(lambda n=name: n in contents(sandbox.messages(chat.id)))  # type: ignore[misc]
    assert contents(sandbox.messages(chat.id)) == ["a.pdf", "二.pdf"]
    assert sandbox.calls()["chat/send"] == sandbox.calls()["media/upload"] == 2


def test_a_chat_that_is_none_waits_for_a_person(tmp_path: Path, share: Path, sandbox: Sandbox) -> None:
    """It pauses that chat alone, and says what to look at."""
    group, heard = sandbox.conversations[0].id, Heard()
    setting = setting_of(tmp_path, sandbox, share, group, chat_ids=("chatNone",))
    with running(setting, heard):
        (share / "a.pdf").write_text("a")
        eventually(lambda: states(setting)["sent"] == 1 and heard.count(Log.PAUSED) == 1)
    ((scope, key, advice),) = [
        (values["scope"], values["key"], values["advice"])
        for text, values in heard.said
        if text is Log.PAUSED
    ]
    assert (scope, key, advice) == ("conversation", "chat:chatNone", "CHAT")


# --- Custom robots -------------------------------------------------------------------------------


def webhook(sandbox: Sandbox, number: int = 0) -> Webhook:
    """Return a custom robot as the config has it."""
    robot = sandbox.settings.webhooks[number]
    return Webhook(f"{sandbox.url}/robot/send?access_token={robot.token}", robot.secret or None)


def test_a_custom_robot_tells_of_files(tmp_path: Path, share: Path, sandbox: Sandbox) -> None:
    """Signed, without an upload or a call of the robot's."""
    setting = setting_of(
        tmp_path, sandbox, share, webhook=webhook(sandbox), send_as="notice", notice_location=r"\\nas\财务"
    )
    with running(replace(setting, language=Language.ZH)):
        (share / "年报.pdf").write_text("a")
        eventually(lambda: states(setting) == {"skipped": 1})
    (message,) = messages_on_page(sandbox, sandbox.conversations[0].id)
    assert message["sender"].startswith("robot:")
    assert message["text"] == "年报.pdf\n新文件：年报.pdf（1 B）\n\n位置：`\\\\nas\\财务\\年报.pdf`"
    assert sandbox.billed() == 0
    assert deliveries(setting, "code") == [("noticed",)]


def test_a_notice_carries_the_keyword_of_a_custom_robot(tmp_path: Path, share: Path) -> None:
    """The robot refuses our own words; with `notice_text` in the folder's config, people are told."""
    robot = replace(Settings().webhooks[0], secret="", keywords=("周报",))
    with Sandbox(settings=Settings(webhooks=(robot,))) as sandbox:
        setting = setting_of(tmp_path, sandbox, share, webhook=webhook(sandbox), send_as="notice")
        with running(setting):
            (share / "a.pdf").write_text("a")
            eventually(lambda: sandbox.calls().get("robot/send"))
        assert messages_on_page(sandbox, sandbox.conversations[0].id) == []
        own = replace(setting.folders[0], notice_text="周报通知：{name} {change}")
        with running(replace(setting, folders=(own,))):
            eventually(lambda: states(setting) == {"skipped": 1})
            (share / "a.pdf").write_text("ab")
            eventually(lambda: states(setting) == {"gone": 1, "skipped": 1})
        told = [message["text"] for message in messages_on_page(sandbox, sandbox.conversations[0].id)]
    assert told == ["a.pdf\n周报通知：a.pdf", "a.pdf\n周报通知：a.pdf new version"]


def test_a_file_of_which_only_a_notice_goes_is_not_read(
    tmp_path: Path, share: Path, sandbox: Sandbox
) -> None:
    """A film of 60 GB costs no reading; renamed it is the same, and written again it is told of again."""
    group = sandbox.conversations[0].id
    setting = setting_of(tmp_path, sandbox, share, group, large_files="notice")
    with running(setting):
        with (share / "film.mkv").open("wb") as film:
            film.truncate(60 << 30)
        eventually(lambda: states(setting) == {"skipped": 1})
        (share / "film.mkv").rename(share / "final.mkv")
        (share / "control.txt").write_text("control")
        eventually(lambda: states(setting)["sent"] == 1)
        with (share / "final.mkv").open("ab") as film:
            film.write(b"more")
        eventually(lambda: states(setting) == {"gone": 1, "sent": 1, "skipped": 1})
    digests = execute(setting, "SELECT name, sha256 IS NULL FROM versions ORDER BY id")
    assert digests == [(b"final.mkv", 1), (b"control.txt", 0), (b"final.mkv", 1)]


def test_a_file_that_is_too_large_is_not_read(tmp_path: Path, share: Path, sandbox: Sandbox) -> None:
    """It fails at once; retried under other settings it gets a notice."""
    setting = setting_of(tmp_path, sandbox, share, sandbox.conversations[0].id, large_files="fail")
    with running(setting):
        with (share / "film.mkv").open("wb") as film:
            film.truncate(21 << 20)
        eventually(lambda: states(setting) == {"failed": 1})
    assert execute(setting, "SELECT sha256 FROM versions") == [(None,)]
    execute(setting, "UPDATE deliveries SET state = 'pending', due = 0")
    with running(with_folder(setting, send_as="notice")):
        eventually(lambda: states(setting) == {"skipped": 1})
    assert execute(setting, "SELECT sha256 FROM versions") == [(None,)]


def test_a_file_that_was_to_get_a_notice_is_read_when_it_is_to_be_sent(
    tmp_path: Path, share: Path, sandbox: Sandbox
) -> None:
    """The folder's `send_as` was changed between; `retry` then sends the file itself."""
    setting = setting_of(tmp_path, sandbox, share, sandbox.conversations[0].id, send_as="notice")
    with running(setting):
        (share / "a.txt").write_bytes(b"content")
        eventually(lambda: states(setting) == {"skipped": 1})
    execute(setting, "UPDATE deliveries SET state = 'pending', due = 0")
    with running(with_folder(setting, send_as="file")):
        eventually(lambda: states(setting) == {"sent": 1})
    assert execute(setting, "SELECT sha256 FROM versions") == [(sha256(b"content"),)]


@pytest.mark.parametrize(
    "fault",
    [
        Fault("robot/send", FaultKind.CUT_AFTER),
        Fault("robot/send", FaultKind.ERROR, code=310000, message="sign not match"),
        Fault("robot/send", FaultKind.HTML),
    ],
)
def test_a_custom_robots_token_is_nowhere(
    tmp_path: Path, share: Path, sandbox: Sandbox, caplog: pytest.LogCaptureFixture, fault: Fault
) -> None:
    """Neither the log at any level, nor what is said, nor the ledger holds token, secret or signature."""
    sandbox.inject(fault)
    robot, heard, listener = webhook(sandbox), Heard(), Listener()
    setting = setting_of(tmp_path, sandbox, share, webhook=robot, send_as="notice")
    with running(setting, heard):
        (share / "a.pdf").write_text("a")
        eventually(lambda: states(setting) and (pauses(setting) or done(setting)))
    for secret in (sandbox.settings.webhooks[0].token, robot.secret or "", "&sign="):
        listener.learn(secret, "webhook")
    for path in setting.state_dir.iterdir():
        if path.is_file():
            listener.hear(path.name, path.read_bytes())
    listener.hear("said", heard.said)
    listener.hear("log", caplog.text)
    listener.hear("config", setting)
    assert listener.take() == []


def done(setting: Config) -> bool:
    """Return whether nothing is left to be sent."""
    return set(states(setting)) <= {"sent", "skipped"}


def test_a_custom_robots_lost_answer_is_no_doubt(tmp_path: Path, share: Path, sandbox: Sandbox) -> None:
    """What is sent again under the same uuid arrives once."""
    setting = setting_of(tmp_path, sandbox, share, webhook=webhook(sandbox, 1), send_as="notice")
    sandbox.inject(Fault("robot/send", FaultKind.CUT_AFTER, times=5))
    with running(setting):
        (share / "a.pdf").write_text("a")
        eventually(lambda: states(setting) == {"skipped": 1}, 40)
    assert len(sandbox.messages(sandbox.conversations[1].id)) == 1


def test_a_custom_robot_that_refuses_holds_back_nobody_else(
    tmp_path: Path, share: Path, sandbox: Sandbox
) -> None:
    """A wrong signature pauses that robot alone, by what it is known as and not by its token."""
    wrong = replace(webhook(sandbox), secret="SECwrong000000")
    heard, group = Heard(), sandbox.conversations[1].id
    setting = setting_of(tmp_path, sandbox, share, group, webhook=wrong, send_as="notice")
    with running(setting, heard):
        (share / "a.pdf").write_text("a")
        eventually(lambda: states(setting)["skipped"] == 1 and heard.count(Log.PAUSED) == 1)
    (paused,) = [values["key"] for text, values in heard.said if text is Log.PAUSED]
    assert paused == f"webhook:{wrong.id}"


def test_the_calls_of_custom_robots_are_a_quota_of_their_own(
    tmp_path: Path, share: Path, sandbox: Sandbox
) -> None:
    """Used up, it holds their notices until the next month, and nobody else's."""
    sandbox.limit(monthly_events=0)
    heard, group = Heard(), sandbox.conversations[1].id
    setting = setting_of(tmp_path, sandbox, share, group, webhook=webhook(sandbox), send_as="notice")
    with running(setting, heard):
        (share / "a.pdf").write_text("a")
        eventually(lambda: states(setting) == {"skipped": 1, "uploaded": 1} and heard.count(Log.PAUSED) == 1)
    (paused,) = [(v["scope"], v["key"], v["advice"]) for text, v in heard.said if text is Log.PAUSED]
    assert paused == ("api", "robot/send", "WEBHOOK_QUOTA")


# --- Notices -------------------------------------------------------------------------------------


def test_a_notice_reaches_everybody(tmp_path: Path, share: Path, sandbox: Sandbox) -> None:
    """Group, person and chat are told of the file in words that its name cannot break out of."""
    first, second = sandbox.conversations[:2]
    setting = setting_of(
        tmp_path, sandbox, share, first.id, user_ids=(MANAGER,), chat_ids=(second.chat_id,), send_as="notice"
    )
    with running(setting):
        (share / "[x](y) **z**.pdf").write_text("a")
        eventually(lambda: states(setting) == {"skipped": 3})
    for conversation in (first.id, f"user:{MANAGER}", second.id):
        (message,) = messages_on_page(sandbox, conversation)
        assert message["text"].endswith(r"New file: [x]\(y) \*\*z\*\*.pdf (1 B)")
        assert message["media_id"] is None
    assert sandbox.calls().get("media/upload", 0) == 0


def test_a_file_over_the_limit_is_told_of_without_an_operator(
    tmp_path: Path, share: Path, sandbox: Sandbox
) -> None:
    """People learn its size and its place; the row says that it was not sent itself."""
    group = sandbox.conversations[0].id
    setting = setting_of(tmp_path, sandbox, share, group, notice_location="/srv/share")
    with running(setting):
        with (share / "big.bin.iso").open("wb") as file:
            file.truncate(25_000_000)
        eventually(lambda: states(setting) == {"skipped": 1})
    assert messages_on_page(sandbox, group)[0]["text"] == (
        "big.bin.iso\nNew file: big.bin.iso (25 MB)\n\nLocation: `/srv/share/big.bin.iso`"
    )


# --- Pictures ------------------------------------------------------------------------------------


def test_pictures_are_shown_inline(tmp_path: Path, share: Path, sandbox: Sandbox) -> None:
    """`send_as: image` shows pictures to all, and sends the rest as files."""
    first, second = sandbox.conversations[:2]
    setting = setting_of(
        tmp_path, sandbox, share, first.id, user_ids=(MANAGER,), chat_ids=(second.chat_id,), send_as="image"
    )
    with running(setting):
        (share / "照片.PNG").write_bytes(b"\x89PNG")
        eventually(lambda: states(setting) == {"sent": 3})
        (share / "a.pdf").write_text("a")
        eventually(lambda: states(setting) == {"sent": 6})
    recipients = (first.id, f"user:{MANAGER}", second.id)
    kinds = [[m["msg_key"] for m in messages_on_page(sandbox, one)] for one in recipients]
    assert kinds == [["sampleImageMsg", "sampleFile"]] * 2 + [["image", "file"]]
    assert sandbox.calls()["media/upload"] == 2


def test_what_is_refused_as_a_picture_goes_as_a_file(tmp_path: Path, share: Path) -> None:
    """One refused call for a kind, and one for a size; what is known to be refused costs none."""
    rules = MediaRules()
    rules = replace(
        rules,
        limits={**rules.limits, "image": 1000},
        accepted={**rules.accepted, "image": frozenset({"png", "jpg"})},
    )
    heard = Heard()
    with Sandbox(settings=Settings(media=rules)) as sandbox:
        group = sandbox.conversations[0].id
        setting = setting_of(tmp_path, sandbox, share, group, send_as="image", unsupported="skip")
        for round_ in range(2):
            with running(setting, heard):
                for name, size in (("a.bmp", 10), ("b.png", 1001), ("c.png", 2000), ("d.jpg", 1000)):
                    (share / f"{round_}{name}").write_bytes(os.urandom(size))
                    eventually(
                        lambda n=f"{round_}{name}": n in [r[0].decode() for r in sent_names(setting)]  # type: ignore[misc]
                    )
        kinds = [m["msg_key"] for m in messages_on_page(sandbox, group)]
    assert kinds == ["sampleFile", "sampleFile", "sampleFile", "sampleImageMsg"] * 2
    assert heard.count(Log.IMAGE_REFUSED) == 2
    assert sandbox.calls()["media/upload"] == 8 + 2


def sent_names(setting: Config) -> list[tuple[bytes]]:
    """Return the names of the files that were sent."""
    return execute(
        setting, "SELECT name FROM versions JOIN deliveries ON version_id = versions.id WHERE state = 'sent'"
    )


# --- The line before a file ----------------------------------------------------------------------

TEMPLATE = "{name} · {size} · from {folder} · {change}"


def test_a_line_goes_before_each_file(tmp_path: Path, share: Path, sandbox: Sandbox) -> None:
    """To groups, persons and chats; that it is a new version is said of the second one."""
    first, second = sandbox.conversations[:2]
    setting = setting_of(
        tmp_path,
        sandbox,
        share,
        first.id,
        user_ids=(MANAGER, COLLEAGUE),
        chat_ids=(second.chat_id,),
        message=TEMPLATE,
    )
    with running(setting):
        (share / "a.pdf").write_text("one")
        eventually(lambda: states(setting) == {"sent": 4})
        (share / "a.pdf").write_text("two, longer")
        eventually(lambda: states(setting) == {"sent": 8})
    wanted = ["a.pdf · 3 B · from share", "a.pdf", "a.pdf · 11 B · from share · new version", "a.pdf"]
    for conversation in (first.id, second.id):
        assert contents(sandbox.messages(conversation)) == wanted
    for person in (MANAGER, COLLEAGUE):
        assert contents(sandbox.person_messages(person)) == wanted
    assert sandbox.calls()[PERSONS] == sandbox.calls()[GROUPS] == sandbox.calls()["chat/send"] == 4


def test_lines_and_files_keep_together(tmp_path: Path, share: Path, sandbox: Sandbox) -> None:
    """After a line the next message is its file, whatever else waits."""
    group = sandbox.conversations[0].id
    setting = setting_of(tmp_path, sandbox, share, group, message="{name}")
    with running(setting):
        for number in range(12):
            (share / f"{number}.pdf").write_bytes(os.urandom(20_000 if number % 3 else 10))
        eventually(lambda: states(setting) == {"sent": 12})
    messages = contents(sandbox.messages(group))
    assert messages[::2] == messages[1::2]
    assert len(set(messages)) == 12


@pytest.mark.parametrize(
    ("fault", "lines"),
    [
        (Fault(GROUPS, FaultKind.THROTTLE), 1),
        (Fault(GROUPS, FaultKind.CUT_AFTER), 1),
        (Fault(GROUPS, FaultKind.CUT_BEFORE), 0),
        (Fault(GROUPS, FaultKind.TOKEN_DEAD), 1),
        (Fault(GROUPS, FaultKind.ERROR, code="contain.notAllowed.text", status=400), 0),
    ],
)
def test_a_line_is_sent_at_most_once(
    tmp_path: Path, share: Path, sandbox: Sandbox, fault: Fault, lines: int
) -> None:
    """Certainly not sent, it goes again; perhaps sent or refused for good, it does not; the file goes."""
    group = sandbox.conversations[0].id
    setting = setting_of(tmp_path, sandbox, share, group, message="before {name}")
    sandbox.inject(fault)
    with running(setting):
        (share / "a.pdf").write_text("a")
        eventually(lambda: states(setting) == {"sent": 1})
    assert contents(sandbox.messages(group)) == ["before a.pdf"] * lines + ["a.pdf"]


def test_a_person_who_is_flow_controlled_gets_the_line_with_the_file(
    tmp_path: Path, share: Path, sandbox: Sandbox
) -> None:
    """The line waits as the file does, and the others have both."""
    sandbox.flow_control(COLLEAGUE)
    setting = setting_of(tmp_path, sandbox, share, user_ids=(MANAGER, COLLEAGUE), message="before {name}")
    with running(setting):
        (share / "a.pdf").write_text("a")
        eventually(lambda: states(setting) == {"sent": 1, "uploaded": 1})
        sandbox.flow_control()
        execute(setting, "UPDATE deliveries SET due = 0")
    with running(setting):
        eventually(lambda: states(setting) == {"sent": 2})
    assert contents(sandbox.person_messages(COLLEAGUE)) == ["before a.pdf", "a.pdf"]


# --- The drive -----------------------------------------------------------------------------------


def test_large_files_go_to_persons_and_chats(tmp_path: Path, share: Path, sandbox: Sandbox) -> None:
    """By the drive, one by one, and who they are to it is asked once."""
    chat = sandbox.conversations[0]
    made = setting_of(tmp_path, sandbox, share, user_ids=(MANAGER, COLLEAGUE), chat_ids=(chat.chat_id,))
    operator = sandbox.settings.operator_union_id
    setting = replace(made, dingtalk=replace(made.dingtalk, operator_union_id=operator))
    with running(setting):
        for number in range(2):
            with (share / f"{number}.iso").open("wb") as file:
                file.truncate(21_000_000 + number)
            eventually(lambda n=number: states(setting) == {"sent": 3 * (n + 1)}, 60)  # type: ignore[misc]
    for messages in (*map(sandbox.person_messages, (MANAGER, COLLEAGUE)), sandbox.messages(chat.id)):
        assert [(m.file_name, m.size) for m in messages] == [("0.iso", 21_000_000), ("1.iso", 21_000_001)]
    assert sandbox.calls()["topapi/v2/user/get"] == 2
    assert sandbox.calls()["im/chat/convertToOpenConversationId"] == 1
