"""Reads YAML into plain values, and remembers the line of each.

It uses PyYAML's nodes rather than its objects, because they know lines, duplicate keys, and how a number
was written. PyYAML's own messages are never shown: they quote the file, where a secret may stand.
"""

from __future__ import annotations

import hashlib
import re
import unicodedata
from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, Final

import yaml

from dingwatch.config import secret
from dingwatch.config.findings import Finding, KeyPath, UnusableError
from dingwatch.config.mistakes import explain
from dingwatch.texts import Problems

LARGEST: Final = 1 << 20
"""The largest configuration file, in bytes."""
_DEEPEST: Final = 16
_MOST_VALUES: Final = 200_000
"""A limit for aliases of aliases, which could unfold to any number of values."""

_CORE: Final = "tag:yaml.org,2002:"
_MERGE: Final = f"{_CORE}merge"
"""The tag of a plain `<<`: the mapping after it lends its keys."""
_FREE: Final = "x-"
"""Begins the keys that are the admin's own, such as `x-common`, which anchors stand under."""
_WIDE_QUOTES: Final = (("“", "”"), ("‘", "’"), ("”", "”"), ("’", "’"), ("＂", "＂"), ("＇", "＇"))
_SENTENCES: Final = frozenset({"message", "notice_text"})
"""Keys whose text goes into a chat, where Chinese quotes are meant."""
_PLAIN_INT: Final = re.compile(r"[-+]?(0|[1-9][0-9]{0,14})")
_TRUE: Final = frozenset({"yes", "true", "on"})


@dataclass(frozen=True, slots=True)
class UnsupportedValue:
    """A value of a type that no key takes: a float, a date, a tagged value."""


@dataclass(frozen=True, slots=True)
class Document:
    """The content of the file: values, their lines, scalars as written, and what is wrong so far."""

    tree: dict[str, Any]
    lines: dict[KeyPath, int]
    written: dict[KeyPath, str]
    findings: list[Finding]
    inherited: dict[KeyPath, KeyPath] = field(default_factory=dict)
    """Keys whose values are written elsewhere (under `folder_defaults`, or what `<<` names), and where."""

    def origin(self, key_path: KeyPath) -> KeyPath:
        """Return where the value of a key is written."""
        for length in range(len(key_path), 0, -1):
            source = self.inherited.get(key_path[:length])
            if source is not None:
                return self.origin(source + key_path[length:])
        return key_path


NEVER_INHERITED: Final = frozenset({"path", "name"})
"""Keys of a folder that no two folders share."""


def inherit(document: Document) -> Document:
    """Return the document with the keys of `folder_defaults` in each folder that does not have them."""
    defaults, folders = document.tree.get("folder_defaults"), document.tree.get("folders")
    if not isinstance(defaults, dict) or not isinstance(folders, list):
        return document
    shared = {key: value for key, value in defaults.items() if key not in NEVER_INHERITED}
    inherited: dict[KeyPath, KeyPath] = {}
    spread: list[object] = []
    for index, folder in enumerate(folders):
        theirs = _choose_shared(shared, folder) if isinstance(folder, dict) else {}
        inherited |= {("folders", index, key): ("folder_defaults", key) for key in theirs}
        spread.append({**theirs, **folder} if isinstance(folder, dict) else folder)
    tree = {**document.tree, "folders": spread}
    return replace(document, tree=tree, inherited={**document.inherited, **inherited})


_RECIPIENTS: Final = frozenset({"conversation_id", "user_ids", "chat_id", "webhook", "webhook_secret"})
_TABLE: Final = "recipients"
"""A key of folders with a `*`, in the place of those above."""


def _choose_shared(shared: dict[str, Any], folder: dict[str, Any]) -> dict[str, Any]:
    """Return the defaults for a folder: a table for those with a `*`, recipients for the others."""
    path = folder.get("path")
    by_table = isinstance(path, str) and "*" in path.split("/") and not _RECIPIENTS & folder.keys()
    others = _RECIPIENTS if _TABLE in folder or (_TABLE in shared and by_table) else frozenset({_TABLE})
    if not _RECIPIENTS & (shared.keys() | folder.keys()):  # a table for a path without a `*` is a mistake
        others = frozenset()
    return {key: value for key, value in shared.items() if key not in folder and key not in others}


