"""Any bytes that may be a file's name: shown, uploaded and remembered, and never more than a name."""

from __future__ import annotations

import hashlib
import os
import shutil
import unicodedata
from collections import Counter
from collections.abc import Iterator
from contextlib import closing, suppress
from pathlib import Path
from typing import Final

import pytest
from hypothesis import strategies as st

from dingwatch import filters, names, settle
from dingwatch.dingtalk import SampleFile
from dingwatch.dingtalk.transport import multipart
from dingwatch.ledger import Store, sqlite_url, versions
from dingwatch.ledger.folders import MappedFolder, bind
from dingwatch.model import Fingerprint
from dingwatch.sandbox import Sandbox
from tests.dingtalk.peers import Calls
from tests.fuzz.budget import a_few, for_a_while
from tests.support import config, eventually, folder, plain_payload, running

LONGEST: Final = 255
PIECES: Final = st.sampled_from(
    [
        *(
            b"\r\n",
            b"\n",
            b"\t",
            b'"',
            b"'",
            b"\\",
            b"%22",
            b"%0A",
            b";",
            b"=",
            b"..",
            b" ",
            b"~",
            b"--",
            b":",
            b"*",
        ),
        *(
            "财务".encode(),
            "财务".encode("gbk"),
            "é".encode(),
            "e\u0301".encode(),
            "😀".encode(),
            b"\xff",
            b"\xc3",
        ),
        *(
            "\u202e".encode(),
            "\u2066".encode(),
            "\u2028".encode(),
            "\u200b".encode(),
            "\ufeff".encode(),
            b"\xc2\x85",
        ),
        *(
            b"\xed\xa0\x80",
            b"\xf4\x90\x80\x80",
            b"\x7f",
            b"\x1b[31m",
            b"a",
            b".pdf",
            b".PDF",
            b".html",
            b".tar.gz",
        ),
        *(
            b"filename*=utf-8''x",
            b"Content-Type: text/html\r\n\r\n",
            b"\r\n--",
            b"${x}",
            b"<script>",
            b"{0}",
            b"%s",
        ),
    ]
)
NAMES: Final = (
    (st.lists(PIECES, min_size=1, max_size=30).map(b"".join) | st.binary(min_size=1, max_size=LONGEST))
    .map(lambda name: name.translate(None, b"/\0")[:LONGEST])
    .filter(lambda name: name not in {b"", b".", b".."})
)
APP: Final = "dingabc"
BIDI: Final = {"ALM", "LRM", "RLM", "LRE", "RLE", "PDF", "LRO", "RLO", "LRI", "RLI", "FSI", "PDI"}
CONTENT: Final = b"\r\n--content\r\n"


def is_shown_safely(text: str) -> bool:
    """Return whether a text is whole Unicode that moves no cursor and turns no letters round."""
    text.encode("utf-8")
    controls = {"Cc", "Zl", "Zp", "Cs"}
    marks = {"\u061c", "\u200e", "\u200f"}
    turns = (unicodedata.bidirectional(c) in BIDI or c in marks for c in text)
    return not any(turns) and not any(unicodedata.category(c) in controls for c in text)


# --- Decided ---------------------------------------------------------------------------------------


def judged(name: bytes) -> None:
    """A name is shown safely, has a plausible extension or none, and is dressed without ado."""
    shown = names.displayed_name(name)
    assert is_shown_safely(shown)
    assert shown
    kind = names.extension(shown)
    assert kind == kind.lower()
    assert not kind or (kind.isalnum() and shown.lower().endswith(f".{kind}"))
    payload = plain_payload(name, "0" * 64, APP, {"html"})
    assert is_shown_safely(payload.name)
    assert payload.key.extension not in {"", "html"}
    assert payload.name.lower().endswith(f".{payload.key.extension}")
    filters.path_filter((), (), recursive=True).accepts(name)
    assert name not in settle.lock_names(name)


