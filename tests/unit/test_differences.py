"""What differs between two configurations."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from dingwatch.config.assembly import load
from dingwatch.config.values import Config, Folder
from dingwatch.service.differences import compare, keep_roots


class Counted(bytes):
    """A root that counts how often it is compared."""

    __slots__ = ()
    compared = 0

    def __eq__(self, other: object) -> bool:
        Counted.compared += 1
        return bytes.__eq__(self, other)

    __hash__ = bytes.__hash__


@pytest.fixture
def config(tmp_path: Path) -> Config:
    """A configuration with one folder."""
    (tmp_path / "share").mkdir()
    file = tmp_path / "config.yaml"
    file.write_text(
        f"dingtalk: {{client_id: ding1, client_secret: secret}}\nstate_dir: {tmp_path}/state\n"
        f"folders:\n  - {{path: {tmp_path}/share, conversation_id: cidA}}\n"
    )
    file.chmod(0o600)
    return load(file, environ={})


def many(config: Config, count: int, suffix: str = "") -> Config:
    """Return a configuration with many folders, each named by its number and a suffix."""
    (first,) = config.folders

    def make(number: int) -> Folder:
        root = f"/srv/{number}"
        return replace(first, name=f"{number}{suffix}", path=Path(root), root=Counted(root.encode()))

    return replace(config, folders=tuple(map(make, range(count))))


def test_folders_are_told_apart_by_root_and_then_by_name(config: Config) -> None:
    """One is renamed, one leaves, one comes, and of two on one root the other one is kept."""
    (first,) = config.folders
    on = {
        name: replace(first, name=name, root=root)
        for name, root in zip("abcd", (b"/1", b"/2", b"/3", b"/3"), strict=True)
    }
    before = replace(config, folders=tuple(on.values()))
    after = [replace(on["a"], name="A"), replace(on["d"], settle=9.0), replace(first, name="new", root=b"/4")]
    found = compare(before, replace(config, folders=tuple(after))).folders
    assert [(one.kind, one.name, one.keys) for one in found] == [
        ("removed", "b", ()),
        ("removed", "c", ()),
        ("changed", "A", ("name",)),
        ("changed", "d", ("settle",)),
        ("added", "new", ()),
    ]


def test_many_folders_are_compared_in_proportion_to_their_number(config: Config) -> None:
    """A company with 2,000 folders renames them all, sorts them in another way, and reloads."""
    before, after = many(config, 2000), many(config, 2000, " (archive)")
    after = replace(after, folders=after.folders[::-1])
    Counted.compared = 0
    differences = compare(before, keep_roots(before, after))
    assert len(differences.folders) == 2000
    assert Counted.compared < 20 * 2000
