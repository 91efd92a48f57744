"""What people see in their folder of what became of their files, through the running service."""

import logging
import os
import shutil
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from dingwatch.config.values import Config
from dingwatch.feedback import Executor
from dingwatch.feedback.jobs import Changed, MoveFiles, Over
from dingwatch.ledger.moves import Move, Phase
from dingwatch.model import Fingerprint
from dingwatch.sandbox import Fault, FaultKind, Sandbox
from dingwatch.service.daemon import Service
from dingwatch.texts import Language, Log
from tests.integration.conftest import Machine
from tests.ledger import execute, states
from tests.support import Heard, eventually, names, running, sent
from tests.support import config as config_of
from tests.support import folder as folder_of

SEND = "robot/groupMessages/send"
LISTS = ("not-sent-files.txt", "未发送的文件.txt")


@pytest.fixture
def setting(tmp_path: Path, share: Path, sandbox: Sandbox) -> Config:
    """One folder with both kinds of feedback."""
    one = folder_of(share, sandbox.conversations[0].id, feedback="sidecar", after_send="move")
    return config_of(tmp_path / "state", sandbox, replace(one, unsupported="skip"))


def changed(setting: Config, **changes: Any) -> Config:  # noqa: ANN401
    """Return a configuration with another folder."""
    return replace(setting, folders=(replace(setting.folders[0], **changes),))


def tree(share: Path) -> set[str]:
    """Return the paths of all files beneath a folder."""
    return {str(path.relative_to(share)) for path in share.rglob("*") if path.is_file()}


def month() -> str:
    """Return this month in local time."""
    return datetime.now(UTC).astimezone().strftime("%Y-%m")


def becomes(share: Path, *wanted: str) -> None:
    """Wait until exactly these files lie in a folder; `M` stands for the directory of this month."""
    expected = {one.replace("M/", f"{month()}/", 1) for one in wanted}
    eventually(lambda: tree(share) == expected)


def rest(service: Service) -> None:
    """Wait until all that was sent has been moved and has rested."""
    loop = service._feedback.loop
    eventually(lambda: not execute(service.config, "SELECT 1 FROM moves") and loop._next_at is None)


# --- Sidecars --------------------------------------------------------------------------------------


def test_a_skipped_file_has_a_sidecar_until_it_is_removed(setting: Config, share: Path) -> None:
    """It says what to do, and no more than the skipped file has one."""
    with running(setting):
        (share / "报告").write_text("a name without extension")
        (share / "sub").mkdir()
        (share / "sub" / "other").write_text("the same in a directory")
        becomes(share, "报告", "报告.not-sent.txt", "sub/other", "sub/other.not-sent.txt")
        text = (share / "报告.not-sent.txt").read_text("utf-8-sig")
        assert "“报告” was not sent" in text
        assert "zip" in text
        (share / "报告").unlink()
        becomes(share, "sub/other", "sub/other.not-sent.txt")


def test_a_failed_file_has_a_sidecar_until_it_was_sent(
    setting: Config, share: Path, sandbox: Sandbox
) -> None:
    """In the language of the configuration, and gone when a retry succeeds."""
    sandbox.inject(Fault("media/upload", FaultKind.ERROR, code=40058, times=1))
    with running(replace(changed(setting, after_send="keep"), language=Language.ZH)) as service:
        (share / "a.pdf").write_text("content")
        becomes(share, "a.pdf", "a.pdf.未发送.txt")
        assert states(setting) == {"failed": 1}
        execute(setting, "UPDATE deliveries SET state = 'pending', due = 0")
        service._wake()
        eventually(sent(sandbox, 1))
        becomes(share, "a.pdf")


