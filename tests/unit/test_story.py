from collections.abc import Mapping
from pathlib import Path

import pytest

from dingwatch.cli.context import Session
from dingwatch.cli.story import tell
from dingwatch.lifecycle import TABLE, Event, State
from dingwatch.model import Cause, Decision
from dingwatch.texts import Language


def session(language: Language = Language.EN) -> Session:
    """Return a session that has read no config."""
    return Session(Path("/nowhere"), language)


def story(*steps: tuple[float, Event | str, State | None], cause: Cause | None = None) -> list[str]:
    """Tell some events of one delivery, without their times; the last one has the cause."""
    decisions = [Decision(at, 7, "cidA", str(event), after) for at, event, after in steps]
    if cause is not None:
        last = decisions.pop()
        decisions.append(Decision(last.at, 7, "cidA", last.event, last.after, cause))
    return [line.split("#7 ", 1)[1] for line in tell(session(), decisions, 100.0)]


def test_a_file_that_was_sent_has_three_sentences() -> None:
    """Each claim is told with what came of it, and how long that took."""
    assert story(
        (1.0, "settled", State.PENDING),
        (2.0, Event.CLAIM, State.UPLOADING),
        (3.5, Event.UPLOAD_OK, State.UPLOADED),
        (61.0, Event.CLAIM, State.SENDING),
        (61.2, Event.SEND_OK, State.SENT),
    ) == [
        "settled: complete and at rest, queued for cidA",
        "uploading took 1.5 s: uploaded",
        "sending took 0.2 s: sent to cidA, 1 min after the file settled",
    ]


def test_what_goes_on_is_told_with_its_length() -> None:
    """A claim that has no outcome yet is the last sentence."""
    assert story((10.0, Event.CLAIM, State.UPLOADING)) == ["uploading, for 1 min 30 s so far"]
    assert story((40.0, Event.CLAIM, State.SENDING)) == ["sending to cidA, for 1 min so far"]


def test_what_failed_has_its_reason_and_never_empty_brackets() -> None:
    """The reason and the advice follow; where there are none, there are no brackets either."""
    refused = Cause("40038", "bad type", "CONTENT", "req-1")
    (line,) = story((1.0, Event.REJECT, State.FAILED), cause=refused)
    assert line.startswith("not sent to cidA: failed (40038 bad type (request id req-1)). ")
    for cause in (Cause("unsupported", "", ""), Cause("", "", ""), None):
        (line,) = story((1.0, Event.SKIP, State.SKIPPED), cause=cause)
        assert "()" not in line
        assert " )" not in line


def test_every_edge_of_the_life_cycle_has_a_sentence() -> None:
    """None is told by the ledger's own words, in either language."""
    seen: Mapping[Event, set[str]] = {event: set() for event in Event}
    for before, row in TABLE.items():
        for event, after in row.items():
            if event is Event.CLAIM:
                continue
            claim = Decision(1.0, 7, "cidA", "claim", before)
            claimed = [claim] if before in {State.UPLOADING, State.SENDING} else []
            for language in Language:
                lines = tell(session(language), [*claimed, Decision(2.0, 7, "cidA", str(event), after)], 3.0)
                (line,) = lines
                assert " → " not in line, line
                seen[event].add(line)
    assert len(seen[Event.RETRY]) == 4
    assert len(seen[Event.CRASH]) == 4


@pytest.mark.parametrize(("event", "told"), [("moved", "← old.pdf"), ("moved away", "→ old.pdf")])
def test_a_move_names_the_other_path(event: str, told: str) -> None:
    """Where it came from, or went to."""
    (line,) = tell(session(), [Decision(1.0, 7, None, event, other="old.pdf")], 2.0)
    assert line.endswith(told)


def test_an_unknown_event_is_shown_as_it_is() -> None:
    """A newer service may have written it."""
    (line,) = tell(session(), [Decision(1.0, 7, "cidA", "teleported", "sent")], 2.0)
    assert line.endswith("#7 teleported → sent")
