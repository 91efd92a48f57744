import pytest

from dingwatch.lifecycle import (
    IN_HAND,
    IN_WORK,
    TABLE,
    WITHDRAWABLE,
    Event,
    IllegalTransitionError,
    State,
    advance,
    diagram,
    sources,
)

# The design's table, written a second time on purpose: a change to either must be meant.
DESIGN = """
pending    claim:uploading reject:failed skip:skipped vanish:gone
uploading  upload_ok:uploaded retry:pending doubt:pending reject:failed skip:skipped vanish:gone crash:pending
uploaded   claim:sending confirm:sent media_lost:pending reject:failed skip:skipped vanish:gone
sending    send_ok:sent retry:uploaded doubt:uncertain media_lost:pending reject:failed skip:skipped crash:uncertain
uncertain  requeue:uploaded confirm:sent
failed     vanish:gone requeue:pending
skipped    vanish:gone requeue:pending
gone       requeue:pending seen:pending
sent
"""  # noqa: E501 (a row is a row)


def edges() -> dict[tuple[str, str], str]:
    """Return the design's table as (state, event): successor."""
    rows = (line.split() for line in DESIGN.strip().splitlines())
    return {(row[0], one.split(":")[0]): one.split(":")[1] for row in rows for one in row[1:]}


def test_the_table_is_the_designs() -> None:
    """Every edge of the design is in the table, and no other."""
    table = {(str(s), str(e)): str(after) for s, row in TABLE.items() for e, after in row.items()}
    assert table == edges()


@pytest.mark.parametrize("state", State)
def test_an_event_without_an_edge_is_refused(state: State) -> None:
    """What the table does not name raises IllegalTransitionError."""
    for event in set(Event) - set(TABLE[state]):
        with pytest.raises(IllegalTransitionError):
            advance(state, event)


def test_every_state_has_a_row() -> None:
    """No state is without a row, and every state but the first is reached from another."""
    reached = {after for row in TABLE.values() for after in row.values()}
    assert set(TABLE) == set(State)
    assert reached | {State.PENDING} == set(State)


def test_what_a_process_holds_in_hand_follows_from_the_table() -> None:
    """Recovery concerns exactly the states that a crash can leave behind."""
    assert {State.UPLOADING, State.SENDING} == IN_HAND
    assert IN_HAND < IN_WORK


def test_a_message_that_may_have_left_is_never_withdrawn() -> None:
    """Nothing that is sending, uncertain or sent can vanish."""
    assert not {State.SENDING, State.UNCERTAIN, State.SENT} & WITHDRAWABLE


def test_a_crash_while_sending_leaves_a_doubt() -> None:
    """A process that died while sending cannot know whether the message arrived."""
    assert advance(State.SENDING, Event.CRASH) is State.UNCERTAIN


def test_sources_are_read_from_the_table() -> None:
    """`seen` concerns only what was gone."""
    assert sources(Event.SEEN) == (State.GONE,)


def test_the_diagram_draws_every_edge() -> None:
    """Each edge of the table stands in the Mermaid diagram."""
    drawn = diagram()
    for (state, event), after in edges().items():
        assert any(f"{state} --> {after}:" in line and event in line for line in drawn.splitlines())
