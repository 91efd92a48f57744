"""Names and contents on their way through the client: what is shown is what the file is called."""

from collections.abc import Callable
from functools import partial
from urllib.parse import quote, quote_plus

import pytest

from dingwatch.dingtalk import Account, Client, Host, SampleFile
from dingwatch.dingtalk.wire import SLICE
from dingwatch.model import Failure
from dingwatch.sandbox import Fault, FaultKind, Sandbox, Settings
from tests.dingtalk.peers import Calls

LONGEST = "长" * 83 + "ab.pdf"
NAMES = [
    "报告 2024.pdf",
    "全角\u3000空格.pdf",
    "👨\u200d👩\u200d👧.pdf",
    "e\u0301té.pdf",
    " a;b=c,d'.pdf",
    "100%25.pdf",
    "العربية\u200f.pdf",
    LONGEST,
]


def displayed_name(sandbox: Sandbox, client: Client, name: str) -> str | None:
    """Send a file under a name and return what the conversation shows."""
    conversation = sandbox.conversations[1].id
    media_id = client.media.upload(name="a.pdf", content=b"%PDF")
    client.groups.send(conversation_id=conversation, message=SampleFile(media_id, name, "pdf"))
    [message] = sandbox.messages(conversation)
    assert message.media_id == media_id
    return message.file_name


@pytest.mark.parametrize("name", NAMES)
def test_a_name_is_uploaded_verbatim(sandbox: Sandbox, client: Client, name: str) -> None:
    """Only what would end its header or name a directory is changed; 255 bytes are no limit."""
    client.media.upload(name=name, content=b"%PDF")
    assert [one.name for one in sandbox.uploads()] == [name]


@pytest.mark.parametrize(
    ("name", "written"),
    [
        ('"中文".pdf', "%22中文%22.pdf"),
        ("a\r\nb.pdf", "a%0D%0Ab.pdf"),
        ("a\0\x1b\x7f\x85\u2028b.pdf", "a_____b.pdf"),
        ("../a\\b.pdf", ".._a_b.pdf"),
        ("\udce4.pdf", "?.pdf"),
    ],
)
def test_a_hostile_name_is_uploaded_harmless(
    sandbox: Sandbox, client: Client, name: str, written: str
) -> None:
    """The upload's name is seen by nobody: its extension is what DingTalk reads."""
    client.media.upload(name=name, content=b"%PDF")
    assert [one.name for one in sandbox.uploads()] == [written]


@pytest.mark.parametrize("name", [*NAMES, '"中文" \\ / <b>.pdf', "a\nb\t.pdf"])
def test_the_name_that_is_shown_is_verbatim(sandbox: Sandbox, client: Client, name: str) -> None:
    """It travels as JSON inside JSON, where nothing needs to be changed."""
    assert displayed_name(sandbox, client, name) == name


def test_a_name_that_is_no_text_is_shown_with_a_mark(sandbox: Sandbox, client: Client) -> None:
    """A stray surrogate has no UTF-8; it must not stop the send."""
    assert displayed_name(sandbox, client, "\udce4.pdf") == "?.pdf"


@pytest.mark.parametrize("size", [1, SLICE - 300, SLICE, SLICE + 1, 3 * SLICE + 7])
def test_contents_arrive_byte_by_byte(sandbox: Sandbox, client: Client, size: int) -> None:
    """Whether a body goes out in one piece or in several, and also when it looks like a boundary."""
    content = (b"\r\n--\r\n\0\xff" * (size // 8 + 1))[:size]
    media_id = client.media.upload(name="a.pdf", content=memoryview(content))
    assert sandbox.content(media_id) == content


def test_each_host_gets_its_own_token(calls: Calls) -> None:
    """Whether one serves for the other is not stated (API sheet 1.4): here it does not."""
    with (
        Sandbox(settings=Settings(strict_tokens=True)) as sandbox,
        calls.client(sandbox.url, client_id=sandbox.client_id, client_secret=sandbox.client_secret) as client,
    ):
        assert displayed_name(sandbox, client, "a.pdf") == "a.pdf"


@pytest.mark.parametrize("form", [str, partial(quote, safe=""), quote_plus])
def test_a_secret_is_taken_out_in_every_spelling(
    sandbox: Sandbox, calls: Calls, form: Callable[[str], str]
) -> None:
    """A gateway that repeats an address repeats it as it was written there."""
    secret = "a secret/with+signs&more"
    sandbox.inject(Fault("*", FaultKind.ERROR, code="40035", message=f"{form(secret)}!"))
    with calls.client(sandbox.url, client_secret=secret) as client, pytest.raises(Failure) as caught:
        client.fetch_token(Host.OAPI)
    assert caught.value.verdict.cause.message == "***!"


def test_no_repr_holds_the_secret() -> None:
    """An account may be printed."""
    assert "hidden" not in repr(Account("id", "hidden-secret", "id"))
