"""Files over the media limit: by the drive, through the real service and the sandbox over HTTP."""

from __future__ import annotations

import os
import random
from dataclasses import replace
from functools import partial
from pathlib import Path

import pytest

from dingwatch.config.values import Config
from dingwatch.delivery.drives import PARTS_AT_ONCE
from dingwatch.dingtalk import MEDIA_LIMIT
from dingwatch.dingtalk.drive import USUAL_PART
from dingwatch.sandbox import Fault, FaultKind, Message, Sandbox
from tests.integration.conftest import Machine
from tests.ledger import deliveries, states
from tests.support import config, digests, eventually, folder, names, running, sent, sha256

LARGE = MEDIA_LIMIT + 1
IN_PARTS = 70 << 20
"""Bytes of a file that goes in five parts."""
KILLED = 12 * USUAL_PART


@pytest.fixture
def drive(tmp_path: Path, share: Path, sandbox: Sandbox) -> Config:
    """One folder, mapped to the first conversation, with an operator for the drive."""
    cid = sandbox.conversations[0].id
    return with_operator(config(tmp_path / "state", sandbox, folder(share, cid)), sandbox)


def with_operator(setting: Config, sandbox: Sandbox) -> Config:
    """Return a configuration with the sandbox's operator."""
    union_id = sandbox.settings.operator_union_id
    return replace(setting, dingtalk=replace(setting.dingtalk, operator_union_id=union_id))


def content(seed: int, size: int = LARGE) -> bytes:
    """Return bytes of which no two parts are alike."""
    return random.Random(seed).randbytes(size)  # noqa: S311 (a test's bytes)


def drop(path: Path, data: bytes) -> str:
    """Put a file there, at once; return its digest."""
    hidden = path.parent.parent / f"{path.name}.new"
    hidden.parent.mkdir(parents=True, exist_ok=True)
    hidden.write_bytes(data)
    path.parent.mkdir(parents=True, exist_ok=True)
    hidden.rename(path)
    return sha256(data)


def messages(sandbox: Sandbox, conversation: int = 0) -> tuple[Message, ...]:
    """Return what a conversation shows."""
    return sandbox.messages(sandbox.conversations[conversation].id)


def test_a_large_file_arrives_whole_under_its_own_name(drive: Config, share: Path, sandbox: Sandbox) -> None:
    """In one piece, from its folder's own space: three billed calls, and one for the space."""
    with running(drive):
        digest = drop(share / "设计图.psd", content(1))
        eventually(sent(sandbox, 1))
        eventually(lambda: states(drive)["sent"] == 1)
    assert (names(sandbox), digests(messages(sandbox))) == (["设计图.psd"], [digest])
    calls = sandbox.calls()
    assert sandbox.billed() == 4
    assert "media/upload" not in calls


def test_what_is_larger_still_goes_in_parts(drive: Config, share: Path, sandbox: Sandbox) -> None:
    """All of them, in order, with one query for all their addresses."""
    with running(drive):
        digest = drop(share / "film.mp4", content(2, IN_PARTS))
        eventually(sent(sandbox, 1))
    assert digests(messages(sandbox)) == [digest]
    calls = sandbox.calls()
    assert (calls["storage/multiPartUploadInfos"], calls["storage-host/put"]) == (1, 5)


def test_one_upload_serves_all_conversations(tmp_path: Path, share: Path, sandbox: Sandbox) -> None:
    """The content goes to the drive once, and from there to each."""
    cids = [one.id for one in sandbox.conversations[:2]]
    setting = with_operator(config(tmp_path / "state", sandbox, folder(share, *cids)), sandbox)
    with running(setting):
        digest = drop(share / "a.iso", content(3))
        eventually(lambda: states(setting)["sent"] == 2)
    assert [digests(messages(sandbox, i)) for i in (0, 1)] == [[digest], [digest]]
    assert sandbox.calls()["storage/commit"] == 1


# --- One entry for one name ----------------------------------------------------------------------


def test_a_new_version_sends_its_own_bytes(drive: Config, share: Path, sandbox: Sandbox) -> None:
    """Both lie under one name in the folder's space, one after the other."""
    with running(drive):
        first = drop(share / "a.iso", content(4))
        eventually(sent(sandbox, 1))
        second = drop(share / "a.iso", content(5))
        eventually(sent(sandbox, 2))
    assert (names(sandbox), digests(messages(sandbox))) == (["a.iso"] * 2, [first, second])
    (space,) = (one for one in sandbox.spaces() if one.owner)
    assert [one.name for one in sandbox.entries(space.id)] == ["a.iso"]


