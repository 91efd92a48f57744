"""Checks of the values in the file: each alone, as validators for `schema`, and several together."""

from __future__ import annotations

import ipaddress
import re
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import combinations, pairwise
from string import Formatter
from typing import Any, Final
from urllib.parse import parse_qs, urlsplit

from pathspec import GitIgnoreSpec
from pydantic_core import PydanticCustomError

from dingwatch.config.findings import Finding, Place, line_of, shorten
from dingwatch.model import is_beneath
from dingwatch.pace import Limit
from dingwatch.texts import Problems

_SECONDS: Final = {"ms": 0.001, "s": 1.0, "m": 60.0, "h": 3600.0, "d": 86400.0}
# `[0-9]` and not `\d`, which takes full-width digits too; the lengths keep floats exact.
_DURATION: Final = re.compile(r"([0-9]{1,9}(?:\.[0-9]{1,6})?)(ms|s|m|h|d)")
_PACE: Final = re.compile(r"([1-9][0-9]{0,5})/(s|m)")


def refused(text: Problems, **values: object) -> PydanticCustomError:
    """Return what a validator raises: one of our own sentences, which survives pydantic whole."""
    return PydanticCustomError(text.name, "{sentence}", {"sentence": text.name, **values})


def _match(pattern: re.Pattern[str], written: object, otherwise: Problems) -> re.Match[str]:
    found = pattern.fullmatch(written) if isinstance(written, str) else None
    if found is None:
        raise refused(otherwise)
    return found


def seconds(written: object) -> float:
    """Return a duration in seconds."""
    number, unit = _match(_DURATION, written, Problems.DURATION).groups()
    return float(number) * _SECONDS[unit]


def pace(written: object) -> Limit:
    """Return a rate: per second evenly spaced, per minute in bursts."""
    count, unit = _match(_PACE, written, Problems.PACE).groups()
    return Limit(int(count), _SECONDS[unit], spaced=unit == "s")


@dataclass(frozen=True, slots=True)
class Span:
    """A validator of durations from `least` to `most`, both as people write them."""

    least: str
    most: str

    def __call__(self, written: object) -> float:
        """Return the duration in seconds, or refuse it."""
        found = seconds(written)
        if not seconds(self.least) <= found <= seconds(self.most):
            raise refused(Problems.DURATION_RANGE, least=self.least, most=self.most)
        return found


@dataclass(frozen=True, slots=True)
class Between:
    """A validator of whole numbers."""

    least: int
    most: int

    def __call__(self, number: int) -> int:
        """Return the number, or refuse it."""
        if not self.least <= number <= self.most:
            raise refused(Problems.NUMBER_RANGE, least=self.least, most=self.most)
        return number


_LONGEST_PATTERN: Final = 1000


def is_loopback(url: str) -> bool:
    """Return whether an address never leaves this machine."""
    host = urlsplit(url).hostname or ""
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"


def filled(text: str) -> str:
    """Refuse what is blank."""
    if not text.strip():
        raise refused(Problems.EMPTY)
    return text


def absolute(path: str) -> str:
    """Refuse what depends on where the program was started."""
    if not path.startswith(("/", "~")):
        raise refused(Problems.RELATIVE)
    return path


def url(text: str) -> str:
    """Return an address without a slash at its end; refuse one that would carry the secret in clear text."""
    try:
        parts = urlsplit(text)
        _ = parts.port  # raises when it is no number
    except ValueError:
        raise refused(Problems.URL) from None
    plain = parts.hostname and not (parts.query or parts.fragment or "@" in parts.netloc or " " in text)
    if parts.scheme not in {"http", "https"} or not plain:
        raise refused(Problems.URL)
    if parts.scheme == "http" and not is_loopback(text):
        raise refused(Problems.CLEAR_TEXT)
    return text.rstrip("/")


def ledger(url: str) -> str:
    """Refuse databases that the ledger does not speak."""
    if not url.startswith("postgresql+psycopg://"):
        raise refused(Problems.LEDGER)
    return url


def conversation(text: str) -> str:
    """Refuse what is no conversation ID."""
    if not text.startswith("cid"):
        raise refused(Problems.NO_CID)
    return text


