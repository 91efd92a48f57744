"""Reads YAML into plain values, and remembers the line of each.

It uses PyYAML's nodes rather than its objects, because they know lines, duplicate keys, and how a number
was written. PyYAML's own messages are never shown: they quote the file, where a secret may stand.
"""

from __future__ import annotations

import re
import unicodedata
from dataclasses import dataclass, field
from typing import Any, Final

import yaml

from dingwatch.config.findings import Finding, KeyPath, UnusableError
from dingwatch.texts import Problems

LARGEST: Final = 1 << 20
"""The largest configuration file, in bytes."""
_DEEPEST: Final = 16
_MOST_ALIASES: Final = 200
_MOST_VALUES: Final = 200_000
"""A limit for aliases of aliases: 200 of them could unfold to any number of values."""

_CORE: Final = "tag:yaml.org,2002:"
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


def parse(raw: bytes) -> Document:
    """Return the document, or raise `UnusableError`."""
    root = _root(_text(raw))
    if not isinstance(root, yaml.MappingNode):
        raise UnusableError(Finding((), Problems.NO_KEYS))
    reader = _Reader(lines={(): _line(root)})
    tree = reader.mapping(root, ())
    return Document(tree, reader.lines, reader.written, reader.findings)


def _text(raw: bytes) -> str:
    if len(raw) > LARGEST:
        raise UnusableError(Finding((), Problems.TOO_LARGE))
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
        finding = _broken(error)
    except (ValueError, OverflowError):
        # PyYAML does not wrap these: `"\\UFFFFFFFF"` has chr() fail, `%YAML 1.x` int().
        finding = Finding((), Problems.YAML_BROKEN, {"column": 1}, line=loader.line + 1 if loader else None)
    else:
        return root
    # Raised outside of the handlers: PyYAML's exception, which may quote a secret, must not be its context.
    raise UnusableError(finding)


class _Loader(yaml.SafeLoader):
    """Composes nodes, with limits on depth and aliases."""

    def __init__(self, text: str) -> None:
        super().__init__(text)
        self.depth = 0
        self.aliases = 0

    def compose_node(self, parent: yaml.Node | None, index: int) -> yaml.Node | None:
        """Compose one node; PyYAML recurses through this method, so the depth is limited here."""
        event = self.peek_event()  # type: ignore[no-untyped-call]
        self.aliases += isinstance(event, yaml.AliasEvent)
        if self.depth >= _DEEPEST or self.aliases > _MOST_ALIASES:
            line = event.start_mark.line + 1
            raise UnusableError(Finding((), Problems.TOO_NESTED, line=line))
        self.depth += 1
        node = super().compose_node(parent, index)
        self.depth -= 1
        return node


_MISTAKES: Final = (
    ("'\\t'", Problems.YAML_TAB),
    ("while scanning an alias", Problems.YAML_QUOTES),
    ("undefined alias", Problems.YAML_QUOTES),
    ("while scanning an anchor", Problems.YAML_QUOTES),
    ("cannot start any token", Problems.YAML_QUOTES),
    ("tag", Problems.YAML_QUOTES),
    ("mapping values are not allowed", Problems.YAML_COLON),
    ("could not find expected ':'", Problems.YAML_NO_COLON),
    ("unexpected end of stream", Problems.YAML_UNCLOSED),
    ("expected ',' or", Problems.YAML_UNCLOSED),
    ("expected a single document", Problems.YAML_DOCUMENTS),
    ("<block end>", Problems.YAML_INDENT),
)
"""Parts of PyYAML's messages, and what the admin most likely did; the first that matches counts.

Admins leave `*.pdf` or `@eaDir` unquoted, indent with tabs, or type a full-width colon. Should PyYAML reword
its messages, the advice only becomes less specific (YAML_BROKEN).
"""


def _broken(error: yaml.MarkedYAMLError) -> Finding:
    message = f"{error.context} {error.problem}"
    text = next((ours for theirs, ours in _MISTAKES if theirs in message), Problems.YAML_BROKEN)
    mark = error.problem_mark or error.context_mark
    line, column = (mark.line + 1, mark.column + 1) if mark else (1, 1)
    return Finding((), text, {"column": column}, line=line)


def _line(node: yaml.Node) -> int:
    return int(node.start_mark.line) + 1


@dataclass(slots=True)
class _Reader:
    """Turns nodes into plain values; collects lines and findings on the way."""

    lines: dict[KeyPath, int]
    written: dict[KeyPath, str] = field(default_factory=dict)
    findings: list[Finding] = field(default_factory=list)
    count: int = 0

    def mapping(self, node: yaml.MappingNode, key_path: KeyPath) -> dict[str, Any]:
        tree: dict[str, Any] = {}
        for key_node, value_node in node.value:
            line = _line(key_node)
            if not isinstance(key_node, yaml.ScalarNode):
                self.findings.append(Finding(key_path, Problems.ODD_KEY, line=line))
                continue
            key = key_node.value
            here = (*key_path, key)
            if key in tree:
                self.findings.append(Finding(here, Problems.TWICE, {"first": self.lines[here]}, line))
                continue
            self.lines[here] = line
            tree[key] = self.value(value_node, here)
        return tree

    def value(self, node: yaml.Node, key_path: KeyPath) -> object:
        self.count += 1
        # An alias inside of its own anchor recurses for ever.
        if self.count > _MOST_VALUES or len(key_path) > _DEEPEST:
            raise UnusableError(Finding((), Problems.TOO_NESTED, line=_line(node)))
        if isinstance(node, yaml.MappingNode):
            return self.mapping(node, key_path)
        if isinstance(node, yaml.SequenceNode):
            return [self.item(item, (*key_path, index)) for index, item in enumerate(node.value)]
        return self.scalar(node, key_path)

    def item(self, node: yaml.Node, key_path: KeyPath) -> object:
        self.lines[key_path] = _line(node)
        return self.value(node, key_path)

    def scalar(self, node: yaml.Node, key_path: KeyPath) -> object:
        value, kind = str(node.value), str(node.tag)
        self.written[key_path] = value
        if not kind.startswith(_CORE):
            self.findings.append(Finding(key_path, Problems.EXCLAMATION))
            return UnsupportedValue()
        if any(unicodedata.category(c) in {"Cc", "Cs"} for c in value):
            self.findings.append(Finding(key_path, Problems.CONTROL))
            return UnsupportedValue()
        return _scalar(value, kind.removeprefix(_CORE))


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
