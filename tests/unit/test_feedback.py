import time
from dataclasses import replace

import pytest

from dingwatch import names
from dingwatch.feedback.moving import Places, Step, directory_for, is_same, next_step, quiet_for
from dingwatch.feedback.settings import Settings
from dingwatch.feedback.sidecars import MOST, Wanted, compare, free_name, list_wanted
from dingwatch.filters import path_filter
from dingwatch.host.zone import local_month
from dingwatch.ledger.feedback import HELD, Phase, Sidecar, Unsent
from dingwatch.lifecycle import State
from dingwatch.model import Cause, Fingerprint
from dingwatch.texts import Advice, Feedback, Language

ZH = Settings(Language.ZH, holds_uncertain=False, recipient_names={"cidA": "财务群"})
EN = replace(ZH, language=Language.EN)


def unsent(version: int, path: str | bytes, advice: str = "EMPTY", state: str = State.FAILED) -> Unsent:
    """Return a delivery that was not sent."""
    raw = path if isinstance(path, bytes) else path.encode()
    return Unsent(version, raw, 10 * version, "cidA", state, Cause("40005", "不合法", advice))


def text_of(wanted: Wanted) -> str:
    """Return the text of a sidecar as an editor shows it."""
    return wanted.content.decode("utf-8-sig")


# --- Sidecars --------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("path", "settings", "sidecar"),
    [
        ("a.pdf", ZH, "a.pdf.未发送.txt"),
        ("部门/报告.docx", ZH, "部门/报告.docx.未发送.txt"),
        ("sub/a.pdf", EN, "sub/a.pdf.not-sent.txt"),
    ],
)
def test_a_sidecar_lies_beside_its_file(path: str, settings: Settings, sidecar: str) -> None:
    """It has the file's whole name, and more."""
    (wanted,) = list_wanted([unsent(1, path)], 1, settings)
    assert wanted.paths[0] == sidecar.encode()


@pytest.mark.parametrize("name", ["报" * 85, "a" * 255, "é" * 127, "a" + "报" * 84])
@pytest.mark.parametrize("settings", [ZH, EN])
def test_a_long_name_is_cut_to_what_a_name_may_have(name: str, settings: Settings) -> None:
    """No character is cut in two, and no more is cut than need be."""
    (wanted,) = list_wanted([unsent(1, name)], 1, settings)
    made = wanted.paths[0]
    assert 252 < len(made) <= 255
    begin = made.decode().removesuffix(Feedback.SUFFIX.render(settings.language))
    assert name.startswith(begin)
    for path in wanted.paths:
        assert not path_filter([], [], recursive=True).accepts(path)


def test_two_long_names_get_two_sidecars() -> None:
    """Cut, they would be the same."""
    wanted = list_wanted([unsent(1, "报" * 84 + "a"), unsent(2, "报" * 84 + "b")], 2, ZH)
    new = compare(1, wanted, [], ()).new
    assert len({one.path for one in new}) == 2


def test_a_name_that_is_no_utf8_keeps_its_bytes() -> None:
    """The sidecar lies beside it all the same, and shows the name as the chat would."""
    (wanted,) = list_wanted([unsent(1, "报告.txt".encode("gbk"))], 1, ZH)
    assert wanted.paths[0] == "报告.txt".encode("gbk") + ".未发送.txt".encode()
    assert "“报告.txt”" in text_of(wanted)


@pytest.mark.parametrize("advice", [one.name for one in Advice])
@pytest.mark.parametrize("settings", [ZH, EN])
def test_only_the_last_line_has_codes(advice: str, settings: Settings) -> None:
    """The others say what happened and what to do, to somebody who knows nothing of dingwatch."""
    (wanted,) = list_wanted([unsent(7, "a.pdf", advice)], 1, settings)
    *lines, last, end = text_of(wanted).split("\r\n")
    assert end == ""
    for technical in ("40005", "cidA", "#70", "dingwatch", "failed"):
        assert not any(technical in line for line in lines)
    assert "40005" in last
    assert "#70" in last
    assert "财务群" in lines[0]
    assert len([line for line in lines if line]) == 4


@pytest.mark.parametrize(
    ("state", "word"), [(HELD, "等待确认"), (State.UNCERTAIN, "可能已经发送"), (State.SKIPPED, "没有发送")]
)
def test_the_first_line_says_whether_it_may_have_arrived(state: str, word: str) -> None:
    """What is on hold is not lost, and what is uncertain may be there."""
    (wanted,) = list_wanted([unsent(1, "a.pdf", "HELD", state)], 1, ZH)
    assert word in text_of(wanted).splitlines()[0]


