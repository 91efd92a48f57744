"""Checks of the file: validators of single values, for `schema`, and checks of several values together."""

from __future__ import annotations

import ipaddress
import re
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise
from operator import attrgetter, itemgetter
from string import Formatter
from typing import Any, Final
from urllib.parse import parse_qs, urlsplit

from pathspec import GitIgnoreSpec
from pydantic_core import PydanticCustomError

from dingwatch.config import database
from dingwatch.config.durations import DURATION, SECONDS
from dingwatch.config.findings import Finding, KeyPath, line_of, shorten
from dingwatch.model import is_beneath
from dingwatch.pace import Limit
from dingwatch.texts import Problems

_PACE: Final = re.compile(r"([1-9][0-9]{0,5})/(s|m)")


def make_error(text: Problems, **values: object) -> PydanticCustomError:
    """Return the error for a validator to raise; pydantic passes the name of the sentence on to `schema`."""
    return PydanticCustomError(text.name, "{sentence}", {"sentence": text.name, **values})


def _match(pattern: re.Pattern[str], written: object, problem: Problems) -> re.Match[str]:
    found = pattern.fullmatch(written) if isinstance(written, str) else None
    if found is None:
        raise make_error(problem)
    return found


def seconds(written: object) -> float:
    """Return a duration in seconds."""
    number, unit = _match(DURATION, written, Problems.DURATION).groups()
    return float(number) * SECONDS[unit]


def pace(written: object) -> Limit:
    """Return a rate: per second evenly spaced, per minute in bursts."""
    count, unit = _match(_PACE, written, Problems.PACE).groups()
    return Limit(int(count), SECONDS[unit], spaced=unit == "s")


@dataclass(frozen=True, slots=True)
class Span:
    """A validator of durations from `least` to `most`, both as people write them."""

    least: str
    most: str

    def __call__(self, written: object) -> float:
        """Return the duration in seconds, or refuse it."""
        found = seconds(written)
        if not seconds(self.least) <= found <= seconds(self.most):
            raise make_error(Problems.DURATION_RANGE, least=self.least, most=self.most)
        return found


@dataclass(frozen=True, slots=True)
class Between:
    """A validator of whole numbers."""

    least: int
    most: int

    def __call__(self, number: int) -> int:
        """Return the number, or refuse it."""
        if not self.least <= number <= self.most:
            raise make_error(Problems.NUMBER_RANGE, least=self.least, most=self.most)
        return number


_LONGEST_PATTERN: Final = 1000


def is_loopback(url: str) -> bool:
    """Return whether an address leads to this machine itself."""
    host = urlsplit(url).hostname or ""
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"


def check_text(text: str) -> str:
    """Refuse a blank text."""
    if not text.strip():
        raise make_error(Problems.EMPTY)
    return text


LONGEST_NAME: Final = 200
"""Characters of a name; PostgreSQL indexes those of nodes, shares and folders, in 2,700 bytes at most."""


def check_name(name: str) -> str:
    """Refuse a blank or very long name."""
    if len(name) > LONGEST_NAME:
        raise make_error(Problems.NAME_LONG, most=LONGEST_NAME)
    return check_text(name)


def check_path(path: str) -> str:
    """Refuse a relative path: it would depend on where the program was started."""
    if not path.startswith(("/", "~")):
        raise make_error(Problems.RELATIVE)
    return path


def check_star(path: str) -> str:
    """Refuse a `*` that is not the only one and a whole level of the path."""
    parts = path.split("/")
    stars = [part for part in parts if "*" in part]
    if stars and (stars != ["*"] or ".." in parts[parts.index("*") :]):
        raise make_error(Problems.STAR)
    return path


def check_url(text: str) -> str:
    """Return an address without a slash at its end; refuse one over which the secret would go unencrypted."""
    try:
        parts = urlsplit(text)
        _ = parts.port  # raises if it is no number
    except ValueError:
        raise make_error(Problems.URL) from None
    plain = parts.hostname and not ("?" in text or "#" in text or "@" in parts.netloc or " " in text)
    if parts.scheme not in {"http", "https"} or not plain:
        raise make_error(Problems.URL)
    if parts.scheme == "http" and not is_loopback(text):
        raise make_error(Problems.CLEAR_TEXT)
    return text.rstrip("/")