def test_what_is_held_has_sidecars_until_it_is_released(
    share: Path, sandbox: Sandbox, machine: Machine
) -> None:
    """A flood waits for a person, and the people who dropped the files are told."""
    machine.set_folder(feedback="sidecar", hold_over=2)
    machine.start()
    for number in range(3):
        (share / f"{number}.pdf").write_text(str(number))
    eventually(lambda: len(list(share.glob("*.not-sent.txt"))) == 3)
    assert "on hold" in (share / "0.pdf.not-sent.txt").read_text("utf-8-sig")
    assert machine.call("release", "share").exit_code == 0
    eventually(sent(sandbox, 3))
    becomes(share, "0.pdf", "1.pdf", "2.pdf")


@pytest.mark.parametrize("answer", ["--sent", "--resend"])
def test_an_uncertain_file_has_a_sidecar_under_hold_alone(
    share: Path, sandbox: Sandbox, machine: Machine, answer: str
) -> None:
    """A person who looks into the chat knows more than dingwatch."""
    machine.settings["delivery"] = {"on_uncertain": "hold"}
    machine.set_folder(feedback="sidecar")
    machine.start()
    sandbox.inject(Fault(SEND, FaultKind.CUT_AFTER))
    (share / "a.pdf").write_text("content")
    becomes(share, "a.pdf", "a.pdf.not-sent.txt")
    (line,) = machine.history()
    assert line["state"] == "uncertain"
    assert machine.call("resolve", str(line["id"]), answer).exit_code == 0
    becomes(share, "a.pdf")


def test_what_needs_nobody_has_no_sidecar(setting: Config, share: Path, sandbox: Sandbox) -> None:
    """A notice went out, a name is sent once: that is as the folder is set up."""
    (share / "old.pdf").write_text("old")
    with running(changed(setting, send_as="notice", on_change="ignore", include=("*.pdf",))) as service:
        (share / "a.pdf").write_text("a")
        eventually(lambda: states(setting) == {"skipped": 1})
        (share / "old.pdf").write_text("new content")
        eventually(lambda: states(setting) == {"skipped": 2})
        rest(service)
        assert tree(share) == {"a.pdf", "old.pdf"}
    assert not names(sandbox)[1:]


def test_an_edited_sidecar_is_left_and_never_sent(setting: Config, share: Path, sandbox: Sandbox) -> None:
    """Somebody has written down what the colleague said; that is theirs."""
    with running(setting):
        (share / "file").write_text("no extension")
        becomes(share, "file", "file.not-sent.txt")
        with (share / "file.not-sent.txt").open("a") as note:
            note.write("asked Li")
        (share / "file").unlink()
        (share / "other.pdf").write_text("is sent")
        becomes(share, "file.not-sent.txt", "Sent/M/other.pdf")
    assert names(sandbox) == ["other.pdf"]
    assert (share / "file.not-sent.txt").read_text("utf-8-sig").endswith("asked Li")


def test_a_name_that_is_taken_is_not_replaced(setting: Config, share: Path) -> None:
    """The note has a number then."""
    (share / "file.not-sent.txt").write_text("theirs")
    with running(setting):
        (share / "file").write_text("no extension")
        becomes(share, "file", "file.not-sent.txt", "file (2).not-sent.txt")
        assert (share / "file.not-sent.txt").read_text() == "theirs"
        (share / "file").unlink()
        becomes(share, "file.not-sent.txt")


def test_a_sidecar_that_somebody_deletes_stays_away(setting: Config, share: Path) -> None:
    """It was read."""
    with running(setting) as service:
        (share / "file").write_text("no extension")
        becomes(share, "file", "file.not-sent.txt")
        (share / "file.not-sent.txt").unlink()
        (share / "more").write_text("another")
        becomes(share, "file", "more", "more.not-sent.txt")
        rest(service)
        assert not (share / "file.not-sent.txt").exists()


def test_many_unsent_files_have_one_list(setting: Config, share: Path) -> None:
    """Above fifty one list names all; when they are fewer again, each has its own."""
    with running(setting):
        for number in range(51):
            (share / f"file{number:02}").write_text(str(number))
        eventually(lambda: len(tree(share)) == 52 and (share / LISTS[0]).exists())
        eventually(lambda: (share / LISTS[0]).read_text("utf-8-sig").count("  file") == 51)
        (share / "file00").unlink()
        eventually(lambda: len(list(share.glob("*.not-sent.txt"))) == 50)
        eventually(lambda: not (share / LISTS[0]).exists())


