from dataclasses import replace

from hypothesis import given
from hypothesis import strategies as st

from dingwatch import policy
from dingwatch.lifecycle import TABLE, Event, State
from dingwatch.model import (
    Cause,
    FolderDown,
    Form,
    MediaLost,
    Misconfigured,
    NoAnswer,
    NotReached,
    Pause,
    QuotaExhausted,
    Rejected,
    Scope,
    Throttled,
    TokenRejected,
    TypeRefused,
    Vanished,
    Verdict,
)
from dingwatch.policy import Rules, Standing

# --- Verdicts ----------------------------------------------------------------------------------

CAUSE = Cause("code", "message", "UNKNOWN_CODE")
VERDICTS: list[Verdict] = [
    NotReached(CAUSE, Scope.APP),
    NotReached(CAUSE),
    NoAnswer(CAUSE, Scope.API),
    NoAnswer(CAUSE),
    Throttled(CAUSE, Scope.API, 1.0),
    Throttled(CAUSE, Scope.ROW, 5.0),
    TokenRejected(CAUSE, Scope.APP),
    MediaLost(CAUSE),
    Rejected(CAUSE),
    TypeRefused(CAUSE),
    QuotaExhausted(CAUSE, Scope.APP),
    Misconfigured(CAUSE, Scope.CONVERSATION),
    Misconfigured(CAUSE),
    Vanished(CAUSE),
    FolderDown(CAUSE, Scope.FOLDER),
]
UPLOADING, SENDING = Standing(State.UPLOADING), Standing(State.SENDING)


def means(
    verdict: Verdict, row: Standing = UPLOADING, rules: Rules | None = None, *, alone: bool = True
) -> policy.Consequence:
    """Return the consequence of a verdict for a row."""
    return policy.consequence(verdict, row, 100.0, 0.5, rules or Rules(), alone=alone)


def test_every_verdict_leads_along_an_edge_of_the_table() -> None:
    """No outcome can ask for what the life cycle does not know (a file cannot vanish while it is sent)."""
    for row in (UPLOADING, SENDING):
        for verdict in VERDICTS:
            if not (isinstance(verdict, Vanished) and row is SENDING):
                assert means(verdict, row).event in TABLE[row.state], verdict


def test_a_lost_answer_is_a_doubt_only_for_a_send() -> None:
    """A second upload costs a call; a second message would be read twice."""
    assert TABLE[State.SENDING][means(NoAnswer(CAUSE, Scope.API), SENDING).event] is State.UNCERTAIN
    assert TABLE[State.UPLOADING][means(NoAnswer(CAUSE, Scope.API)).event] is State.PENDING


def test_a_request_that_never_left_is_no_attempt() -> None:
    """Attempts are requests that were answered or doubted."""
    assert not means(NotReached(CAUSE, Scope.APP)).answered
    assert means(NoAnswer(CAUSE, Scope.API)).answered


def test_a_refused_type_goes_zipped_or_is_skipped() -> None:
    """40005 is the file's form, not the file; only a refused archive is the end."""
    assert means(TypeRefused(CAUSE)).event is Event.RETRY
    assert means(TypeRefused(CAUSE), rules=Rules(unsupported="skip")).event is Event.SKIP
    assert means(TypeRefused(CAUSE), replace(UPLOADING, form=Form.ZIP)).event is Event.REJECT


def test_a_lost_media_id_is_uploaded_again_once() -> None:
    """The second time it is a failure, so that it cannot go round for ever."""
    first = means(MediaLost(CAUSE), SENDING)
    assert first.event is Event.MEDIA_LOST
    assert (
        means(MediaLost(CAUSE), replace(SENDING, media_losses=first.standing.media_losses)).event
        is Event.REJECT
    )


def test_a_row_gives_up_only_for_its_own_waits() -> None:
    """Three days of its own refusals end a row; an outage never does."""
    tired = replace(UPLOADING, waited=4 * 86400.0, failures=40)
    assert means(NoAnswer(CAUSE, Scope.ROW), tired).event is Event.REJECT
    assert means(NoAnswer(CAUSE, Scope.API), tired, alone=False).event is Event.DOUBT
    assert means(NotReached(CAUSE, Scope.APP), tired).event is Event.RETRY
    assert means(FolderDown(CAUSE, Scope.FOLDER), tired).event is Event.RETRY


def test_waits_in_a_wider_pause_do_not_count() -> None:
    """`waited` grows only with the row's own refusals."""
    assert means(NotReached(CAUSE, Scope.APP)).standing.waited == 0.0
    assert means(NotReached(CAUSE, Scope.ROW)).standing.waited > 0.0


# --- Backoff, pauses, months ---------------------------------------------------------------------


@given(st.integers(1, 10_000), st.floats(0, 1, exclude_max=True))
def test_backoff_is_bounded(failures: int, chance: float) -> None:
    """Half a second doubled, give or take a fifth, at most five minutes and an hour."""
    assert 0.4 <= policy.backoff(failures, chance) <= 360.0
    assert policy.backoff(failures, chance, late=True) <= 4320.0
    assert policy.for_a_person(failures) <= 6 * 3600.0


def test_backoff_doubles() -> None:
    """Each failure in a row doubles the wait."""
    assert [policy.backoff(n, 0.5) for n in (1, 2, 3, 4)] == [0.5, 1.0, 2.0, 4.0]


def test_a_second_gate_page_in_a_row_waits_five_minutes() -> None:
    """One page of the gateway may be chance; two are a ban of this address."""
    page = NoAnswer(Cause("gate_page", "", "GATE_PAGE"), Scope.APP)
    first = policy.pause_after(page, "app", None, 100.0, 0.5)
    assert first is not None
    assert first.until == 100.5
    second = policy.pause_after(page, "app", first, 200.0, 0.5)
    assert second is not None
    assert second.until == 500.0


def test_an_outage_is_probed_by_the_token_call_and_a_refusal_is_not() -> None:
    """Only what is an outage is asked after with the call that costs nothing."""
    outage = policy.pause_after(NotReached(CAUSE, Scope.APP), "app", None, 0.0, 0.5)
    refusal = policy.pause_after(Misconfigured(CAUSE, Scope.CONVERSATION), "cid", None, 0.0, 0.5)
    assert outage is not None
    assert refusal is not None
    assert outage.by_token
    assert not refusal.by_token
    assert refusal.until == 60.0


def test_what_is_the_rows_own_pauses_nobody() -> None:
    """A file that cannot be sent holds back no other."""
    assert policy.pause_after(Rejected(CAUSE), "", None, 0.0, 0.5) is None


def test_what_only_a_person_can_end_is_probed_soon_after_an_outage() -> None:
    """The outage's failures are none of its own: the first wait is a minute."""
    wrong = Misconfigured(Cause("40089", "", "CREDENTIALS"), Scope.APP)
    for before in (True, False):  # an outage, and one that ended in a throttled token call
        outage = Pause(Scope.APP, "app", 100.0, CAUSE, failures=12, since=0.0, by_token=before)
        made = policy.pause_after(wrong, "app", outage, 100.0, 0.5)
        assert made is not None
        assert made.until == 160.0
    again = policy.pause_after(wrong, "app", made, 200.0, 0.5)
    assert again is not None
    assert again.until == 320.0