def read(path: Path) -> tuple[bytes, str | None]:
    """Return the file's beginning (one byte more than it may have), and the command that hides it.

    Raises:
        UnusableError: it cannot be read.
    """
    try:
        with path.open("rb") as file:
            return file.read(LARGEST + 1), secret.exposure(path, file.fileno())
    except OSError as error:
        finding = Finding((), Problems.UNREADABLE, {"path": path, "reason": error.strerror})
    raise UnusableError(finding)


def digest_of(raw: bytes) -> str:
    """Return the digest by which the service and a command know that they have read the same file."""
    return hashlib.sha256(raw).hexdigest()


def parse(raw: bytes) -> Document:
    """Return the document, or raise `UnusableError`."""
    root = _root(_text(raw))
    if not isinstance(root, yaml.MappingNode):
        raise UnusableError(Finding((), Problems.NO_KEYS))
    reader = _Reader(lines={(): _line(root)})
    tree = reader.mapping(root, ())
    return Document(tree, reader.lines, reader.written, reader.findings, reader.inherited)


def _text(raw: bytes) -> str:
    if len(raw) > LARGEST:
        raise UnusableError(Finding((), Problems.TOO_LARGE))
    if raw.startswith((b"\xff\xfe", b"\xfe\xff")):
        raise UnusableError(Finding((), Problems.UTF16, line=1))
    try:
        # Windows editors begin a file with a byte order mark.
        return raw.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        finding = Finding((), Problems.NOT_UTF8, line=raw.count(b"\n", 0, error.start) + 1)
    raise UnusableError(finding)


def _root(text: str) -> yaml.Node | None:
    loader: _Loader | None = None
    try:
        loader = _Loader(text)
        root = loader.get_single_node()
    except yaml.reader.ReaderError as error:
        finding = Finding((), Problems.CONTROL, line=text.count("\n", 0, error.position) + 1)
    except yaml.MarkedYAMLError as error:
        finding = explain(error, text)
    except (ValueError, OverflowError):
        # PyYAML does not wrap these: `"\\UFFFFFFFF"` has chr() fail, `%YAML 1.x` int().
        finding = Finding((), Problems.YAML_BROKEN, {"column": 1}, line=loader.line + 1 if loader else None)
    else:
        return root
    # Raised outside of the handlers: PyYAML's exception, which may quote a secret, must not be its context.
    raise UnusableError(finding)


class _Loader(yaml.SafeLoader):
    """Composes nodes, with a limit on depth."""

    def __init__(self, text: str) -> None:
        super().__init__(text)
        self.depth = 0

    def compose_node(self, parent: yaml.Node | None, index: int) -> yaml.Node | None:
        """Compose one node; PyYAML recurses through this method, so the depth is limited here."""
        if self.depth >= _DEEPEST:
            line = self.peek_event().start_mark.line + 1  # type: ignore[no-untyped-call]
            raise UnusableError(Finding((), Problems.TOO_NESTED, line=line))
        self.depth += 1
        node = super().compose_node(parent, index)
        self.depth -= 1
        return node


def _line(node: yaml.Node) -> int:
    return int(node.start_mark.line) + 1


