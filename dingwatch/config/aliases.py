"""Names for recipients: `aliases` of the file, and what they stand for where an ID is expected."""

from __future__ import annotations

import difflib
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from typing import Any, Final

from dingwatch.config import checks
from dingwatch.config.document import Document
from dingwatch.config.findings import Finding, KeyPath, shorten
from dingwatch.model import Recipient, RecipientKind
from dingwatch.texts import Problems

ID: Final = re.compile(r"cid.+|(?:user|chat):.+|webhook:[0-9a-f]{12}")
"""Every kind of recipient, as the ledger and commands write it."""
_LIKE_AN_ID: Final = re.compile(r"(?:cid|user:|chat:|webhook:|https?:)")
KEYS: Final[Mapping[str, RecipientKind]] = {
    "conversation_id": RecipientKind.GROUP,
    "user_ids": RecipientKind.PERSON,
    "chat_id": RecipientKind.CHAT,
}
"""Keys of a folder where an alias may stand, and the kind of recipient whose bare IDs stand there."""
_KEY_OF: Final = {kind: key for key, kind in KEYS.items()}


def check_alias(name: str) -> str:
    """Refuse a name that could be meant as an ID."""
    checks.check_text(name)
    if _LIKE_AN_ID.match(name) or name != name.strip():
        raise checks.make_error(Problems.ALIAS_LIKE_ID, written=shorten(name))
    return name


def check_recipient(text: str) -> str:
    """Refuse what is no recipient in full: a person's ID, say, without `user:`."""
    if not ID.fullmatch(text):
        raise checks.make_error(Problems.ALIAS_NO_ID)  # it may be a robot's address, which is a secret
    return text


def read_aliases(tree: Mapping[str, Any]) -> dict[str, str]:
    """Return the aliases that are in order; the schema reports the others."""
    written = tree.get("aliases")
    return {
        name: one
        for name, one in (written.items() if isinstance(written, dict) else ())
        if isinstance(one, str) and ID.fullmatch(one) and not _LIKE_AN_ID.match(name)
    }


def names_of(aliases: Mapping[str, str]) -> dict[str, str]:
    """Return the name by which people are shown each recipient: of two names for one, the first."""
    return {recipient: name for name, recipient in reversed(list(aliases.items()))}


def nearest_alias(name: str, aliases: Mapping[str, str]) -> str:
    """Return the alias that was most likely meant; there must be one at least."""
    return difflib.get_close_matches(name[:60], list(aliases), 1, 0.0)[0]


def resolve(document: Document) -> tuple[Document, list[Finding]]:
    """Return the document with IDs in the place of aliases, and the names that stand for nothing."""
    aliases = read_aliases(document.tree)
    if not aliases:
        return document, []
    resolver = _Resolver(aliases, dict(document.inherited), [])
    tree = dict(document.tree)
    if isinstance(defaults := tree.get("folder_defaults"), dict):
        tree["folder_defaults"] = resolver.folder(defaults, ("folder_defaults",))
    if isinstance(folders := tree.get("folders"), list):
        tree["folders"] = [
            resolver.folder(one, ("folders", index)) if isinstance(one, dict) else one
            for index, one in enumerate(folders)
        ]
    if isinstance(alerts := tree.get("alerts"), dict) and "to" in alerts:
        tree["alerts"] = {**alerts, "to": resolver.alerts(alerts["to"])}
    return replace(document, tree=tree, inherited=resolver.inherited), resolver.findings


@dataclass(frozen=True, slots=True)
class _Resolver:
    aliases: Mapping[str, str]
    inherited: dict[KeyPath, KeyPath]
    findings: list[Finding]

    def folder(self, folder: Mapping[str, Any], place: KeyPath) -> dict[str, Any]:
        """Return a folder's keys with IDs; a person's alias under `conversation_id` goes to `user_ids`."""
        resolved = dict(folder)
        for key, kind in KEYS.items():
            if key not in folder:
                continue
            for written, recipient in self._look_up(folder[key], kind, (*place, key)):
                if recipient is None or recipient.kind is kind:
                    continue
                # Bare IDs of one kind stand under each key, whereas a name may be of any kind.
                _remove(resolved, key, written)
                target = _KEY_OF[recipient.kind]
                if target not in folder:
                    self.inherited[(*place, target)] = (*place, key)
                _append(resolved, target, written)
        for key in KEYS.keys() & resolved.keys():
            resolved[key] = self._replace(resolved[key], KEYS[key])
        return resolved

    def alerts(self, written: object) -> object:
        """Return those who are told of trouble with IDs in the place of names."""
        if isinstance(written, list):
            return [self._alert_recipient(one, ("alerts", "to", i)) for i, one in enumerate(written)]
        return self._alert_recipient(written, ("alerts", "to"))

    def _alert_recipient(self, written: object, place: KeyPath) -> object:
        # Part of an address is left to the schema, which does not quote what it refuses.
        if not isinstance(written, str) or _LIKE_AN_ID.match(written) or re.search("[/=]", written):
            return written
        if written in self.aliases:
            return self.aliases[written]
        if written.strip():
            values = {"written": shorten(written), "nearest": shorten(nearest_alias(written, self.aliases))}
            self.findings.append(Finding(place, Problems.UNKNOWN_ALIAS, values))
            return f"user:{written}"  # it has been reported
        return written

    def _look_up(
        self, value: object, kind: RecipientKind, place: KeyPath
    ) -> Iterator[tuple[str, Recipient | None]]:
        """Yield what is written under a key, and what it stands for; None for an ID, and what is wrong."""
        for number, one in enumerate(value if isinstance(value, list) else [value]):
            if not isinstance(one, str):
                continue
            where = (*place, number) if isinstance(value, list) else place
            recipient = Recipient.of(self.aliases[one]) if one in self.aliases else None
            if recipient is not None and recipient.kind is RecipientKind.WEBHOOK:
                self.findings.append(Finding(where, Problems.ALIAS_OF_ROBOT, {"written": shorten(one)}))
                recipient = None
            elif recipient is None and _is_name(one, kind):
                nearest = nearest_alias(one, self.aliases)
                values = {"written": shorten(one), "nearest": shorten(nearest)}
                self.findings.append(Finding(where, Problems.UNKNOWN_ALIAS, values))
            yield one, recipient

    def _replace(self, value: object, kind: RecipientKind) -> object:
        """Return a key's value with bare IDs in the place of names."""
        if isinstance(value, list):
            return [self._replace(one, kind) for one in value]
        if not isinstance(value, str):
            return value
        recipient = Recipient.of(self.aliases.get(value, ""))
        if recipient.kind is kind and recipient.id:
            return recipient.id
        # A name that stands for nothing has been reported. As some ID it is not reported once more.
        return f"cid{value}" if _is_name(value, kind) else value


def _is_name(written: str, kind: RecipientKind) -> bool:
    """Return whether this can be no ID of a kind: those of persons and old chats are plain letters."""
    return not written.startswith("cid") if kind is RecipientKind.GROUP else not written.isascii()


def _remove(folder: dict[str, Any], key: str, written: str) -> None:
    value = folder[key]
    rest = [one for one in value if one != written] if isinstance(value, list) else []
    if rest:
        folder[key] = rest
    else:
        del folder[key]


def _append(folder: dict[str, Any], key: str, written: str) -> None:
    value = folder.get(key)
    before = [] if value is None else list(value) if isinstance(value, list) else [value]
    folder[key] = [*before, written]