def check_ledger(url: str) -> str:
    """Refuse what is no address of a database; the problem never quotes it: it may hold a password."""
    if not url.startswith(database.SCHEME):
        raise make_error(Problems.LEDGER)
    if not database.is_address(url):
        raise make_error(Problems.LEDGER_ADDRESS)
    return url


def check_conversation(text: str) -> str:
    """Refuse what is no conversation ID, such as a group's name or a chatId."""
    if not text.startswith("cid"):
        raise make_error(Problems.NO_CID)
    return text


def check_webhook(address: str) -> str:
    """Refuse what is no custom robot's address; the problem never quotes it, because it holds the token."""
    try:
        parts = urlsplit(address)
        tokens = parse_qs(parts.query).get("access_token", [])
    except ValueError:
        raise make_error(Problems.WEBHOOK) from None
    plain = parts.hostname and "@" not in parts.netloc and address.isprintable() and " " not in address
    if parts.scheme not in {"https", "http"} or not plain or len(tokens) != 1:
        raise make_error(Problems.WEBHOOK)
    if parts.scheme == "http" and not is_loopback(address):
        raise make_error(Problems.CLEAR_TEXT)
    return address


_RECIPIENT: Final = re.compile(r"cid.+|(?:user|chat):.+")


def check_alert_recipient(text: str) -> str:
    """Refuse what nobody can be told by; the problem never quotes it, because it may be an address."""
    if text.lower().startswith(("http:", "https:")):
        return check_webhook(text)
    if not _RECIPIENT.fullmatch(text):
        raise make_error(Problems.ALERT_RECIPIENT)
    return text


def check_heartbeat(address: str) -> str:
    """Refuse what cannot be called; the problem never quotes it, because who knows it can call it, too."""
    try:
        parts = urlsplit(address)
        _ = parts.port  # raises if it is no number
    except ValueError:
        raise make_error(Problems.HEARTBEAT_URL) from None
    plain = parts.hostname and "@" not in parts.netloc and address.isprintable() and " " not in address
    if parts.scheme not in {"http", "https"} or not plain:
        raise make_error(Problems.HEARTBEAT_URL)
    return address


TIME_OF_DAY: Final = re.compile(r"([01][0-9]|2[0-3]):[0-5][0-9]")


def check_time_of_day(text: str) -> str:
    """Refuse what is no time of day."""
    if not TIME_OF_DAY.fullmatch(text):
        raise make_error(Problems.TIME_OF_DAY)
    return text


FIELDS: Final = ("name", "size", "folder", "path", "change")
"""The fields that a caption's template may use."""


def check_template(text: str) -> str:
    """Refuse a template with unknown fields."""
    check_text(text)
    try:
        fields = list(Formatter().parse(text))
    except ValueError:
        raise make_error(Problems.TEMPLATE, fields=", ".join(FIELDS)) from None
    if any(name is not None and (name not in FIELDS or spec or turn) for _, name, spec, turn in fields):
        raise make_error(Problems.TEMPLATE, fields=", ".join(FIELDS))
    return text


ARGUMENT_FIELDS: Final = ("fd", "name", "size")
"""The fields that an argument of `before_send` may use."""
ARGUMENT_FIELD: Final = re.compile(r"\{([a-z_]+)\}")


def check_argument(text: str) -> str:
    """Refuse an argument with unknown fields; other braces mean nothing, so that a script may have them."""
    if "\0" in text:
        raise make_error(Problems.WRONG)
    if any(field not in ARGUMENT_FIELDS for field in ARGUMENT_FIELD.findall(text)):
        raise make_error(Problems.ARGUMENT, fields=", ".join(ARGUMENT_FIELDS))
    return text


def check_program(words: tuple[str, ...]) -> tuple[str, ...]:
    """Refuse a program without a name, or by a path that depends on where the service was started."""
    if not words or not words[0].strip():
        raise make_error(Problems.EMPTY)
    if "/" in words[0] and not words[0].startswith("/"):
        raise make_error(Problems.PROGRAM)
    return words


def wrap(written: object) -> object:
    """Return a list as a tuple, and a single value as a tuple of one."""
    return tuple(written) if isinstance(written, list) else (written,)