def webhook(address: str) -> str:
    """Refuse what is no custom robot's address; it is never quoted, for it holds the token."""
    try:
        parts = urlsplit(address)
        tokens = parse_qs(parts.query).get("access_token", [])
    except ValueError:
        raise refused(Problems.WEBHOOK) from None
    if parts.scheme not in {"https", "http"} or not parts.hostname or len(tokens) != 1:
        raise refused(Problems.WEBHOOK)
    if parts.scheme == "http" and not is_loopback(address):
        raise refused(Problems.CLEAR_TEXT)
    return address


FIELDS: Final = ("name", "size", "folder", "path", "change")
"""What a message's template may name."""


def template(text: str) -> str:
    """Refuse a template that names what there is not."""
    try:
        fields = list(Formatter().parse(filled(text)))
    except ValueError:
        raise refused(Problems.TEMPLATE, fields=", ".join(FIELDS)) from None
    if any(name is not None and (name not in FIELDS or spec or turn) for _, name, spec, turn in fields):
        raise refused(Problems.TEMPLATE, fields=", ".join(FIELDS))
    return text


def one_or_more(written: object) -> object:
    """Return one value or a list of them as a tuple."""
    return tuple(written) if isinstance(written, list) else (written,)


def distinct(conversations: tuple[str, ...]) -> tuple[str, ...]:
    """Refuse no conversation at all, and one twice."""
    if not conversations:
        raise refused(Problems.NO_CONVERSATION)
    return once(conversations)


def once(recipients: tuple[str, ...]) -> tuple[str, ...]:
    """Refuse one that is there twice."""
    for most, number in Counter(recipients).most_common(1):
        if number > 1:
            raise refused(Problems.SAME_CONVERSATION, written=shorten(most))
    return recipients


def listed(written: object) -> object:
    """Return a list as a tuple; an empty key is an empty list."""
    if not isinstance(written, list | None):
        raise refused(Problems.NOT_LIST)
    return tuple(written or ())


def pattern(text: str) -> str:
    """Refuse what is no gitignore pattern, or one without effect."""
    if text.startswith("#"):
        raise refused(Problems.PATTERN_COMMENT, written=shorten(text))
    try:
        compiled = GitIgnoreSpec.from_lines([text] if len(text) <= _LONGEST_PATTERN else []).patterns
        useful = any(each.include is not None for each in compiled)
    except (ValueError, re.error):
        useful = False
    if not useful:
        raise refused(Problems.PATTERN, written=shorten(text))
    if (several := patterns_in(text)) != [text]:
        patterns = ", ".join(map(_quoted, several[:4]))
        raise refused(Problems.PATTERN_LIST, written=shorten(text), patterns=patterns)
    if (unix := _as_on_unix(text)) != text:
        raise refused(Problems.PATTERN_PATH, written=shorten(text), pattern=_quoted(unix))
    return text


_EXTENSION: Final = re.compile(r"!?\*?\.[\w.*?\[\]$!~-]+")
"""An extension alone: `*.pdf`, `.bak`."""
_BRACES: Final = re.compile(r"\{([^{}]*,[^{}]*)\}")
_BLANK: Final = r"\s"
_RARE: Final = "[;；|]"
"""Separators that hardly any name holds; a comma or a blank is in many."""


def patterns_in(text: str) -> list[str]:
    """Return the patterns that somebody wrote into one; the pattern alone where it may be meant as it is.

    A name may hold a semicolon, a comma or a blank: `a;b.txt`, `*Smith, John*` and `* copy *.pdf` are one
    pattern each. Only a wildcard or an extension beside the separator gives a list away.
    """
    if (braces := _BRACES.search(text)) and "*" in text:
        return [text[: braces.start()] + one.strip() + text[braces.end() :] for one in braces[1].split(",")]
    for separator in (_RARE, "[,，、]", _BLANK):
        parts = [part for each in re.split(rf"(?<!\\){separator}", text) if (part := each.strip())]
        if _is_list(parts, separator):
            return parts
    return [text]


def _is_list(parts: Sequence[str], separator: str) -> bool:
    """Return whether these parts of one pattern are patterns themselves."""
    if separator == _BLANK:
        return len(parts) > 1 and all(map(_EXTENSION.fullmatch, parts))
    if len(parts) < 2:  # noqa: PLR2004 (`*.pdf;`)
        return any(map(_EXTENSION.fullmatch, parts))
    beside = any(one.endswith("*") or other.startswith("*") for one, other in pairwise(parts))
    wild = sum("*" in part for part in parts)
    file = re.search(r"\.[^\W\d]\w*$", parts[0]) is not None  # Thumbs.db,*.tmp
    return any(map(_EXTENSION.fullmatch, parts[:-1])) or (beside and (wild > 1 or file or separator == _RARE))


