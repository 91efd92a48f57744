"""Every name that a Linux file system allows, all the way to the conversation."""

import io
import logging
import os
import re
import unicodedata
import zipfile
from collections import Counter, defaultdict
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import pytest

from dingwatch.sandbox import Message, Sandbox
from dingwatch.service.daemon import Service
from tests.reality.stage import idle, stage
from tests.support import PATIENCE, eventually, running

MARK = "\ufffd"
LONGEST = 255
"""Bytes that a name may have."""

SHOWN: dict[bytes, str] = {
    # Control characters and what turns the direction of writing.
    b"new\nline.pdf": "new_line.pdf",
    b"tab\t.pdf": "tab_.pdf",
    b"\x01\x1b[31mred\x7f.pdf": "__[31mred_.pdf",
    "next\x85line\u2028.pdf".encode(): "next_line_.pdf",
    "exe.\u202efdp.txt".encode(): "exe._fdp.txt",
    "\u2066isolated\u2069.pdf".encode(): "_isolated_.pdf",
    # Quotes, slashes, escapes, and what means something to a header, a shell, a page, a log or Python.
    b"\"quotes\" 'single'.pdf": "\"quotes\" 'single'.pdf",
    b"back\\slash.pdf": "back\\slash.pdf",
    b"ends with a backslash\\": "ends with a backslash\\.zip",
    b"up\\..\\..\\and away": "up\\..\\..\\and away.zip",
    b"%20%2e%2e%2f.pdf": "%20%2e%2e%2f.pdf",
    b"a..\\..\\etc.pdf": "a..\\..\\etc.pdf",
    "a\u2215..\u2215etc\u2215passwd.pdf".encode(): "a\u2215..\u2215etc\u2215passwd.pdf",
    b'x.pdf;filename="y.exe"': 'x.pdf;filename="y.exe".zip',
    b'x";filename="y.pdf': 'x";filename="y.pdf',
    b'x"; name="type": 1.pdf': 'x"; name="type": 1.pdf',
    b"a\r\nX-Injected: yes\r\n\r\n.pdf": "a__X-Injected: yes____.pdf",
    b'"\r\nContent-Type: text\r\n\r\nshort\r\n--boundary\r\n.pdf': (
        '"__Content-Type: text____short__--boundary__.pdf'
    ),
    b"$(reboot) `id` & ; | *.pdf": "$(reboot) `id` & ; | *.pdf",
    b"<script>alert(1)<script>.pdf": "<script>alert(1)<script>.pdf",
    b"{path} {0} %s %(a)s.pdf": "{path} {0} %s %(a)s.pdf",
    # Not UTF-8: Chinese of an old Windows, perhaps.
    "报告".encode("gbk") + b".pdf": "报告.pdf",
    "exe.\u202efdp.txt 报告".encode("gb18030"): "exe._fdp.txt 报告.zip",
    b"\xed\xa0\x80 surrogate.pdf": f"頎{MARK} surrogate.pdf",
    b"\xff\xfe.pdf": MARK * 2 + ".pdf",
    b"no extension \xff": f"no extension {MARK}.zip",
    # Emoji, joiners, marks of order, twins.
    "👨\u200d👩\u200d👧.pdf".encode(): "👨\u200d👩\u200d👧.pdf",
    "\ufeffmark.pdf".encode(): "\ufeffmark.pdf",
    "caf\u00e9.pdf".encode(): "caf\u00e9.pdf",
    "cafe\u0301.pdf".encode(): "cafe\u0301.pdf",
    # Dots, blanks and dashes.
    b"dots.pdf...": "dots.pdf....zip",
    b"blank.pdf ": "blank.pdf .zip",
    b"  leading.pdf": "  leading.pdf",
    b"-rf.pdf": "-rf.pdf",
    b"--help": "--help.zip",
    b" ": " .zip",
    "\u3000".encode(): "\u3000.zip",
    "\u00a0.pdf".encode(): "\u00a0.pdf",
    b" ...": " ....zip",
    # Long ones, and what Windows keeps for itself.
    b"a" * (LONGEST - 4) + b".pdf": "a" * (LONGEST - 4) + ".pdf",
    "长".encode() * 83 + b"ab.pdf": "长" * 83 + "ab.pdf",
    b"b" * LONGEST: "b" * LONGEST + ".zip",
    b"x." + b"e" * 200: "x." + "e" * 200 + ".zip",
    b"CON.pdf": "CON.pdf",
    b"a:b.pdf": "a:b.pdf",
    # In a directory of a hostile name.
    b'dir\r\n\xff "/inside.pdf': "inside.pdf",
    "\u202e 目录/内.pdf".encode(): "内.pdf",
}
"""What a conversation shows of each."""

LEFT_OUT = (
    b"...",
    b".. .pdf",
    b"..\\..\\etc.pdf",
    b".hidden.pdf",
    b"~$lock.docx",
    b"THUMBS.DB",
    b"x.pdf.TMP",
)
"""Names that the built-in filters leave out."""


def content_of(name: bytes) -> bytes:
    """Return a content that no other name has."""
    return b"content of " + name