def test_windows_shows_the_text_as_it_is() -> None:
    """Old editors take a text without a BOM for GBK, and a lone line feed for nothing."""
    (wanted,) = list_wanted([unsent(1, "a\n\x1b[31m.pdf")], 1, ZH)
    assert wanted.content.startswith(b"\xef\xbb\xbf")
    assert wanted.content.count(b"\n") == wanted.content.count(b"\r\n")
    assert b"\x1b" not in wanted.content


def test_above_fifty_one_list_names_all() -> None:
    """A folder full of notes would be worse than what they tell of."""
    many = [unsent(number, f"sub/{number:03}.pdf") for number in range(MOST)]
    assert len(list_wanted(many, MOST, ZH)) == MOST
    more = [*many, unsent(MOST, "中间.pdf", "TOO_BIG")]
    (one,) = list_wanted(more, MOST + 1, ZH)
    assert one.paths == ("未发送的文件.txt".encode(),)
    assert list_wanted(more, MOST + 1, EN)[0].paths == (b"not-sent-files.txt",)
    text = text_of(one)
    assert "51" in text.splitlines()[0]
    assert all(names.readable(file.path) in text for file in more)
    assert text.count("怎么办") == 2


def test_a_list_of_very_many_says_how_many_more() -> None:
    """A hundred thousand names help nobody."""
    (one,) = list_wanted([unsent(number, f"{number}.pdf") for number in range(1000)], 100_000, ZH)
    assert "另有 99000 个" in text_of(one)


def sidecar(
    path: str, version: int | None = 1, content: bytes = b"x", phase: Phase = Phase.WRITTEN
) -> Sidecar:
    """Return a sidecar that the ledger knows."""
    return Sidecar(1, path.encode(), version, content, phase)


WANTED = Wanted(1, (b"a.txt", b"a (2).txt"), b"x")


def test_what_is_there_is_left_alone() -> None:
    """Also under another name, where its first was taken."""
    for path in ("a.txt", "a (2).txt"):
        for phase in (Phase.WRITTEN, Phase.PLANNED):
            found = compare(1, [WANTED], [sidecar(path, phase=phase)], ())
            assert (found.new, found.unwanted) == ((), ())


def test_what_is_missing_is_made_by_a_name_that_is_free() -> None:
    """Others may have taken the best one."""
    assert compare(1, [WANTED], [], ()).new == (sidecar("a.txt", phase=Phase.PLANNED),)
    assert compare(1, [WANTED], [], {b"a.txt"}).new == (sidecar("a (2).txt", phase=Phase.PLANNED),)
    assert compare(1, [WANTED], [], {b"a.txt", b"a (2).txt"}).new == ()


@pytest.mark.parametrize(
    "there", [sidecar("a.txt", content=b"y"), sidecar("b.txt"), sidecar("a.txt", phase=Phase.UNWANTED)]
)
def test_a_sidecar_is_made_again_once_the_old_one_is_gone(there: Sidecar) -> None:
    """Never both at a time: they may have the same name."""
    found = compare(1, [WANTED], [there], ())
    assert found.new == ()
    assert found.unwanted == (() if there.phase is Phase.UNWANTED else (there,))


def test_what_nobody_wants_is_removed() -> None:
    """Its file was sent, or is gone."""
    assert compare(1, [], [sidecar("a.txt")], ()).unwanted == (sidecar("a.txt"),)


def test_the_names_of_notes_are_left_out_in_either_language() -> None:
    """At any depth, in any case, whatever language the configuration has."""
    chosen = path_filter([], [], recursive=True)
    for name in ("a.未发送.txt", "未发送的文件.txt", "a.NOT-SENT.txt", "not-sent-files.txt"):
        assert not chosen.accepts(name.encode())
        assert not chosen.accepts(f"sub/{name}".encode())
    for name in ("未发送.txt", "not-sent.txt", "a.未发送.pdf", "files.txt"):
        assert chosen.accepts(name.encode())


# --- Moves -----------------------------------------------------------------------------------------

BEFORE = Fingerprint(5, 100, 200, 300, 400)


@pytest.mark.parametrize(
    ("origin", "place", "steady", "step"),
    [
        (BEFORE, None, True, Step.RENAME),
        (None, BEFORE._replace(ctime_ns=9), True, Step.DONE),
        (None, None, True, Step.DROP),
        (BEFORE, BEFORE, True, Step.RENAME),  # the same file by two names
        (BEFORE._replace(inode=7), BEFORE, True, Step.DONE),  # dropped once more
        (BEFORE._replace(size=6), None, True, Step.DROP),  # overwritten before it was moved
        (BEFORE._replace(inode=7), None, True, Step.DROP),
        (BEFORE._replace(inode=7), None, False, Step.RENAME),
        (None, BEFORE._replace(inode=7), False, Step.DONE),
        (None, BEFORE._replace(mtime_ns=7), False, Step.DONE),  # written to since
        (None, BEFORE._replace(size=9), True, Step.DONE),
        (BEFORE._replace(inode=7), BEFORE._replace(size=9), True, Step.DONE),
        (BEFORE._replace(inode=7), BEFORE._replace(inode=8), True, Step.DROP),
    ],
)
def test_a_move_that_was_written_down_goes_on_from_where_the_file_is(
    origin: Fingerprint | None, place: Fingerprint | None, *, steady: bool, step: Step
) -> None:
    """Whatever happened since: another file may lie at its path by now, and that one was not sent."""
    assert next_step(BEFORE, Places(origin, place), steady=steady) is step


