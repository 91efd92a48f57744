"""Takes secrets, and names of files, out of what `doctor` hands to others."""

from __future__ import annotations

import json
import os
import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Final
from urllib.parse import parse_qsl, quote, urlsplit

from dingwatch.lifecycle import BASELINE, State
from dingwatch.texts import Log

HIDDEN: Final = "***"
SHORTEST: Final = 4
"""Characters; to hide a shorter secret would tear ordinary words out of every line."""
_KEY: Final = re.compile(
    r"^[ \t-]*[\"']?([\w-]*(?:secret|token|password|passwd|webhook|heartbeat_url|ledger|key)[\w-]*)[\"']?\s*:"
    r"\s*(\S.*?)\s*$",
    re.IGNORECASE | re.MULTILINE,
)
_ADDRESS: Final = re.compile(r"[a-z][a-z0-9+.-]*://[^\s\"',\]}]+", re.IGNORECASE)
_FILE: Final = re.compile(r"^[ \t-]*[\w-]*_file\s*:\s*[\"']?(.+?)[\"']?\s*$", re.MULTILINE)
_SHAPES: Final = (
    (re.compile(r"(://)[^/\s@]+@"), rf"\1{HIDDEN}@"),
    (re.compile(r"\bSEC[0-9a-zA-Z]{20,}"), HIDDEN),
    (re.compile(r"\b(Bearer|Basic) +[\w.~+/=-]+", re.IGNORECASE), rf"\1 {HIDDEN}"),
    (
        re.compile(
            r"((?:access[_-]?token|app_?secret|client_?secret|secret|password|passwd|token|sign)[\"']?\s*[=:]\s*[\"']?)"
            r"[^\s\"'&,;）)]+",
            re.IGNORECASE,
        ),
        rf"\1{HIDDEN}",
    ),
)
"""Patterns of keys whose values are always secret."""


def find_secrets(config: str, environ: Mapping[str, str]) -> set[str]:
    """Return what may be a secret in the text of a config file, valid or not, and in the environment.

    Rather too much than too little: what is hidden without need is asked for again.
    """
    found = {
        value for name, value in environ.items() if re.search("SECRET|TOKEN|PASSW|KEY", name, re.IGNORECASE)
    }
    for key, value in _KEY.findall(config):
        if not key.lower().endswith("_file"):
            found |= set(_values(re.sub(r"\s+#.*", "", value).strip("\"'")))
    for address in _ADDRESS.findall(config):
        found |= set(_parts(address))
    files = [path.strip() for path in _FILE.findall(config)]
    credentials = environ.get("CREDENTIALS_DIRECTORY")
    files += [os.path.join(credentials, one) for one in ("client_secret", "ledger_password") if credentials]
    for path in files:
        found |= set(_content(Path(path).expanduser()))
    return {one for one in found if len(one) >= SHORTEST}


def _values(value: str) -> Iterator[str]:
    yield value
    yield from _parts(value)


def _parts(address: str) -> Iterator[str]:
    """Yield the parts of an address by which somebody gets in."""
    try:
        split = urlsplit(address)
        password, query = split.password, parse_qsl(split.query)
    except ValueError:
        return
    if password:
        yield password
    yield from (value for _, value in query)
    yield from (name for name in split.path.split("/") if len(name) >= _LONG)


_LONG: Final = 16
"""Characters of a name in an address that nobody is meant to guess."""


def _content(path: Path) -> Iterator[str]:
    try:
        yield path.read_text(encoding="utf-8", errors="replace")[:4096].strip().strip("\"'")
    except OSError:
        return


@dataclass(frozen=True, slots=True)
class Discretion:
    """Hides secrets in a text, and shortens names unless they are wanted."""

    secrets: frozenset[str]
    paths: tuple[str, ...] = ()
    """Names and paths that are known, the longest first."""
    with_names: bool = False

    def clean(self, text: str) -> str:
        """Return a text that can be handed to others."""
        return self.hide(text if self.with_names else self._shorten_known(text))

    def clean_log(self, text: str) -> str:
        """Return lines of the service's log that can be handed to others."""
        if self.with_names:
            return self.hide(text)
        return self.hide("\n".join(map(self._shorten_line, text.splitlines())))

    def hide(self, text: str) -> str:
        """Take the secrets out of a text."""
        for secret in sorted(self.secrets, key=len, reverse=True):
            for form in {secret, quote(secret, safe=""), quote(secret), json.dumps(secret)[1:-1]}:
                text = text.replace(form, HIDDEN)
        for shape, replacement in _SHAPES:
            text = shape.sub(replacement, text)
        return text

    def _shorten_known(self, text: str) -> str:
        for path in self.paths:
            for form in {path, json.dumps(path, ensure_ascii=False)[1:-1]}:
                if form in text and path not in _WORDS:
                    text = _standing_alone(form).sub(lambda found: shorten(found[0]), text)
        return text

    def _shorten_line(self, line: str) -> str:
        for form in _FORMS:
            if found := form.search(line):
                for group in sorted(found.groupdict(), key=found.start, reverse=True):
                    start, end = found.span(group)
                    line = line[:start] + shorten(line[start:end]) + line[end:]
                return self._shorten_known(line)
        return _NAME.sub(lambda found: shorten(found[0]), self._shorten_known(line))


_WORDS: Final = frozenset({*map(str, State), BASELINE, "settling", "state", "name", "path", "folder"})
"""A folder may have such a name, which would tear the keys of JSON."""


def _standing_alone(name: str) -> re.Pattern[str]:
    """Return a pattern for a name that is no part of a longer word, as far as letters of ASCII tell that."""
    before = r"(?<![0-9A-Za-z_])" if name[0].isascii() and name[0].isalnum() else ""
    after = r"(?![0-9A-Za-z_])" if name[-1].isascii() and name[-1].isalnum() else ""
    return re.compile(before + re.escape(name) + after)


def shorten(path: str) -> str:
    """Return a path of which each name has its first character and its extension."""
    return "/".join(map(_shorten_name, path.split("/")))


def _shorten_name(name: str) -> str:
    stem, extension = os.path.splitext(name)
    return name if len(stem) < 2 else f"{stem[0]}…{extension if len(extension) < 8 else ''}"  # noqa: PLR2004


_NAME: Final = re.compile(r"[^\s\"'（）()：:]*/[^\s\"'（）()]+|[^\s\"'/（）()：:]+\.[A-Za-z]\w{0,6}\b")
"""Looks like a path or a file's name, in a line that is not the service's own."""
_PRIVATE: Final = frozenset({"path", "folder", "root", "before", "name", "names", "target", "file"})


def _forms() -> Iterable[re.Pattern[str]]:
    """Return each sentence of the log as a pattern whose groups are names, the most telling first."""
    written = [sentence for text in Log for sentence in (text.zh, text.en)]
    for sentence in sorted(written, key=lambda one: -len(re.sub(r"\{\w+[^}]*\}", "", one))):
        seen: set[str] = set()
        pieces = []
        for literal, name in re.findall(r"([^{]*)(?:\{(\w+)[^}]*\})?", sentence):
            private = name in _PRIVATE and name not in seen
            seen |= {name}
            pieces.append(re.escape(literal) + (f"(?P<{name}>.+?)" if private else ".*?" if name else ""))
        if seen & _PRIVATE:
            yield re.compile(
                "".join(pieces) + r"(?=$|\s|[,.;，。；])" if sentence.endswith("}") else "".join(pieces)
            )


_FORMS: Final = tuple(_forms())
