"""YAML into plain values, with the line of each; every way to write YAML wrongly gets plain words.

Built on PyYAML's nodes instead of its objects: they know their lines, their duplicate keys, and how a
number was written. PyYAML's own messages are never shown: they quote what stands there, maybe a secret.
"""

from __future__ import annotations

import re
import unicodedata
from dataclasses import dataclass, field
from typing import Any, Final

import yaml

from dingwatch.config.findings import Finding, Place, Unusable
from dingwatch.texts import Problems

LARGEST: Final = 1 << 20
"""Bytes that a configuration may have."""
_DEEPEST: Final = 16
_MOST_ALIASES: Final = 200
_MOST_VALUES: Final = 200_000  # what 200 aliases of aliases would unfold to has no bound of its own

_CORE: Final = "tag:yaml.org,2002:"
_PLAIN_INT: Final = re.compile(r"[-+]?(0|[1-9][0-9]{0,14})")
_TRUE: Final = frozenset({"yes", "true", "on"})


@dataclass(frozen=True, slots=True)
class Odd:
    """A value of a kind that no key takes: a float, a date, a tagged value."""


@dataclass(frozen=True, slots=True)
class Document:
    """The parsed file: its values, their places, their spelling, and the faults found so far."""

    tree: dict[str, Any]
    lines: dict[Place, int]
    written: dict[Place, str]
    findings: list[Finding]


def parse(raw: bytes) -> Document:
    """Return the document, or raise `Unusable`."""
    root = _root(_text(raw))
    if not isinstance(root, yaml.MappingNode):
        raise Unusable(Finding((), Problems.NO_KEYS))
    reader = _Reader(lines={(): _line(root)})
    tree = reader.mapping(root, ())
    return Document(tree, reader.lines, reader.written, reader.findings)


def _text(raw: bytes) -> str:
    if len(raw) > LARGEST:
        raise Unusable(Finding((), Problems.TOO_LARGE))
    try:
        return raw.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        finding = Finding((), Problems.NOT_UTF8, line=raw.count(b"\n", 0, error.start) + 1)
    raise Unusable(finding)


def _root(text: str) -> yaml.Node | None:
    loader: _Loader | None = None
    try:
        loader = _Loader(text)
        root = loader.get_single_node()
    except yaml.reader.ReaderError as error:
        finding = Finding((), Problems.CONTROL, line=text.count("\n", 0, error.position) + 1)
    except yaml.MarkedYAMLError as error:
        finding = _broken(error)
    except (
        ValueError,
        OverflowError,
    ):  # an escape or a directive with a number that is none (PyYAML lets these out)
        finding = Finding((), Problems.YAML_BROKEN, {"column": 1}, line=loader.line + 1 if loader else None)
    else:
        return root
    raise Unusable(finding)  # out here, so that nothing of PyYAML's hangs on it as its context


class _Loader(yaml.SafeLoader):
    """Composes nodes, within bounds."""

    def __init__(self, text: str) -> None:
        super().__init__(text)
        self.depth = 0
        self.aliases = 0

    def compose_node(self, parent: yaml.Node | None, index: int) -> yaml.Node | None:
        """Compose one node; recursion is PyYAML's, so the depth has to be bounded in here."""
        event = self.peek_event()  # type: ignore[no-untyped-call]
        self.aliases += isinstance(event, yaml.AliasEvent)
        if self.depth >= _DEEPEST or self.aliases > _MOST_ALIASES:
            line = event.start_mark.line + 1
            raise Unusable(Finding((), Problems.TOO_NESTED, line=line))
        self.depth += 1
        node = super().compose_node(parent, index)
        self.depth -= 1
        return node


_WORDS: Final = (
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
"""What PyYAML says of a mistake, and what it most likely is; the first that fits."""


def _broken(error: yaml.MarkedYAMLError) -> Finding:
    said = f"{error.context} {error.problem}"
    text = next((ours for theirs, ours in _WORDS if theirs in said), Problems.YAML_BROKEN)
    mark = error.problem_mark or error.context_mark
    line, column = (mark.line + 1, mark.column + 1) if mark else (1, 1)
    return Finding((), text, {"column": column}, line=line)


def _line(node: yaml.Node) -> int:
    return int(node.start_mark.line) + 1


@dataclass(slots=True)
class _Reader:
    """Turns nodes into plain values and notes down what it sees on the way."""

    lines: dict[Place, int]
    written: dict[Place, str] = field(default_factory=dict)
    findings: list[Finding] = field(default_factory=list)
    count: int = 0

    def mapping(self, node: yaml.MappingNode, place: Place) -> dict[str, Any]:
        tree: dict[str, Any] = {}
        for key_node, value_node in node.value:
            line = _line(key_node)
            if not isinstance(key_node, yaml.ScalarNode):
                self.findings.append(Finding(place, Problems.ODD_KEY, line=line))
                continue
            key = key_node.value
            here = (*place, key)
            if key in tree:
                self.findings.append(Finding(here, Problems.TWICE, {"first": self.lines[here]}, line))
                continue
            self.lines[here] = line
            tree[key] = self.value(value_node, here)
        return tree

    def value(self, node: yaml.Node, place: Place) -> object:
        self.count += 1
        # An alias to what it stands in has no bottom.
        if self.count > _MOST_VALUES or len(place) > _DEEPEST:
            raise Unusable(Finding((), Problems.TOO_NESTED, line=_line(node)))
        if isinstance(node, yaml.MappingNode):
            return self.mapping(node, place)
        if isinstance(node, yaml.SequenceNode):
            return [self.item(item, (*place, index)) for index, item in enumerate(node.value)]
        return self.scalar(node, place)

    def item(self, node: yaml.Node, place: Place) -> object:
        self.lines[place] = _line(node)
        return self.value(node, place)

    def scalar(self, node: yaml.Node, place: Place) -> object:
        value, kind = str(node.value), str(node.tag)
        self.written[place] = value
        if not kind.startswith(_CORE):
            self.findings.append(Finding(place, Problems.EXCLAMATION))
            return Odd()
        if any(unicodedata.category(c) in {"Cc", "Cs"} for c in value):
            self.findings.append(Finding(place, Problems.CONTROL))
            return Odd()
        return _scalar(value, kind.removeprefix(_CORE))


def _scalar(value: str, kind: str) -> object:
    if kind == "str":
        return value
    if kind == "null":
        return None
    if kind == "bool":
        return value.lower() in _TRUE
    if kind == "int" and _PLAIN_INT.fullmatch(value):
        return int(value)
    return Odd()