@dataclass(slots=True)
class _Reader:
    """Turns nodes into plain values; collects lines and findings on the way."""

    lines: dict[KeyPath, int]
    written: dict[KeyPath, str] = field(default_factory=dict)
    findings: list[Finding] = field(default_factory=list)
    inherited: dict[KeyPath, KeyPath] = field(default_factory=dict)
    places: dict[int, KeyPath] = field(default_factory=dict)
    """The position of each key that a merge key may lend to other mappings, by the id of its node."""
    count: int = 0

    def mapping(self, node: yaml.MappingNode, key_path: KeyPath) -> dict[str, Any]:
        tree: dict[str, Any] = {}
        own: dict[str, int] = {}
        for key, key_node, value_node in self._own_pairs(node, key_path):
            line, here = _line(key_node), (*key_path, key)
            if key in own:
                self.findings.append(Finding(here, Problems.TWICE, {"first": own[key]}, line))
                continue
            own[key] = line
            self.places.setdefault(id(key_node), here)
            self._enter(tree, here, line, value_node)
        for key, key_node, value_node in self._merged_pairs(node, key_path, (node,)):
            if key not in tree:
                here, source = (*key_path, key), self.places.get(id(key_node))
                if source is not None and key not in NEVER_INHERITED:
                    self.inherited[here] = source
                self._enter(tree, here, _line(key_node), value_node)
        return tree

    def _enter(self, tree: dict[str, Any], here: KeyPath, line: int, node: yaml.Node) -> None:
        key = str(here[-1])
        if key[:1].isspace():  # a full-width blank, which YAML takes for a part of the key
            raise UnusableError(Finding((), Problems.WIDE_BLANK, line=line))
        self.lines[here] = line
        value = self.value(node, here)
        if not key.startswith(_FREE):
            tree[key] = value

    def _own_pairs(
        self, node: yaml.MappingNode, key_path: KeyPath
    ) -> Iterator[tuple[str, yaml.Node, yaml.Node]]:
        for key_node, value_node in node.value:
            if not isinstance(key_node, yaml.ScalarNode):
                self.findings.append(Finding(key_path, Problems.ODD_KEY, line=_line(key_node)))
            elif key_node.tag != _MERGE:
                yield str(key_node.value), key_node, value_node

    def _merged_pairs(
        self, node: yaml.MappingNode, key_path: KeyPath, around: tuple[yaml.Node, ...]
    ) -> Iterator[tuple[str, yaml.Node, yaml.Node]]:
        """Yield the pairs that merge keys lend to a mapping; of two with one key, the first counts."""
        for key_node, value_node in node.value:
            if key_node.tag != _MERGE:
                continue
            lenders = value_node.value if isinstance(value_node, yaml.SequenceNode) else [value_node]
            for lender in lenders:
                self.count += 1
                if self.count > _MOST_VALUES or any(lender is one for one in around):
                    raise UnusableError(Finding((), Problems.TOO_NESTED, line=_line(key_node)))
                if not isinstance(lender, yaml.MappingNode):
                    self.findings.append(Finding((*key_path, "<<"), Problems.MERGE, line=_line(key_node)))
                    continue
                yield from self._own_pairs(lender, key_path)
                yield from self._merged_pairs(lender, key_path, (*around, lender))

    def value(self, node: yaml.Node, key_path: KeyPath) -> object:
        self.count += 1
        # An alias inside of its own anchor recurses for ever.
        if self.count > _MOST_VALUES or len(key_path) > _DEEPEST:
            raise UnusableError(Finding((), Problems.TOO_NESTED, line=_line(node)))
        if isinstance(node, yaml.MappingNode):
            return self.mapping(node, key_path)
        if isinstance(node, yaml.SequenceNode):
            return [self.item(item, (*key_path, index)) for index, item in enumerate(node.value)]
        assert isinstance(node, yaml.ScalarNode)  # noqa: S101 (there is no fourth kind)
        return self.scalar(node, key_path)

    def item(self, node: yaml.Node, key_path: KeyPath) -> object:
        self.lines[key_path] = _line(node)
        return self.value(node, key_path)

    def scalar(self, node: yaml.ScalarNode, key_path: KeyPath) -> object:
        value, kind = str(node.value), str(node.tag)
        if node.style is None and kind == f"{_CORE}str":
            value = value.strip()  # of full-width blanks, which YAML keeps
        self.written[key_path] = value
        if not kind.startswith(_CORE):
            self.findings.append(Finding(key_path, Problems.EXCLAMATION))
            return UnsupportedValue()
        if any(unicodedata.category(c) in {"Cc", "Cs"} for c in value):
            self.findings.append(Finding(key_path, Problems.CONTROL))
            return UnsupportedValue()
        if node.style is None and key_path[-1] not in _SENTENCES and _in_wide_quotes(value):
            self.findings.append(Finding(key_path, Problems.WIDE_QUOTES))
            return UnsupportedValue()
        return _scalar(value, kind.removeprefix(_CORE))


def _in_wide_quotes(value: str) -> bool:
    return len(value) > 1 and any(value[0] == a and value[-1] == z for a, z in _WIDE_QUOTES)


def _scalar(value: str, kind: str) -> object:
    if kind == "str":
        return value
    if kind == "null":
        return None
    if kind == "bool":
        return value.lower() in _TRUE
    # YAML 1.1 reads 0755 as octal and 1:30 as 90. Nobody who writes these means that, so they are refused.
    if kind == "int" and _PLAIN_INT.fullmatch(value):
        return int(value)
    return UnsupportedValue()