def test_a_few_names_are_judged() -> None:
    """Whatever a name is made of, what is shown of it is safe, and it is no lock of itself."""
    judged(b"~$report.docx")
    a_few(judged, NAMES, 200)


@pytest.mark.sweep
def test_many_names_are_judged() -> None:
    """The same for a while."""
    for_a_while(judged, NAMES, 5)


# --- On the wire -----------------------------------------------------------------------------------


def shown_name_is_safe(name: bytes) -> None:
    """A multipart holds one part, whose head has three lines and whose content is untouched."""
    for shown in (
        names.displayed_name(name),
        name.decode("utf-8", "surrogateescape"),
        name.decode("latin-1"),
    ):
        raw = b"".join(multipart("media", shown, CONTENT, "b0undary"))
        before, *parts, after = raw.split(b"--b0undary")
        assert (before, len(parts), after) == (b"", 1, b"--\r\n")
        head, _, content = parts[0].partition(b"\r\n\r\n")
        assert content == CONTENT + b"\r\n"
        empty, disposition, kind = head.split(b"\r\n")
        assert (empty, kind) == (b"", b"Content-Type: application/octet-stream")
        assert disposition.startswith(b'Content-Disposition: form-data; name="media"; filename="')
        inside = disposition.partition(b'filename="')[2].removesuffix(b'"')
        assert b'"' not in inside
        assert not any(byte < 0x20 or byte == 0x7F for byte in inside)
        inside.decode("utf-8")


def test_a_few_names_are_worn() -> None:
    """No name ends its header, begins another one, or touches the content."""
    a_few(shown_name_is_safe, NAMES, 200)


@pytest.mark.sweep
def test_many_names_are_worn() -> None:
    """The same for a while."""
    for_a_while(shown_name_is_safe, NAMES, 5)


@pytest.fixture
def uploads(sandbox: Sandbox) -> Iterator[Uploads]:
    """A client of the sandbox."""
    with closing(Uploads(sandbox)) as made:
        yield made


class Uploads:
    """Uploads and sends under a name, and looks at what arrived."""

    def __init__(self, sandbox: Sandbox) -> None:
        self.sandbox = sandbox
        self.client = Calls().client(
            sandbox.url, client_id=sandbox.client_id, client_secret=sandbox.client_secret
        )

    def close(self) -> None:
        """Close the client."""
        self.client.close()

    def __call__(self, name: bytes) -> None:
        """Have a file of this name go the whole way."""
        payload = plain_payload(name, "0" * 64, APP, {"html", "htm"})
        media = self.client.media.upload(name=payload.name, content=CONTENT)
        assert self.sandbox.content(media) == CONTENT
        cid = self.sandbox.conversations[0].id
        self.client.groups.send(
            conversation_id=cid, message=SampleFile(media, payload.name, payload.key.extension)
        )
        message = self.sandbox.messages(cid)[-1]
        assert (message.file_name, message.file_type) == (payload.name, payload.key.extension)
        assert message.sha256 == hashlib.sha256(CONTENT).hexdigest()


def test_a_few_names_arrive(uploads: Uploads) -> None:
    """A name is uploaded and sent as it is shown, to a peer that reads the bytes for itself."""
    a_few(uploads, NAMES)


@pytest.mark.sweep
def test_many_names_arrive(uploads: Uploads) -> None:
    """The same for a while."""
    for_a_while(uploads, NAMES, 5)


# --- In the ledger ---------------------------------------------------------------------------------


