"""Tells the story of a file in sentences, from the decisions that the ledger has on it."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from typing import Final

from dingwatch.cli.context import Session
from dingwatch.cli.output import local_time
from dingwatch.lifecycle import BASELINE, NOTICED, Event, State
from dingwatch.model import Decision
from dingwatch.service.sentences import printable
from dingwatch.texts import Cli, Story, describe_span

_UPLOAD: Final = {
    Event.RETRY: Story.UPLOAD_RETRY,
    Event.DOUBT: Story.UPLOAD_DOUBT,
    Event.CRASH: Story.UPLOAD_CRASH,
    Event.UPLOAD_OK: Story.UPLOADED,
}
_SEND: Final = {
    Event.RETRY: Story.SEND_RETRY,
    Event.DOUBT: Story.SEND_DOUBT,
    Event.CRASH: Story.SEND_CRASH,
    Event.SEND_OK: Story.SENT,
}


def tell(session: Session, decisions: Sequence[Decision], now: float) -> list[str]:
    """Return a line for each thing that happened, in order."""
    return list(_Teller(session, now).tell(decisions))


@dataclass(slots=True)
class _Teller:
    session: Session
    now: float
    claims: dict[int, Decision] = field(default_factory=dict)
    """The open claim of each delivery. A claim is told together with its outcome."""
    settled: dict[int, float] = field(default_factory=dict)

    def tell(self, decisions: Sequence[Decision]) -> Iterator[str]:
        for one in decisions:
            if one.event == BASELINE:
                when = local_time(one.at)
                yield self.session.render(Cli.WHY_BASELINE, when=when, id=one.id)
            elif one.event == Event.CLAIM:
                self.claims[one.id] = one
            else:
                yield self._line(one, self._sentence(one))
        for claim in self.claims.values():
            text = Story.UPLOADING_NOW if claim.after == State.UPLOADING else Story.SENDING_NOW
            yield self._line(claim, self._fill(text, claim, since=claim.at, until=self.now))

    def _line(self, one: Decision, sentence: str) -> str:
        if one.cause is not None and (reason := self.session.reason(one.cause)):
            advice = self.session.advice(one.cause.advice)
            sentence = self.session.render(Story.BECAUSE, sentence=sentence, reason=reason, advice=advice)
        if one.node is not None:
            sentence = self.session.render(Story.BY_NODE, node=one.node, sentence=sentence)
        values = {"when": local_time(one.at), "id": one.id, "sentence": sentence}
        return printable(self.session.render(Story.LINE, **values)).rstrip()

    def _sentence(self, one: Decision) -> str:
        claim = self.claims.pop(one.id, None)
        if one.event in {"settled", Event.REQUEUE, Event.SEEN}:
            self.settled[one.id] = one.at
        text = self._text(one, claim)
        if text is None:
            return " → ".join(filter(None, (self.session.word(one.event), one.after or one.other)))
        return self._fill(text, one, since=None if claim is None else claim.at, until=one.at)

    def _text(self, one: Decision, claim: Decision | None) -> Story | None:
        """Return the sentence of an event; None for one that this version does not know."""
        event = one.event
        if event in _UPLOAD and event in _SEND:
            uploads = claim.after == State.UPLOADING if claim else one.after == State.PENDING
            return (_UPLOAD if uploads else _SEND)[Event(event)]
        if event == Event.UPLOAD_OK:
            return Story.UPLOADED if claim else Story.UPLOADED_BEFORE
        if event == Event.SEND_OK:
            return Story.SENT if one.id in self.settled else Story.SENT_AT_LAST
        if event == Event.SKIP and one.cause is not None and one.cause.code == NOTICED:
            return Story.NOTICED
        if event == Event.MEDIA_LOST and one.cause is not None and one.cause.code == "unscreened":
            return Story.UNSCREENED
        return Story.__members__.get(event.upper().replace(" ", "_"))

    def _fill(self, text: Story, one: Decision, *, since: float | None, until: float) -> str:
        language = self.session.language
        span = describe_span(max(0.0, until - (until if since is None else since)), language)
        total = describe_span(max(0.0, until - self.settled.get(one.id, until)), language)
        recipient = "–" if one.recipient is None else self.session.name_of(one.recipient)
        return self.session.render(text, recipient=recipient, span=span, total=total, other=one.other or "–")
