"""What a single value must fulfil, as validators for `schema`: each returns the value or refuses it."""

from __future__ import annotations

import ipaddress
import re
from collections import Counter
from string import Formatter
from typing import Final
from urllib.parse import parse_qs, urlsplit

from pathspec import GitIgnoreSpec

from dingwatch.config.findings import shown
from dingwatch.config.units import refused
from dingwatch.texts import Problems

_LONGEST_PATTERN: Final = 1000


def is_loopback(url: str) -> bool:
    """Say whether an address never leaves this machine."""
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
            raise refused(Problems.SAME_CONVERSATION, written=shown(most))
    return recipients


def listed(written: object) -> object:
    """Return a list as a tuple; an empty key is an empty list."""
    if not isinstance(written, list | None):
        raise refused(Problems.NOT_LIST)
    return tuple(written or ())


def pattern(text: str) -> str:
    """Refuse what is no gitignore pattern, or one without effect."""
    if text.startswith("#"):
        raise refused(Problems.PATTERN_COMMENT, written=shown(text))
    try:
        compiled = GitIgnoreSpec.from_lines([text] if len(text) <= _LONGEST_PATTERN else []).patterns
        useful = any(each.include is not None for each in compiled)
    except (ValueError, re.error):
        useful = False
    if not useful:
        raise refused(Problems.PATTERN, written=shown(text))
    return text
