"""The needs of the status page, for a person to act on: equal causes in one entry, the oldest first."""

from __future__ import annotations

import os
from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

from dingwatch import names
from dingwatch.intake import DownFolder
from dingwatch.ledger.report import UNMAPPED, Scope
from dingwatch.ledger.unresolved import Example, Group, Hold
from dingwatch.lifecycle import State
from dingwatch.model import Cause
from dingwatch.service.sentences import Sentences, iso_time, of_unwatched_file
from dingwatch.texts import Needs, Text, system_words

CALLS_OF_A_FILE: Final = 2
"""An upload and a message."""
REASONS: Final[Mapping[str, Text]] = {
    "too_big": Needs.TOO_BIG,
    "empty": Needs.EMPTY,
    "gave_up": Needs.GAVE_UP,
    "unmapped": Needs.UNMAPPED,
    "internal": Needs.INTERNAL,
    "unsupported": Needs.UNSUPPORTED,
    "webhook_files": Needs.WEBHOOK_FILES,
    "no_answer": Needs.NO_ANSWER,
    "crash": Needs.CRASH,
}
_DOWN: Final[Mapping[str, Text]] = {
    "not_mounted": Needs.NOT_MOUNTED,
    "hangs": Needs.HANGS,
    "in_use": Needs.IN_USE,
    "differs": Needs.DIFFERS,
    "first_look": Needs.FIRST_LOOK,
    "ENOENT": Needs.ENOENT,
    "EACCES": Needs.EACCES,
}


@dataclass(frozen=True, slots=True)
class Waiting:
    """Deliveries that wait for people, with one example for each group of the ledger."""

    groups: Sequence[Group]
    holds: Sequence[Hold]
    examples: Mapping[int, Example]
    down: Sequence[tuple[DownFolder, float]]
    """The folders that cannot be watched, and since when (wall clock)."""
    calls_left: int | None
    hold_over: Mapping[str, int | None]
    """After how many deliveries within an hour a folder's flood is held, by its name."""


def list_needs(sentences: Sentences, scope: Scope, waiting: Waiting) -> list[dict[str, Any]]:
    """Return the entries as JSON."""
    found = [
        *(_of_group(sentences, scope, one, waiting.examples) for one in waiting.groups),
        *(_of_hold(sentences, scope, one, waiting) for one in waiting.holds),
        *_of_down(sentences, scope, waiting.down),
    ]
    found.sort(key=lambda one: (one[0], one[1]["kind"], one[1]["id"] or 0))
    return [one | {"at": iso_time(at)} for at, one in found]


def describe_reason(sentences: Sentences, cause: Cause) -> str:
    """Return a cause in words, without its code; DingTalk's own where there are none of ours."""
    known = REASONS.get(cause.code)
    said = system_words(cause.message, sentences.language)
    return sentences.render(known or Needs.OTHER) if known or not said else said


def _of_group(
    sentences: Sentences, scope: Scope, group: Group, examples: Mapping[int, Example]
) -> tuple[float, dict[str, Any]]:
    example = examples[group.first]
    mapped = scope.maps(group.folder, group.recipient)
    cause = (example.cause or Cause(group.code or "", "", "")) if mapped else UNMAPPED
    if group.folder is None:
        cause = of_unwatched_file(cause)
    doubted = mapped and group.state is State.UNCERTAIN
    actions = ["confirm", "resend"] if doubted else ["retry"] if mapped else []
    return example.at, {
        "kind": "uncertain" if doubted else "failed",
        "id": group.first,
        "folder_id": None if group.folder is None else scope.former.get(group.folder, group.folder),
        "count": group.count,
        "name": names.readable(example.path.rpartition(b"/")[2]),
        "path": names.readable(example.path),
        "size": example.size,
        "folder": None if group.folder is None else scope.names.get(group.folder),
        "to": sentences.name_of(group.recipient),
        "reason": describe_reason(sentences, cause),
        "advice": sentences.render(Needs.LOOK_THERE) if doubted else sentences.advice(cause.advice),
        "code": cause.code,
        "request_id": cause.request_id,
        "actions": actions,
    }


def _of_hold(
    sentences: Sentences, scope: Scope, hold: Hold, waiting: Waiting
) -> tuple[float, dict[str, Any]]:
    number = scope.former.get(hold.folder, hold.folder)
    name = scope.names.get(hold.folder)
    most = waiting.hold_over.get(name or "")
    calls, left = hold.count * CALLS_OF_A_FILE, waiting.calls_left
    too_much = left is not None and calls > left
    advice = Needs.COST_TOO_MUCH if too_much else Needs.COST
    reason = Needs.ONLY_TIMES if hold.touched else Needs.FLOOD_BEFORE if most is None else Needs.FLOOD
    to = sorted(recipient for folder, recipient in scope.pairs if folder == hold.folder)
    return waiting.examples[hold.first].at, {
        "kind": "held",
        "id": None,
        "folder_id": number,
        "count": hold.count,
        "name": None,
        "path": None,
        "size": hold.size,
        "folder": name,
        "to": join_names(sentences, to) if to else None,
        "reason": sentences.render(reason, count=hold.count, most=most),
        "advice": sentences.render(advice, calls=calls, left=left),
        "code": "touched" if hold.touched else "hold_over",
        "request_id": None,
        "actions": ["release", "discard"],
    }


def _of_down(
    sentences: Sentences, scope: Scope, down: Iterable[tuple[DownFolder, float]]
) -> Iterator[tuple[float, dict[str, Any]]]:
    together: dict[tuple[str, bytes], list[tuple[DownFolder, float]]] = defaultdict(list)
    for one, since in down:
        mount = one.mount_point
        place = mount if mount not in {None, b"/"} else os.path.dirname(one.root)
        together[one.cause.code, place or b"/"].append((one, since))
    for (_, place), some in together.items():
        yield _of_place(sentences, scope, place, some)


def _of_place(
    sentences: Sentences, scope: Scope, place: bytes, down: Sequence[tuple[DownFolder, float]]
) -> tuple[float, dict[str, Any]]:
    first, since = min(down, key=lambda one: (one[1], one[0].id))
    cause = first.cause
    known = _DOWN.get(cause.code)
    said = system_words(cause.message, sentences.language)
    reason = sentences.render(known or Needs.NOT_WATCHED, message=said) if known or not said else said
    path = names.readable(first.root if len(down) == 1 else place)
    if len(down) > 1:
        reason = sentences.render(Needs.FOLDERS, count=len(down), path=path, reason=reason)
    return since, {
        "kind": "folder_down",
        "id": None,
        "folder_id": scope.former.get(first.id, first.id),
        "count": len(down),
        "name": None,
        "path": path,
        "size": None,
        "folder": scope.names.get(first.id),
        "to": None,
        "reason": reason,
        "advice": sentences.advice(cause.advice),
        "code": cause.code,
        "request_id": cause.request_id,
        "actions": ["look"],
    }


def join_names(sentences: Sentences, recipients: Iterable[str]) -> str:
    """Return recipients by their names, in one text."""
    comma = "、" if sentences.language == "zh" else ", "
    return comma.join(map(sentences.name_of, recipients))