@dataclass(frozen=True)
class Arrived:
    """A message, the name under which its content was uploaded, and the content itself."""

    message: Message
    upload_name: str
    content: bytes
    entry: str | None
    """The name within the archive, where it went zipped."""


@dataclass(frozen=True)
class Outcome:
    """What became of all names: what arrived by content, the calls, and every line of log."""

    arrived: dict[bytes, list[Arrived]]
    calls: dict[str, int]
    lines: list[str]


@contextmanager
def log_lines() -> Iterator[list[str]]:
    """Take what is logged."""
    lines: list[str] = []
    handler, logger = logging.Handler(), logging.getLogger("dingwatch")
    handler.emit = lambda record: lines.append(record.getMessage())  # type: ignore[method-assign]
    logger.addHandler(handler)
    level = logger.level
    logger.setLevel(logging.DEBUG)
    yield lines
    logger.setLevel(level)
    logger.removeHandler(handler)


def _arrived(sandbox: Sandbox, message: Message) -> Arrived:
    names = {one.media_id: one.name for one in sandbox.uploads()}
    content, entry = sandbox.content(str(message.media_id)), None
    if content.startswith(b"PK"):
        with zipfile.ZipFile(io.BytesIO(content)) as archive:
            (entry,) = archive.namelist()
            content = archive.read(entry)
    return Arrived(message, names[str(message.media_id)], content, entry)


@pytest.fixture(scope="module")
def outcome(tmp_path_factory: pytest.TempPathFactory) -> Outcome:
    """All names, dropped into one folder."""
    with stage(tmp_path_factory.mktemp("names"), ["spot"]) as scene, log_lines() as lines:
        spot = scene.spots["spot"]
        with Service(scene.setting) as service:
            assert service.ready.wait(PATIENCE)
            for name in (*SHOWN, *LEFT_OUT):
                path = os.path.join(os.fsencode(spot.folder), name)
                os.makedirs(os.path.dirname(path), exist_ok=True)
                with open(path, "wb") as file:
                    file.write(content_of(name))
            eventually(spot.count(len(SHOWN)))
            eventually(spot.quiet_passed())
            eventually(lambda: idle(service, scene.setting))
        assert service.failed is None
        arrived = defaultdict(list)
        for message in spot.messages():
            one = _arrived(scene.sandbox, message)
            arrived[one.content].append(one)
        return Outcome(arrived, scene.sandbox.calls(), lines)


def test_a_name_arrives_once_and_safe(outcome: Outcome) -> None:
    """Whatever it is called, a file arrives whole, once, under a name that is safe to show."""
    assert [name for name in SHOWN if len(outcome.arrived[content_of(name)]) != 1] == []
    for name, expected in SHOWN.items():
        (one,) = outcome.arrived[content_of(name)]
        shown = one.message.file_name
        assert shown == expected, name
        assert one.entry in {None, shown.removesuffix(".zip").replace("\\", "_")}, name
        unsafe = {c for c in shown if unicodedata.category(c) in {"Cc", "Cs", "Zl", "Zp"}}
        assert unsafe | set(shown) & set("\u202e\u2066/") == set(), name
        assert shown.strip("."), name


def test_a_name_ends_no_header(outcome: Outcome) -> None:
    """The upload has one name, all of it, and no line, quote or slash of the file's own."""
    for name, expected in SHOWN.items():
        (one,) = outcome.arrived[content_of(name)]
        assert one.upload_name == re.sub(r"[\\/]", "_", expected).replace('"', "%22"), name


def test_nothing_else_arrives(outcome: Outcome) -> None:
    """One upload and one send for each file and a control file; what is left out costs nothing."""
    assert set(outcome.arrived) == {content_of(name) for name in SHOWN}
    assert outcome.calls["media/upload"] == outcome.calls["robot/groupMessages/send"] == len(SHOWN) + 1


def test_twins_are_two_files(outcome: Outcome) -> None:
    """Names that look alike and differ in their bytes are different files."""
    twins = [name.encode() for name in ("caf\u00e9.pdf", "cafe\u0301.pdf")]
    assert [len(outcome.arrived[content_of(name)]) for name in twins] == [1, 1]


def test_a_name_makes_one_line_of_log(outcome: Outcome) -> None:
    """No name breaks a line, colours a terminal or forges another line: two lines for each file."""
    assert all(line.isprintable() for line in outcome.lines)
    assert Counter(bool(line) for line in outcome.lines)[True] >= 2 * len(SHOWN)


def test_every_name_is_known_again(tmp_path: Path) -> None:
    """Found at a first start, sent, and known after the next: each name survives in the ledger."""
    with stage(tmp_path, ["spot"], existing="send") as scene:
        spot = scene.spots["spot"]
        plain = [name for name in SHOWN if b"/" not in name]
        for name in plain:
            with open(os.path.join(os.fsencode(spot.folder), name), "wb") as file:
                file.write(content_of(name))
        for _ in range(2):
            with running(scene.setting) as service:
                eventually(spot.quiet_passed())
                eventually(lambda: idle(service, scene.setting))
            assert Counter(one.file_name for one in spot.messages()) == Counter(SHOWN[name] for name in plain)