def check_conversations(conversations: tuple[str, ...]) -> tuple[str, ...]:
    """Refuse an empty list, and repeated conversations."""
    if not conversations:
        raise make_error(Problems.NO_CONVERSATION)
    return check_unique(conversations)


def check_unique(recipients: tuple[str, ...]) -> tuple[str, ...]:
    """Refuse repeated recipients."""
    for most, number in Counter(recipients).most_common(1):
        if number > 1:
            raise make_error(Problems.SAME_CONVERSATION, conversation=shorten(most))
    return recipients


def check_list(written: object) -> object:
    """Return a list as a tuple; a key without a value is an empty list."""
    if not isinstance(written, list | None):
        raise make_error(Problems.NOT_LIST)
    return tuple(written or ())


def check_pattern(text: str) -> str:
    """Refuse what is no gitignore pattern, or one without effect."""
    if text.startswith("#"):
        raise make_error(Problems.PATTERN_COMMENT, written=shorten(text))
    try:
        compiled = GitIgnoreSpec.from_lines([text] if len(text) <= _LONGEST_PATTERN else []).patterns
        useful = any(each.include is not None for each in compiled)
    except (ValueError, re.error):
        useful = False
    if not useful:
        raise make_error(Problems.PATTERN, written=shorten(text))
    if (several := patterns_in(text)) != [text]:
        patterns = ", ".join(map(_quote, several[:4]))
        raise make_error(Problems.PATTERN_LIST, written=shorten(text), patterns=patterns)
    if (unix := _translate_windows_path(text)) != text:
        raise make_error(Problems.PATTERN_PATH, written=shorten(text), pattern=_quote(unix))
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


def _translate_windows_path(text: str) -> str:
    r"""Return a pattern as gitignore writes it: without the backslash of `drafts\*.pdf`, the dot of `./a`."""
    slashes = re.sub(r"\\(?=\w)|(?<=\w)\\(?=\*\.)", "/", text)
    return re.sub(r"^(!?)(\.\.?/)+", r"\1/", slashes)


def _quote(pattern: str) -> str:
    return f'"{shorten(pattern)}"'


@dataclass(frozen=True, slots=True)
class PartialFolder:
    """The facts known of one folder, whatever else is wrong with it."""

    index: int
    root: bytes | None
    name: str | None
    recipients: frozenset[str]
    moves: bool = False
    """Whether sent files are moved away from it."""
    shared: str | None = None
    """The name under which several nodes share it."""

    def key(self, name: str) -> KeyPath:
        """Return the key path of one of its keys."""
        return ("folders", self.index, name)


def find_missing(tree: Mapping[str, Any]) -> Iterator[Finding]:
    """Yield the required keys that are missing or empty."""
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
    given = [key for key in RECIPIENT_KEYS if folder.get(key) is not None and folder.get(key) != []]
    if folder.get("recipients") is not None:
        if given:
            yield Finding(("folders", index, "recipients"), Problems.TABLE_AND, {"key": given[0]})
        if isinstance(folder.get("path"), str) and "*" not in folder["path"]:
            yield Finding(("folders", index, "recipients"), Problems.TABLE_ALONE)
    elif not given and folder.get(RECIPIENT_KEYS[0]) is None:
        yield Finding(("folders", index, "conversation_id"), Problems.MISSING)
    for key in ADDRESS_KEYS:
        if folder.get(key) is not None and folder.get("send_as") != "notice":
            yield Finding(("folders", index, key), Problems.WEBHOOK_FILES)
    if folder.get("webhook_secret") is not None and folder.get("webhook") is None:
        yield Finding(("folders", index, "webhook_secret"), Problems.WEBHOOK_NONE)


DINGTALK_ROBOTS: Final = "oapi.dingtalk.com"
"""The host of custom robots' addresses (KB:0717)."""


def find_foreign_webhooks(tree: Mapping[str, Any]) -> Iterator[Finding]:
    """Yield custom robots at a foreign host: their tokens and the names of all files would go there."""
    dingtalk, folders = tree.get("dingtalk"), tree.get("folders")
    own = {DINGTALK_ROBOTS, _host_of(dingtalk.get("oapi_url")) if isinstance(dingtalk, dict) else None}
    addresses = list_alert_addresses(tree)
    for index, folder in enumerate(folders if isinstance(folders, list) else ()):
        if isinstance(folder, dict):
            addresses += [(("folders", index, key), folder.get(key)) for key in ADDRESS_KEYS]
    for key_path, address in addresses:
        host = _host_of(address)
        if host is not None and host not in own and not is_loopback(str(address)):
            yield Finding(key_path, Problems.WEBHOOK_HOST)