def test_files_of_one_name_do_not_mix(drive: Config, share: Path, sandbox: Sandbox) -> None:
    """Four directories, one name, dropped together: each arrives once, with its own bytes."""
    with running(drive):
        wanted = {drop(share / f"{i}" / "plan.dwg", content(10 + i)) for i in range(4)}
        eventually(sent(sandbox, 4))
    assert (set(digests(messages(sandbox))), len(messages(sandbox))) == (wanted, 4)
    assert set(names(sandbox)) == {"plan.dwg"}


def test_folders_have_spaces_of_their_own(tmp_path: Path, share: Path, sandbox: Sandbox) -> None:
    """What two folders hold under one name never meets."""
    other = tmp_path / "other"
    other.mkdir()
    folders = (folder(share, sandbox.conversations[0].id), folder(other, sandbox.conversations[1].id))
    setting = with_operator(config(tmp_path / "state", sandbox, *folders), sandbox)
    with running(setting):
        wanted = [drop(place / "a.iso", content(i)) for i, place in enumerate((share, other))]
        eventually(lambda: states(setting)["sent"] == 2)
    assert [digests(messages(sandbox, i)) for i in (0, 1)] == [[one] for one in wanted]
    assert len([one for one in sandbox.spaces() if one.owner]) == 2


def test_a_waiting_send_keeps_its_bytes_when_the_name_is_taken(
    drive: Config, share: Path, sandbox: Sandbox
) -> None:
    """While its conversation refuses it, another file of its name goes to the drive: it goes there again."""
    sandbox.inject(Fault("convFile/send", FaultKind.THROTTLE, code="fileArchived", status=400, times=2))
    with running(drive):
        first = drop(share / "a" / "plan.dwg", content(20))
        eventually(lambda: "fileArchived" in [code for (code,) in deliveries(drive, "code")])
        second = drop(share / "b" / "plan.dwg", content(21))
        eventually(sent(sandbox, 2), 60.0)
    assert sorted(digests(messages(sandbox))) == sorted([first, second])


# --- Trouble on the way ----------------------------------------------------------------------------


def test_what_changes_on_the_way_is_not_committed(drive: Config, share: Path, sandbox: Sandbox) -> None:
    """Parts of two contents make no entry; the new content arrives whole."""
    sandbox.inject(Fault("storage-host/put", FaultKind.SLOW, seconds=1.0, times=4))
    with running(drive):
        drop(share / "a.iso", content(6, IN_PARTS))
        eventually(lambda: sandbox.calls().get("storage-host/put", 0) >= 2)
        with (share / "a.iso").open("r+b") as file:
            file.write(b"changed")
        wanted = sha256((share / "a.iso").read_bytes())
        eventually(sent(sandbox, 1), 60.0)
    assert digests(messages(sandbox)) == [wanted]
    assert sandbox.calls()["storage/commit"] == 1


def test_a_change_that_hides_is_found_before_the_commit(drive: Config, share: Path, sandbox: Sandbox) -> None:
    """Whoever sets size and time back as they were has still changed the content."""
    sandbox.inject(Fault("storage-host/put", FaultKind.SLOW, seconds=1.0, times=1, after=4))
    with running(drive):
        drop(share / "a.iso", content(7, IN_PARTS))
        eventually(lambda: sandbox.calls().get("storage-host/put", 0) == 5)
        before = (share / "a.iso").stat()
        with (share / "a.iso").open("r+b") as file:
            file.write(b"changed")
        os.utime(share / "a.iso", ns=(before.st_atime_ns, before.st_mtime_ns))
        wanted = sha256((share / "a.iso").read_bytes())
        eventually(sent(sandbox, 1), 60.0)
    assert digests(messages(sandbox)) == [wanted]


def test_addresses_that_expire_are_fetched_anew(drive: Config, share: Path, sandbox: Sandbox) -> None:
    """The parts that the store has are not put again."""
    sandbox.inject(Fault("storage-host/put", FaultKind.TOKEN_DEAD, after=3))
    with running(drive):
        digest = drop(share / "a.iso", content(8, IN_PARTS))
        eventually(sent(sandbox, 1), 60.0)
    assert digests(messages(sandbox)) == [digest]
    calls = sandbox.calls()
    assert calls["storage/multiPartUploadInfos/init"] == 1
    assert calls["storage-host/put"] <= 5 + PARTS_AT_ONCE