def test_a_move_changes_the_ctime_alone() -> None:
    """Where inodes prove nothing, size and mtime do."""
    assert is_same(BEFORE, BEFORE._replace(ctime_ns=1), steady=True)
    for other in (BEFORE._replace(size=1), BEFORE._replace(mtime_ns=1)):
        assert not is_same(BEFORE, other, steady=True)
        assert not is_same(BEFORE, other, steady=False)
    assert not is_same(BEFORE, BEFORE._replace(inode=1), steady=True)
    assert is_same(BEFORE, BEFORE._replace(inode=1), steady=False)


def test_files_go_by_month_and_keep_their_directories() -> None:
    """Two departments may have a file of one name."""
    assert directory_for(b"a.pdf", "2026-11", Language.ZH) == "已发送/2026-11".encode()
    assert directory_for("甲/乙/a.pdf".encode(), "2026-12", Language.EN) == "Sent/2026-12/甲/乙".encode()


def test_a_moved_file_rests_longer_on_a_network_share() -> None:
    """Another host's writes show late there."""
    assert quiet_for(2.0, network=False) == 2.0
    assert quiet_for(2.0, network=True) == 10.0
    assert quiet_for(30.0, network=True) == 30.0


@pytest.mark.parametrize(
    ("name", "taken", "free"),
    [
        ("a.pdf", [], "a.pdf"),
        ("a.pdf", ["a.pdf"], "a (2).pdf"),
        ("a.pdf", ["A.PDF", "a (2).pdf"], "a (3).pdf"),
        ("a", ["a"], "a (2)"),
        (".bashrc", [".bashrc"], ".bashrc (2)"),
        ("报告.docx", ["报告.docx"], "报告 (2).docx"),
        ("a.tar.gz", ["a.tar.gz"], "a.tar (2).gz"),
        ("é.pdf", ["e\u0301.pdf"], "é (2).pdf"),
        ("报" * 83 + ".pdf", ["报" * 83 + ".pdf"], "报" * 82 + " (2).pdf"),
    ],
)
def test_a_name_that_is_taken_gets_a_number(name: str, taken: list[str], free: str) -> None:
    """Before the extension, and within what a name may have."""
    assert free_name(name.encode(), [one.encode() for one in taken]) == free.encode()


def test_directories_of_what_was_sent_are_left_out_for_ever() -> None:
    """In either language and any case, right beneath the root alone; no pattern lets them in again."""
    chosen = path_filter([], ["!Sent", "!/Sent/", "!已发送"], recursive=True, moves=True)
    for name in ("Sent", "sent", "已发送"):
        assert chosen.prunes(name.encode())
        assert not chosen.accepts(f"{name}/2026-11/a.pdf".encode())
        assert chosen.excluding(f"{name}/2026-11/a.pdf".encode()) is not None
        assert not chosen.prunes(f"sub/{name}".encode())
        assert chosen.accepts(f"sub/{name}/a.pdf".encode())
        assert chosen.accepts(name.encode())  # a file of that name
        assert path_filter([], [], recursive=True).accepts(f"{name}/2026-11/a.pdf".encode())


def test_the_rules_of_a_filter_keep_that_files_are_moved() -> None:
    """The ledger of an earlier version says nothing of it."""
    rules = path_filter([], [], recursive=True, moves=True).rules
    assert type(rules).load(rules.dump()) == rules
    assert not type(rules).load(rules.dump().replace(', "moves": true', "")).moves


@pytest.mark.parametrize(
    ("zone", "at", "month"),
    [
        ("Asia/Shanghai", 1_796_054_399, "2026-11"),  # 2026-11-30 23:59:59 there
        ("Asia/Shanghai", 1_796_054_400, "2026-12"),
        ("UTC", 1_796_054_400, "2026-11"),
    ],
)
def test_a_month_begins_at_local_midnight(
    monkeypatch: pytest.MonkeyPatch, zone: str, at: float, month: str
) -> None:
    """People look for a file in the month that their calendar showed."""
    monkeypatch.setenv("TZ", zone)
    time.tzset()
    try:
        assert local_month(at) == month
    finally:
        monkeypatch.undo()
        time.tzset()
