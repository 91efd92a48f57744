"""The simple for scripts: its own example is run, and it takes care of what a script forgets."""

import doctest
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from dingwatch.dingtalk import (
    MEDIA_LIMIT,
    Account,
    Client,
    connect,
    get_media,
    send_to_conversation,
    send_to_group,
    simple,
    upload_media,
)
from dingwatch.model import Failure, Rejected
from dingwatch.texts import Advice
from tests.dingtalk.peers import SECRET, Server, Wire

NAMED = 'Content-Disposition: attachment; filename="a.pdf"\r\n'


@pytest.fixture
def dingtalk(serve: Callable[..., Server]) -> Server:
    """A DingTalk that keeps one file."""
    kept: list[bytes] = []

    def react(wire: Wire, head: bytes, body: bytes) -> None:
        if b"/media/upload" in head:
            part = body.partition(b'name="media"')[2]
            kept.append(part.partition(b"\r\n\r\n")[2].rpartition(b"\r\n--")[0])
            wire.answer({"errcode": 0, "media_id": "@lAzP"})
        elif b"/media/downloadFile" in head and b"media_id=%40lAzP" in head:
            wire.answer_bytes(kept[-1], headers=NAMED)
        elif b"/media/downloadFile" in head:
            wire.answer({"errcode": 40007, "errmsg": "invalid media_id"})
        elif b"/message/send_to_conversation" in head:
            wire.answer({"errcode": "0", "receiver": "u1"})
        else:
            wire.answer({"processQueryKey": "key"})

    return serve(react)


@pytest.fixture
def account(dingtalk: Server) -> Account:
    """An app there."""
    return Account("dingtest", SECRET, "dingtest", dingtalk.url, dingtalk.url)


@pytest.fixture
def client(account: Account) -> Iterator[Client]:
    """A script's client."""
    with connect(account, time) as made:
        yield made


@pytest.fixture
def report(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A file in the directory where a script runs."""
    monkeypatch.chdir(tmp_path)
    (tmp_path / "报告.pdf").write_bytes(b"%PDF-1.7 content")
    return tmp_path / "报告.pdf"


def test_the_example_in_the_documentation_works(account: Account, report: Path) -> None:
    """A file goes up, to a group, and comes back, in the lines that stand there."""
    [example] = doctest.DocTestFinder(recurse=False).find(simple, globs={"account": account})
    assert len(example.examples) == 3
    failed, tried = doctest.DocTestRunner(verbose=False).run(example, clear_globs=False)
    assert (failed, tried) == (0, 3)
    assert example.globs["key"] == "key"
    assert report.with_name("copy.pdf").read_bytes() == report.read_bytes()
    assert example.globs["size"] == len(report.read_bytes())


def test_a_file_is_sent_under_a_name_of_its_own(dingtalk: Server, client: Client, report: Path) -> None:
    """The name in the chat is the script's, and the type its extension in small letters."""
    assert upload_media(client, report, "二月.PDF") == "@lAzP"
    assert send_to_group(client, "cid==", "@lAzP", "二月.PDF") == "key"
    assert [b"/media/upload" in head or b"groupMessages/send" in head for head in dingtalk.requests] == [
        True
    ] * 2


def test_the_old_send_says_who_got_it(client: Client) -> None:
    """A person's id, a one-time pick and a media id are all it takes."""
    assert send_to_conversation(client, "u0", "9f54", "@lAzP") == ("u1",)


@pytest.mark.parametrize(("size", "code"), [(0, "empty"), (MEDIA_LIMIT + 1, "too_big")])
def test_no_call_is_made_that_would_be_refused(
    dingtalk: Server, client: Client, tmp_path: Path, size: int, code: str
) -> None:
    """An empty file and one over the limit are refused before they cost a call."""
    with (tmp_path / "a.pdf").open("wb") as file:
        file.truncate(size)
    with pytest.raises(Failure) as caught:
        upload_media(client, tmp_path / "a.pdf")
    cause = caught.value.verdict.cause
    assert (type(caught.value.verdict), cause.code) == (Rejected, code)
    assert cause.advice in Advice.__members__
    assert dingtalk.requests == []


def test_a_failed_download_leaves_no_file(client: Client, tmp_path: Path) -> None:
    """Half a file, or none, would be taken for the whole one."""
    with pytest.raises(Failure) as caught:
        get_media(client, "@nobody", tmp_path / "a.pdf")
    assert type(caught.value.verdict) is Rejected
    assert list(tmp_path.iterdir()) == []


def test_a_download_takes_no_files_place(dingtalk: Server, client: Client, report: Path) -> None:
    """What is there stays there, and nothing is asked."""
    with pytest.raises(FileExistsError):
        get_media(client, "@lAzP", report)
    assert report.read_bytes() == b"%PDF-1.7 content"
    assert dingtalk.requests == []