def test_an_upload_that_dingtalk_lost_begins_anew(drive: Config, share: Path, sandbox: Sandbox) -> None:
    """A dead key costs its parts once more, and no message."""
    dead = Fault("storage/commit", FaultKind.ERROR, code="paramError.uploadKey", status=400)
    sandbox.inject(dead)
    with running(drive):
        digest = drop(share / "a.iso", content(9, IN_PARTS))
        eventually(sent(sandbox, 1), 60.0)
    assert digests(messages(sandbox)) == [digest]
    assert sandbox.calls()["storage/multiPartUploadInfos/init"] == 2


def test_a_space_that_is_gone_is_made_anew(drive: Config, share: Path, sandbox: Sandbox) -> None:
    """Somebody deleted it while its upload was on the way."""
    gone = Fault("storage/commit", FaultKind.ERROR, code="spaceNotExist", status=404)
    sandbox.inject(gone)
    with running(drive):
        digest = drop(share / "a.iso", content(41))
        eventually(sent(sandbox, 1), 60.0)
    assert digests(messages(sandbox)) == [digest]
    assert sandbox.calls()["storage/spaces"] == 2


def test_a_lost_answer_to_the_commit_sends_once(drive: Config, share: Path, sandbox: Sandbox) -> None:
    """Nothing says whether there is an entry; none of its bytes reach the chat twice."""
    sandbox.inject(Fault("storage/commit", FaultKind.CUT_AFTER))
    with running(drive):
        digest = drop(share / "a.iso", content(30))
        eventually(sent(sandbox, 1), 60.0)
        eventually(lambda: states(drive)["sent"] == 1)
    assert digests(messages(sandbox)) == [digest]


def test_a_lost_answer_to_the_send_is_a_doubt(drive: Config, share: Path, sandbox: Sandbox) -> None:
    """With `hold` it waits for a person, and is not sent twice."""
    holding = replace(drive, delivery=replace(drive.delivery, on_uncertain="hold"))
    sandbox.inject(Fault("convFile/send", FaultKind.CUT_AFTER))
    with running(holding):
        drop(share / "a.iso", content(31))
        eventually(lambda: states(drive)["uncertain"] == 1)
    assert len(messages(sandbox)) == 1


def test_small_files_do_not_wait_behind_parts(drive: Config, share: Path, sandbox: Sandbox) -> None:
    """They have workers of their own."""
    sandbox.inject(Fault("storage-host/put", FaultKind.SLOW, seconds=3.0, times=None))
    with running(drive):
        drop(share / "a.iso", content(32, IN_PARTS))
        eventually(lambda: sandbox.calls().get("storage-host/put", 0) >= 1)
        for i in range(8):
            drop(share / f"{i}.txt", b"%d" % i)
        eventually(sent(sandbox, 8))
        assert "storage/commit" not in sandbox.calls()
        sandbox.clear_faults()


def test_a_wrong_operator_is_a_matter_for_a_person(drive: Config, share: Path, sandbox: Sandbox) -> None:
    """The drive pauses and says why; what goes by the robot goes on."""
    wrong = replace(drive, dingtalk=replace(drive.dingtalk, operator_union_id="nobody"))
    with running(wrong):
        drop(share / "a.iso", content(34))
        eventually(lambda: deliveries(wrong, "code") == [("paramError.unionId",)])
        drop(share / "a.txt", b"a")
        eventually(sent(sandbox, 1))
    assert names(sandbox) == ["a.txt"]


def _puts_above(sandbox: Sandbox, number: int) -> bool:
    """Return whether more parts than these have come, whole or not."""
    return sandbox.calls().get("storage-host/put", 0) > number


def test_a_restart_goes_on_after_the_finished_parts(machine: Machine, share: Path, sandbox: Sandbox) -> None:
    """Killed twice in the middle: no part that was finished goes again, and the bytes are whole."""
    machine.settings["dingtalk"]["operator_union_id"] = sandbox.settings.operator_union_id
    machine.write()
    machine.stop(machine.start())  # the first look: what comes from now on is new
    digest, parts = drop(share / "a.iso", content(40, KILLED)), KILLED // USUAL_PART
    for puts in (3, 7):
        sandbox.inject(Fault("storage-host/put", FaultKind.SLOW, seconds=30.0, times=None, after=4))
        process = machine.start()
        eventually(partial(_puts_above, sandbox, puts))
        process.kill()
        process.wait()
        sandbox.clear_faults()
    process = machine.start()
    eventually(sent(sandbox, 1), 60.0)
    machine.stop(process)
    assert digests(messages(sandbox)) == [digest]
    calls = sandbox.calls()
    assert calls["storage/multiPartUploadInfos/init"] == 1
    assert calls["storage-host/put"] <= parts + 2 * PARTS_AT_ONCE