def test_a_list_returns_once_its_name_is_free(
    setting: Config, share: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Somebody has kept notes in the old list, and deletes it when the next files fail."""
    monkeypatch.setattr("dingwatch.feedback.loop.TAKEN_SECONDS", 2.5)
    (share / LISTS[0]).write_text("theirs")
    with running(setting):
        for number in range(51):
            (share / f"file{number:02}").write_text(str(number))
        eventually(lambda: len(execute(setting, "SELECT 1 FROM deliveries WHERE state = 'skipped'")) == 51)
        eventually(lambda: execute(setting, "SELECT 1 FROM sidecars"))
        eventually(lambda: not execute(setting, "SELECT 1 FROM sidecars"))
        assert (share / LISTS[0]).read_text() == "theirs"
        (share / LISTS[0]).unlink()
        eventually((share / LISTS[0]).exists)


def test_sidecars_follow_the_settings_without_a_restart(machine: Machine, share: Path) -> None:
    """Turned off, they go; in another language they have other names."""
    machine.set_folder(feedback="sidecar", unsupported="skip")
    machine.start()
    (share / "file").write_text("no extension")
    becomes(share, "file", "file.not-sent.txt")
    machine.settings["language"] = "zh"
    machine.write()
    assert machine.call("reload").exit_code == 0
    becomes(share, "file", "file.未发送.txt")
    machine.set_folder(feedback="none")
    assert machine.call("reload").exit_code == 0
    becomes(share, "file")
    machine.set_folder(feedback="sidecar")
    assert machine.call("reload").exit_code == 0
    becomes(share, "file", "file.未发送.txt")
    machine.settings["folders"] = []
    machine.write()
    assert machine.call("reload").exit_code == 0
    becomes(share, "file")


def test_sidecars_that_were_turned_off_go_at_the_next_start(setting: Config, share: Path) -> None:
    """So do those of a folder that has left the configuration; one that was planned, too."""
    with running(setting):
        (share / "file").write_text("no extension")
        becomes(share, "file", "file.not-sent.txt")
    (share / "half.not-sent.txt").write_bytes(b"\xef\xbb\xbf\xe2")
    content = (share / "file.not-sent.txt").read_bytes().hex()
    half = f"1, CAST('half.not-sent.txt' AS BLOB), 99, x'{content}', 'planned'"
    execute(setting, f"INSERT INTO sidecars(folder_id, path, version_id, content, phase) VALUES ({half})")  # noqa: S608
    with running(replace(setting, folders=())):
        becomes(share, "file")


# --- Moves -----------------------------------------------------------------------------------------


def test_a_sent_file_is_moved_to_the_month_in_which_it_was_sent(
    setting: Config, share: Path, sandbox: Sandbox
) -> None:
    """Its directory is kept, and so is its content; what was there before stays."""
    (share / "old.pdf").write_text("old")
    share.chmod(0o2770)
    with running(setting):
        (share / "a.pdf").write_text("a")
        (share / "sub").mkdir()
        (share / "sub" / "a.pdf").write_text("b")
        becomes(share, "old.pdf", "Sent/M/a.pdf", "Sent/M/sub/a.pdf")
    assert names(sandbox) == ["a.pdf", "a.pdf"]
    moved = share / "Sent" / month()
    assert (moved / "a.pdf").read_text() == "a"
    assert {oct(one.stat().st_mode) for one in (share / "Sent", moved, moved / "sub")} == {
        oct(share.stat().st_mode)
    }


def test_the_same_file_dropped_again_is_new(setting: Config, share: Path, sandbox: Sandbox) -> None:
    """With its old time too, and by a move: each is sent, and gets a number."""
    with running(setting) as service:
        for number in range(1, 4):
            (share / "a.pdf").write_text("the same")
            os.utime(share / "a.pdf", (1_700_000_000, 1_700_000_000))
            eventually(sent(sandbox, number))
            eventually(lambda: len(tree(share)) == number and not (share / "a.pdf").exists())  # noqa: B023
        becomes(share, "Sent/M/a.pdf", "Sent/M/a (2).pdf", "Sent/M/a (3).pdf")
        rest(service)
        (share / "Sent" / month() / "a (2).pdf").rename(share / "b.pdf")
        eventually(sent(sandbox, 4))
        becomes(share, "Sent/M/a.pdf", "Sent/M/b.pdf", "Sent/M/a (3).pdf")
        shutil.copy2(share / "Sent" / month() / "a.pdf", share / "c.pdf")
        eventually(sent(sandbox, 5))
    assert names(sandbox) == ["a.pdf", "a.pdf", "a.pdf", "b.pdf", "c.pdf"]


def test_a_name_is_free_although_each_is_sent_once(setting: Config, share: Path, sandbox: Sandbox) -> None:
    """What was moved away is not there any more, so `on_change: ignore` has nothing to compare with."""
    with running(changed(setting, on_change="ignore")):
        (share / "a.pdf").write_text("first")
        becomes(share, "Sent/M/a.pdf")
        (share / "a.pdf").write_text("second")
        becomes(share, "Sent/M/a.pdf", "Sent/M/a (2).pdf")
    assert names(sandbox) == ["a.pdf", "a.pdf"]


def test_a_file_stays_until_all_recipients_have_it(setting: Config, share: Path, sandbox: Sandbox) -> None:
    """One that one group lacks is not done with; it is moved when that has it."""
    one, other = (conversation.id for conversation in sandbox.conversations[:2])
    sandbox.inject(Fault(SEND, FaultKind.ERROR, code="invalidParameter.content.unsupported", status=400))
    with running(changed(setting, conversation_ids=(one, other))) as service:
        (share / "a.pdf").write_text("content")
        eventually(lambda: states(setting) == {"sent": 1, "failed": 1})
        becomes(share, "a.pdf", "a.pdf.not-sent.txt")
        (share / "b.pdf").write_text("what all have is moved meanwhile")
        becomes(share, "a.pdf", "a.pdf.not-sent.txt", "Sent/M/b.pdf")
        rest(service)
        assert (share / "a.pdf").exists()
        execute(setting, "UPDATE deliveries SET state = 'pending', due = 0 WHERE state = 'failed'")
        service._wake()
        becomes(share, "Sent/M/a.pdf", "Sent/M/b.pdf")


def test_a_copy_is_new_although_its_original_was_moved_away_meanwhile(
    setting: Config, share: Path, sandbox: Sandbox
) -> None:
    """It was there before the original left its path, so it was not made of it by a rename."""
    lock = share / "~$copy.docx"
    lock.write_text("who has it open")
    with running(setting) as service:
        (share / "copy.docx").write_text("the same")
        eventually(lambda: service.watching()[1][1] == 1)
        (share / "original.docx").write_text("the same")
        becomes(share, "copy.docx", lock.name, "Sent/M/original.docx")
        eventually(lambda: execute(setting, "SELECT 1 FROM versions WHERE moved_to IS NOT NULL"))
        lock.unlink()
        becomes(share, "Sent/M/copy.docx", "Sent/M/original.docx")
    assert names(sandbox) == ["original.docx", "copy.docx"]


def test_a_file_that_somebody_has_open_is_moved_once_it_is_closed(
    setting: Config, share: Path, sandbox: Sandbox, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A document that moves away while it is being edited could not be saved."""
    monkeypatch.setattr("dingwatch.feedback.loop.IN_USE_SECONDS", 0.2)
    lock = share / "~$a.docx"
    with running(changed(setting, after_send="keep")):
        (share / "a.docx").write_text("content")
        eventually(sent(sandbox, 1))
    lock.write_text("who has it open")
    with running(setting) as service:
        (share / "b.pdf").write_text("content")
        becomes(share, "a.docx", lock.name, "Sent/M/b.pdf")
        lock.unlink()
        becomes(share, "Sent/M/a.docx", "Sent/M/b.pdf")
        rest(service)


def test_a_file_that_changes_after_its_move_is_moved_back_and_sent(
    setting: Config, share: Path, sandbox: Sandbox
) -> None:
    """A program goes on writing under the new name, which it has open; people get what it wrote."""
    heard = Heard()
    with running(changed(setting, settle=3.0), heard):
        (share / "a.pdf").write_text("first")
        becomes(share, "Sent/M/a.pdf")
        with (share / "Sent" / month() / "a.pdf").open("a") as late:
            late.write(" and second")
        eventually(sent(sandbox, 2))
        becomes(share, "Sent/M/a.pdf")
    assert names(sandbox) == ["a.pdf", "a.pdf"]
    assert (share / "Sent" / month() / "a.pdf").read_text() == "first and second"
    assert heard.count(Log.PUT_BACK) == 1


def test_what_was_only_touched_after_its_move_is_not_sent_again(
    setting: Config, share: Path, sandbox: Sandbox
) -> None:
    """It is moved back, known by its content, and moved once more."""
    heard = Heard()
    with running(changed(setting, settle=3.0), heard):
        (share / "a.pdf").write_text("first")
        becomes(share, "Sent/M/a.pdf")
        os.utime(share / "Sent" / month() / "a.pdf")
        eventually(lambda: heard.count(Log.PUT_AWAY) == 2)
        lines = [one for one in heard._log.tail() if one.text is Log.PUT_AWAY]
        assert {one.level for one in lines} == {logging.INFO}  # nobody has to act
        becomes(share, "Sent/M/a.pdf")
    assert names(sandbox) == ["a.pdf"]


def test_what_was_sent_before_is_moved_when_the_key_is_set(
    machine: Machine, share: Path, sandbox: Sandbox
) -> None:
    """Without a restart; set back to keep, what was moved stays, and the directories are left out."""
    machine.set_folder(unsupported="skip")
    machine.start()
    (share / "a.pdf").write_text("a")
    eventually(sent(sandbox, 1))
    machine.set_folder(after_send="move")
    assert machine.call("reload").exit_code == 0
    becomes(share, "Sent/M/a.pdf")
    machine.set_folder(after_send="keep")
    assert machine.call("reload").exit_code == 0
    (share / "b.pdf").write_text("b")
    (share / "Sent" / "c.pdf").write_text("c")
    (share / "已发送").mkdir()
    (share / "已发送" / "d.pdf").write_text("d")
    eventually(sent(sandbox, 2))
    (share / "e.pdf").write_text("e")
    eventually(sent(sandbox, 3))
    assert names(sandbox) == ["a.pdf", "b.pdf", "e.pdf"]
    becomes(share, "b.pdf", "e.pdf", "Sent/M/a.pdf", "Sent/c.pdf", "已发送/d.pdf")


def test_the_story_says_where_a_file_is(machine: Machine, share: Path, sandbox: Sandbox) -> None:
    """By either of its paths, and in the history; `check` says what it can do."""
    machine.set_folder(after_send="move", feedback="sidecar")
    machine.start()
    (share / "a.pdf").write_text("a")
    place = f"Sent/{month()}/a.pdf"
    becomes(share, "Sent/M/a.pdf")
    eventually(lambda: execute(machine, "SELECT 1 FROM versions WHERE moved_to IS NOT NULL"))
    for path in (share / "a.pdf", share / place, place):
        done = machine.call("why", str(path))
        assert done.exit_code == 0
        assert f"moved to {place} after it was sent" in done.output
        assert "no longer exists" not in done.output
        assert "excludes it" not in done.output
    assert f"→ {place}" in machine.call("why", "--verbose", str(share / place)).output
    assert f"moved to {place}" in machine.call("history").output
    (line,) = machine.history()
    assert (line["path"], line["state"]) == ("a.pdf", "sent")
    (share / "Sent" / "theirs.pdf").write_text("by hand")
    assert "/Sent/" in machine.call("why", str(share / "Sent" / "theirs.pdf")).output
    done = machine.call("check", "--offline")
    assert done.exit_code == 0
    assert "can be written to" in done.output
    machine.call("retry", str(line["id"]))
    assert len(sandbox.messages(sandbox.conversations[0].id)) == 1


def test_a_file_in_the_place_of_the_directory_keeps_files_where_they_are(
    setting: Config, share: Path, sandbox: Sandbox
) -> None:
    """They are sent all the same; that is logged once, with the name that is in the way."""
    (share / "Sent").write_text("a file of that name")
    heard = Heard()
    with running(setting, heard):
        for number in range(3):
            (share / f"{number}.pdf").write_text(str(number))
        eventually(sent(sandbox, 3))
        eventually(lambda: heard.count(Log.NO_DIRECTORY) == 1)
    assert tree(share) == {"Sent", "0.pdf", "1.pdf", "2.pdf"}
    assert heard.count(Log.NO_DIRECTORY) == 1
    assert heard.count(Log.NO_FEEDBACK) == 0


@pytest.mark.parametrize("way", ["file", "link", "dangling"])
def test_check_names_what_is_in_the_way_of_the_directory(machine: Machine, share: Path, way: str) -> None:
    """A link is not followed, wherever it leads."""
    sent_directory = share / "Sent"
    if way == "file":
        sent_directory.touch()
    else:
        sent_directory.symlink_to(share.parent if way == "link" else "nowhere")
    machine.set_folder(after_send="move")
    done = machine.call("check", "--offline")
    assert done.exit_code == 1
    assert f"{sent_directory}/{month()} is no directory" in done.output
    sent_directory.unlink()
    assert machine.call("check", "--offline").exit_code == 0


def test_a_folder_within_another_cannot_be_moved_from(machine: Machine, share: Path) -> None:
    """The other one would lose its files before it has sent them."""
    (share / "inner").mkdir()
    inner = {"path": str(share / "inner"), "conversation_id": "cidOther=="}
    machine.settings["folders"].append(inner)
    machine.set_folder(after_send="move")
    done = machine.call("check", "--offline")
    assert done.exit_code == 1
    assert "folders[0].after_send" in done.output
    assert "same or nested" in done.output


# --- One look at files, of which the loop decides ---------------------------------------------------


@contextmanager
def moved(share: Path) -> Iterator[Callable[[], object]]:
    """Give a file that was moved, and what a look at it says then."""
    (share / "Sent").mkdir()
    place = share / "Sent" / "a.pdf"
    place.write_text("content")
    seen = place.stat()
    before = Fingerprint(seen.st_size, seen.st_mtime_ns, 0, seen.st_ino, seen.st_dev)
    move = Move(1, 1, Phase.THERE, b"a.pdf", b"Sent/a.pdf", before)

    def look() -> object:
        (result,) = Executor()(MoveFiles(1, os.fsencode(share), (), (move,), (), 0.0)).results
        return result

    yield look


def test_a_file_that_rests_is_done_with(share: Path) -> None:
    """Its permissions may change: that moves its ctime."""
    with moved(share) as look:
        (share / "Sent" / "a.pdf").chmod(0o600)
        assert isinstance(look(), Over)
        (share / "Sent" / "a.pdf").unlink()
        assert isinstance(look(), Over)


def test_a_changed_file_goes_back_by_a_free_name(share: Path) -> None:
    """Its own may be taken by the next file."""
    with moved(share) as look:
        (share / "Sent" / "a.pdf").write_text("longer content")
        found = look()
        assert isinstance(found, Changed)
        assert found.back == b"a.pdf"
        (share / "a.pdf").write_text("dropped meanwhile")
        found = look()
        assert isinstance(found, Changed)
        assert found.back == b"a (2).pdf"
