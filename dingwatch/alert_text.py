"""The wording of alerts and of the daily summary. Pure functions.

Markdown of the simplest kind, which groups, persons, chats and custom robots all take (KB:0716, KB:0714,
KB:1488, KB:0717): paragraphs, in which nothing of a name means anything. All of a message fits the 2,048
bytes of one to a chat (KB:1488).
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Final

from dingwatch import quota
from dingwatch.alerts import Condition, Topic, Trouble
from dingwatch.model import Cause
from dingwatch.names import shell_word
from dingwatch.notice_text import Message, code, fit
from dingwatch.texts import Advice, Alerts, Language, describe_word, system_words

LONGEST: Final = 1600
"""Bytes of a text in a request."""
LONGEST_NAME: Final = 120
LONGEST_REASON: Final = 240


@dataclass(frozen=True, slots=True)
class Style:
    """How messages are worded: the language, and the host that dingwatch runs on."""

    language: Language
    host: str


# --- Alerts --------------------------------------------------------------------------------------


def word_alert(style: Style, begun: Sequence[Condition], over: Sequence[Trouble]) -> Message:
    """Return one message about all that has begun and all that is over; one of the two is not empty."""
    host = fit(style.host, LONGEST_NAME)
    text = Alerts.TITLE if begun else Alerts.TITLE_OVER
    title = text.render(style.language, host=style.host[:LONGEST_NAME], count=len(begun) or len(over))
    lines: list[str] = []
    lines += [Alerts.HEAD.render(style.language, host=host)] * bool(begun)
    lines += [_word_condition(style, one) for one in begun]
    lines += [Alerts.HEAD_OVER.render(style.language, host=host)] * bool(over)
    lines += [_word_end(style, one) for one in over]
    return Message(title, _join(style, lines))


def _word_condition(style: Style, one: Condition) -> str:
    cause = one.cause or Cause("", "", "")
    name = _name(style, one)
    quoted, node = shell_word(name), _node(one)
    values: dict[str, object] = {
        "name": fit(name, LONGEST_NAME),
        "node": fit(node, LONGEST_NAME),
        "target": _target(style, one),
        "since": local_time(one.since),
        "count": one.count,
        "used": one.count,
        "limit": one.limit,
        "share": one.newest,
        "file": fit(one.file, LONGEST_NAME),
        "reason": _reason(style, cause),
        "advice": Advice[cause.advice].render(style.language) if cause.advice else "",
        "status": code("dingwatch status"),
        "drain": code(f"dingwatch drain {quoted}"),
        "resume": code("dingwatch resume"),
        "release": code(f"dingwatch release {quoted}"),
        "discard": code(f"dingwatch discard {quoted}"),
        "retry": code("dingwatch retry --all"),
        "resolve": code("dingwatch resolve ID --sent | --resend"),
        "list": code(f"dingwatch history --state {one.topic}"),
    }
    if one.topic is Topic.FOLDER_DOWN and values["reason"]:
        values["reason"] = Alerts.REASON.render(style.language, reason=values["reason"])
    text = Alerts.NODE_FOLDER_DOWN if node else Alerts[one.topic.upper()]
    if one.topic is Topic.QUOTA and one.newest >= max(quota.WARNINGS):
        text = Alerts.QUOTA_FULL
    return text.render(style.language, **values).strip()


def _word_end(style: Style, one: Trouble) -> str:
    name = fit(_name(style, one), LONGEST_NAME)
    node = fit(_node(one), LONGEST_NAME)
    text = Alerts.NODE_FOLDER_DOWN_OVER if node else Alerts[f"{one.topic.upper()}_OVER"]
    target, since = _target(style, one), local_time(one.since)
    return text.render(style.language, name=name, node=node, target=target, since=since)


def _name(style: Style, one: Condition | Trouble) -> str:
    """Return what people call a folder; what `send` was given has none."""
    return one.name or Alerts.SENT_BY_HAND.render(style.language)


def _node(one: Condition | Trouble) -> str:
    """Return the node on which a folder is down; empty for anything else, and where there are no nodes."""
    return one.key.partition("/")[2] if one.topic is Topic.FOLDER_DOWN else ""


def _target(style: Style, one: Condition | Trouble) -> str:
    """Return what DingTalk refuses: `app`, or with its name an API or a conversation."""
    scope = describe_word(one.key.partition("/")[0], style.language)
    return f"{scope} {fit(one.name, LONGEST_NAME)}".strip()


def _reason(style: Style, cause: Cause) -> str:
    request = f" {describe_word('request id', style.language)} {cause.request_id}" if cause.request_id else ""
    said = f"{cause.code} {system_words(cause.message, style.language)}".strip()
    return fit(said + request, LONGEST_REASON)


def _join(style: Style, lines: Sequence[str]) -> str:
    """Return paragraphs, as many as fit; the last one tells how many do not."""
    text = "\n\n".join(lines)
    left_out = 0
    while _bytes(text) > LONGEST and left_out < len(lines) - 1:
        left_out += 1
        more = Alerts.MORE.render(style.language, count=left_out, status=code("dingwatch status"))
        text = "\n\n".join([*lines[:-left_out], more])
    return text


def _bytes(text: str) -> int:
    return len(json.dumps(text, ensure_ascii=False).encode())


def local_time(at: float) -> str:
    """Return a time for people: in the machine's time zone, to the minute."""
    return datetime.fromtimestamp(at, UTC).astimezone().strftime("%Y-%m-%d %H:%M")