class Remember:
    """Writes names into a ledger, and reads them again."""

    def __init__(self, store: Store) -> None:
        self.store = store
        with store.writing() as connection:
            (mark,) = bind(connection, [MappedFolder(b"/srv/\xff", "a", ("cid",))])
        self.folder = mark.id

    def __call__(self, names: list[bytes]) -> None:
        """Write names down, each in a directory named like another one, and find exactly these again."""
        paths = sorted({versions.join(*pair) for pair in zip([b"", *names], names, strict=False)})
        now = Fingerprint(1, 2, 3, 4, 5)
        with self.store.writing() as connection:
            versions.add_baseline(self.store, connection, self.folder, [(path, now) for path in paths], 1.0)
            found = versions.find_by_path(connection, self.folder, paths)
        assert {path for path, known in found.items() if known} == set(paths)
        assert all(one.path == path for path, known in found.items() for one in known)
        with self.store.reading() as connection:
            for path in paths:
                directory, name = versions.split(path)
                rows = versions.stream_directory(connection, self.folder, directory)
                assert name in {row[0] for row in rows}


@pytest.fixture
def remember(tmp_path: Path, blank_ledger: Path) -> Iterator[Remember]:
    """An empty ledger."""
    shutil.copy(blank_ledger, tmp_path / "ledger.db")
    with closing(Store.open(sqlite_url(tmp_path / "ledger.db"))) as store:
        yield Remember(store)


def test_a_few_names_are_remembered(remember: Remember) -> None:
    """The bytes that come out of the ledger are those that went in."""
    a_few(remember, st.lists(NAMES, min_size=1, max_size=20))


@pytest.mark.sweep
def test_many_names_are_remembered(remember: Remember) -> None:
    """The same for a while."""
    for_a_while(remember, st.lists(NAMES, min_size=1, max_size=20), 5)


# --- As files --------------------------------------------------------------------------------------


TAKEN_OUT: Final = ("!.*", "!~*", "!*~", "!*.part")
"""Patterns of the built-in list without which more names are sent."""


class Drop:
    """Drops files with real names into a watched folder, and sees each arrive once."""

    def __init__(self, share: Path, sandbox: Sandbox) -> None:
        self.share, self.sandbox = share, sandbox
        self.cid = sandbox.conversations[0].id
        self.accepts = filters.path_filter((), TAKEN_OUT, recursive=True).accepts
        self.wanted = Counter[tuple[str, str]]()
        self.count = 0

    def __call__(self, names: list[bytes]) -> None:
        """Drop one batch, in a directory of its own."""
        self.count += 1
        here = os.fsencode(self.share) + b"/%d" % self.count
        os.mkdir(here)
        # An editor's lock holds back the file that it is named after.
        for name in {name for name in names if not name.startswith((b"~$", b".~"))}:
            with open(here + b"/" + name, "xb") as file:
                file.write(os.urandom(16) + name)
            if self.accepts(name):
                payload = plain_payload(name, "0" * 64, APP, {"html", "htm"})
                self.wanted[payload.name, payload.key.extension] += 1
        with suppress(AssertionError):  # what is missing says more
            eventually(lambda: len(self.sandbox.messages(self.cid)) >= self.wanted.total(), patience=45.0)
        messages = self.sandbox.messages(self.cid)
        shown = Counter((str(message.file_name), str(message.file_type)) for message in messages)
        assert (self.wanted - shown, shown - self.wanted) == (Counter(), Counter())


@pytest.fixture
def drop(tmp_path: Path, share: Path, sandbox: Sandbox) -> Iterator[Drop]:
    """A running service."""
    setting = config(
        tmp_path / "state", sandbox, folder(share, sandbox.conversations[0].id, exclude=TAKEN_OUT)
    )
    with running(setting):
        yield Drop(share, sandbox)


def test_names_of_dots_arrive(drop: Drop) -> None:
    """A name that is nothing but dots has no extension, and its archive has one."""
    drop([b"...", b"....", b". .", b"...pdf", b".pdf"])


def test_a_few_files_arrive(drop: Drop) -> None:
    """Files of any name arrive under what is shown of it, each once."""
    a_few(drop, st.lists(NAMES, min_size=10, max_size=40), 3, shrinks=False)


@pytest.mark.sweep
def test_many_files_arrive(drop: Drop) -> None:
    """The same in ten batches."""
    a_few(drop, st.lists(NAMES, min_size=20, max_size=60), 10, shrinks=False)