def _as_on_unix(text: str) -> str:
    r"""Return a pattern as gitignore writes it: without the backslash of `drafts\*.pdf`, the dot of `./a`."""
    slashes = re.sub(r"\\(?=\w)|(?<=\w)\\(?=\*\.)", "/", text)
    return re.sub(r"^(!?)(\.\.?/)+", r"\1/", slashes)


def _quoted(pattern: str) -> str:
    return f'"{shorten(pattern)}"'


@dataclass(frozen=True, slots=True)
class Spot:
    """The facts known of one folder, however much else is wrong with it."""

    index: int
    root: bytes | None
    name: str | None
    recipients: frozenset[str]

    def place(self, key: str) -> Place:
        """Return where one of its keys stands."""
        return ("folders", self.index, key)


def missing(tree: Mapping[str, Any]) -> Iterator[Finding]:
    """Find the keys that are needed and not there, or empty."""
    for section in ("dingtalk", "folders"):
        if section not in tree:
            yield Finding((section,), Problems.MISSING)
    dingtalk = tree.get("dingtalk")
    if isinstance(dingtalk, dict) and dingtalk.get("client_id") is None:
        yield Finding(("dingtalk", "client_id"), Problems.MISSING)
    folders = tree.get("folders")
    for index, folder in enumerate(folders if isinstance(folders, list) else ()):
        if isinstance(folder, dict):
            yield from _missing_in_folder(index, folder)


ADDRESS_KEYS: Final = ("webhook",)
"""Keys that hold a custom robot's address, which is a secret; such robots carry notices, not files."""
RECIPIENT_KEYS: Final = ("conversation_id", "user_ids", "chat_id", *ADDRESS_KEYS)
"""Keys of which a folder needs one at least; an empty list of the first is a problem of its own."""


def _missing_in_folder(index: int, folder: Mapping[str, Any]) -> Iterator[Finding]:
    if folder.get("path") is None:
        yield Finding(("folders", index, "path"), Problems.MISSING)
    others = (folder.get(key) for key in RECIPIENT_KEYS[1:])
    if folder.get(RECIPIENT_KEYS[0]) is None and all(one is None or one == [] for one in others):
        yield Finding(("folders", index, "conversation_id"), Problems.MISSING)
    for key in ADDRESS_KEYS:
        if folder.get(key) is not None and folder.get("send_as") != "notice":
            yield Finding(("folders", index, key), Problems.WEBHOOK_FILES)
    if folder.get("webhook_secret") is not None and folder.get("webhook") is None:
        yield Finding(("folders", index, "webhook_secret"), Problems.WEBHOOK_NONE)


def clashes(spots: Sequence[Spot], lines: Mapping[Place, int]) -> Iterator[Finding]:
    """Find names that are not unique, and paths that would send a file twice to one conversation."""
    for earlier, later in combinations(spots, 2):
        if later.name is not None and later.name == earlier.name:
            line = line_of(earlier.place("name"), lines)
            values: dict[str, object] = {"name": shorten(later.name), "first": line}
            yield Finding(later.place("name"), Problems.SAME_NAME, values)
        common = earlier.recipients & later.recipients
        if common and earlier.root and later.root and overlap(earlier.root, later.root):
            values = {"first": line_of(earlier.place("path"), lines), "conversation": shorten(min(common))}
            yield Finding(later.place("path"), Problems.OVERLAP, values)


def around_state(spots: Sequence[Spot], state_dir: bytes) -> Iterator[Finding]:
    """Find folders that hold the ledger or lie beside it: dingwatch would send its own files."""
    for spot in spots:
        if spot.root and overlap(spot.root, state_dir):
            values = {"state_dir": state_dir.decode("utf-8", "backslashreplace")}
            yield Finding(spot.place("path"), Problems.AROUND_STATE, values)


def overlap(one: bytes, other: bytes) -> bool:
    """Return whether two real paths are the same or one lies beneath the other."""
    return is_beneath(one, other) or is_beneath(other, one)
