"""docs/library.md: what stands there works, as it stands there."""

import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

import dingwatch
from dingwatch import dingtalk
from dingwatch.sandbox import Sandbox

PAGE = Path(__file__).parents[2] / "docs" / "library.md"
CONTENT = b"%PDF-1.7 content"
Names = dict[str, Any]


def examples() -> list[str]:
    """Return the Python that the page shows, in order."""
    return re.findall(r"```python\n(.*?)```", PAGE.read_text(encoding="utf-8"), re.DOTALL)


@pytest.fixture
def run_page(sandbox: Sandbox, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[[], Names]:
    """Return what runs all of the page where its file is, and returns the names that it leaves behind."""
    monkeypatch.chdir(tmp_path)
    (tmp_path / "报告.pdf").write_bytes(CONTENT)

    def run() -> Names:
        names: Names = {}
        for example in examples():
            # The port is the only thing that is not as it stands there.
            exec(example.replace("http://127.0.0.1:8765", sandbox.url), names)  # noqa: S102
        return names

    return run


def test_a_file_goes_up_comes_back_and_is_sent(
    run_page: Callable[[], Names], sandbox: Sandbox, tmp_path: Path
) -> None:
    """By media and by the drive; the old send reaches the pick's conversation, and one is taken back."""
    names = run_page()
    assert names["size"] == len(CONTENT)
    assert (tmp_path / "copy.pdf").read_bytes() == CONTENT
    assert (tmp_path / "again.pdf").read_bytes() == CONTENT
    messages = sandbox.messages(names["conversation"])
    assert [(one.msg_key, one.file_name, one.recalled) for one in messages] == [
        ("sampleFile", "报告.pdf", True),
        ("file", "报告.pdf", False),
        ("convFile", "报告.pdf", False),
    ]
    assert (names["recalled"].done, names["receivers"]) == ((names["key"],), ("user2345",))


def test_what_goes_wrong_is_said(run_page: Callable[[], Names], capsys: pytest.CaptureFixture[str]) -> None:
    """A conversation that nobody has is refused, with DingTalk's own code."""
    run_page()
    assert capsys.readouterr().out.startswith("not sent: invalid.openConversationId")


def test_the_calls_are_counted(run_page: Callable[[], Names]) -> None:
    """One billed call, and the token's, which is not billed."""
    names = run_page()
    assert (names["billed"], names["calls"].total()) == (1, 2)


def test_the_package_says_that_it_is_typed() -> None:
    """Who uses it gets its types."""
    assert Path(dingwatch.__file__).with_name("py.typed").exists()


def test_the_page_uses_only_what_is_public() -> None:
    """Every name that it takes from the package is exported, and the recipe stands on it."""
    named = set()
    for imported in re.findall(r"from dingwatch\.dingtalk import (.*)", "\n".join(examples())):
        named |= {name.strip() for name in imported.split(",")}
    assert named >= {"connect", "upload_media", "get_media", "send_to_group", "send_to_conversation"}
    assert named <= set(dingtalk.__all__)