def list_alert_addresses(tree: Mapping[str, Any]) -> list[tuple[KeyPath, object]]:
    """Return the custom robots' addresses that alerts go to, and where each is written."""
    alerts = tree.get("alerts")
    written = alerts.get("to") if isinstance(alerts, dict) else None
    if isinstance(written, list):
        found: list[tuple[KeyPath, object]] = [
            (("alerts", "to", number), one) for number, one in enumerate(written)
        ]
    else:
        found = [(("alerts", "to"), written)]
    return [(key_path, one) for key_path, one in found if isinstance(one, str) and "://" in one]


def _host_of(written: object) -> str | None:
    """Return the host of an address; None for what is none."""
    try:
        return urlsplit(written).hostname if isinstance(written, str) else None
    except ValueError:
        return None


def find_clashes(folders: Sequence[PartialFolder], lines: Mapping[KeyPath, int]) -> Iterator[Finding]:
    """Yield names that are not unique, and paths that would send a file twice to one conversation.

    And those from which a file would be moved away before another folder has sent it.
    """
    # A folder may be invalid in other ways and still clash: each reports what is known of it.
    named: dict[str, PartialFolder] = {}
    for folder in folders:
        earlier = folder if folder.name is None else named.setdefault(folder.name, folder)
        if earlier is not folder:
            values = {"name": shorten(folder.name or ""), "first": line_of(earlier.key("name"), lines)}
            yield Finding(folder.key("name"), Problems.SAME_NAME, values)
    yield from _find_shared_twice(folders, lines)
    for one, other in _find_overlaps(folders):
        earlier, later = sorted((one, other), key=attrgetter("index"))
        if common := earlier.recipients & later.recipients:
            values = {"first": line_of(earlier.key("path"), lines), "conversation": shorten(min(common))}
            yield Finding(later.key("path"), Problems.OVERLAP, values)
        if one.moves or other.moves:
            mover, watcher = (one, other) if one.moves else (other, one)
            values = {"first": line_of(watcher.key("path"), lines)}
            yield Finding(mover.key("after_send"), Problems.MOVE_OVERLAP, values)


def _find_shared_twice(folders: Sequence[PartialFolder], lines: Mapping[KeyPath, int]) -> Iterator[Finding]:
    """Yield names of shares that two folders of this node have: each is one folder on each node."""
    shared: dict[str, PartialFolder] = {}
    for folder in folders:
        earlier = folder if folder.shared is None else shared.setdefault(folder.shared, folder)
        if earlier is not folder:
            values = {"name": shorten(folder.shared or ""), "first": line_of(earlier.key("path"), lines)}
            yield Finding(folder.key("shared"), Problems.SAME_SHARE, values)


def _find_overlaps(folders: Sequence[PartialFolder]) -> Iterator[tuple[PartialFolder, PartialFolder]]:
    """Yield the folders of which one lies in the other; not by comparing a thousand with a thousand."""
    around: list[tuple[bytes, PartialFolder]] = []
    rooted = [(one.root.rstrip(b"/") + b"/", one) for one in folders if one.root is not None]
    # A directory sorts before all that is in it, and that before what sorts after the directory.
    for root, folder in sorted(rooted, key=itemgetter(0)):
        while around and not root.startswith(around[-1][0]):
            around.pop()
        for _, other in around:
            yield other, folder
        around.append((root, folder))


def find_around_state(folders: Sequence[PartialFolder], state_dir: bytes) -> Iterator[Finding]:
    """Yield folders that overlap with `state_dir`: dingwatch would send its own ledger."""
    for folder in folders:
        if folder.root and overlap(folder.root, state_dir):
            values = {"state_dir": state_dir.decode("utf-8", "backslashreplace")}
            yield Finding(folder.key("path"), Problems.AROUND_STATE, values)


def overlap(one: bytes, other: bytes) -> bool:
    """Return whether two real paths are the same or one lies beneath the other."""
    return is_beneath(one, other) or is_beneath(other, one)