# --- The daily summary ---------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class FolderDay:
    """The day of one folder: `sent` in the time of the summary, the others now."""

    name: str
    sent: int = 0
    waiting: int = 0
    held: int = 0
    failed: int = 0
    uncertain: int = 0
    down: bool = False

    @property
    def wrong(self) -> bool:
        """Whether it needs somebody."""
        return self.down or any((self.held, self.failed, self.uncertain))

    @property
    def quiet(self) -> bool:
        """Whether there is nothing to tell."""
        return not (self.wrong or self.sent or self.waiting)


@dataclass(frozen=True, slots=True)
class Summary:
    """The daily summary. `since` and `until` bound what was sent (wall-clock seconds)."""

    since: float
    until: float
    folders: tuple[FolderDay, ...]
    use: quota.Use


def word_summary(style: Style, summary: Summary) -> Message:
    """Return the daily summary: folders in which something is wrong come first."""
    language = style.language
    told = [one for one in summary.folders if not one.quiet]
    told.sort(key=lambda one: (not one.wrong, -one.sent, one.name))
    since, until = local_time(summary.since), local_time(summary.until)
    title = Alerts.SUMMARY_TITLE.render(language, host=style.host[:LONGEST_NAME], day=until[:10])
    text, values = quota.describe(summary.use)
    sent = sum(one.sent for one in summary.folders)
    host = fit(style.host, LONGEST_NAME)
    head = Alerts.SUMMARY_HEAD.render(language, host=host, since=since, until=until, sent=sent)
    lines = [head, text.render(language, **values), *(_word_folder(style, one) for one in told)]
    if quiet := len(summary.folders) - len(told):
        lines.append(Alerts.SUMMARY_QUIET.render(language, count=quiet))
    return Message(title, _join(style, lines))


def _word_folder(style: Style, one: FolderDay) -> str:
    values: Mapping[str, object] = {
        "name": fit(one.name, LONGEST_NAME),
        "sent": one.sent,
        "waiting": one.waiting,
        "held": one.held,
        "failed": one.failed,
        "uncertain": one.uncertain,
    }
    line = Alerts.SUMMARY_FOLDER.render(style.language, **values)
    return Alerts.SUMMARY_DOWN.render(style.language, folder=line) if one.down else line
