from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dingwatch import policy
from dingwatch.lifecycle import TABLE, Event, State
from dingwatch.model import (
    Cause,
    Fingerprint,
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
from dingwatch.policy import (
    Known,
    Moved,
    New,
    Read,
    Returned,
    Rules,
    Standing,
    Touched,
    Unchanged,
    novelty,
)
from tests.support import dressed

# --- Filters -----------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "name",
    [".hidden", "~$报告.docx", "a~", "A.TMP", "x.crdownload", "Thumbs.DB", "@eaDir/x.jpg", "sub/.git/config",
     "#recycle/a.pdf", "$RECYCLE.BIN/a.pdf", "System Volume Information/x", "__macosx/a"],
)  # fmt: skip
def test_built_in_excludes_hold_in_any_case_and_at_any_depth(name: str) -> None:
    """Temporary, hidden and system files are never sent."""
    assert not policy.path_filter((), (), recursive=True).accepts(name.encode())


@pytest.mark.parametrize(
    "name", ["报告 2024.pdf", "a.b", "sub dir/中文/x.docx", "template.doc", "partial.pdf"]
)
def test_ordinary_files_pass(name: str) -> None:
    """What only resembles a built-in pattern is sent."""
    assert policy.path_filter((), (), recursive=True).accepts(name.encode())


def test_a_negated_pattern_takes_a_built_in_one_out() -> None:
    """`!*.tmp` lets temporary files pass in any case, and nothing else."""
    chosen = policy.path_filter((), ("!*.tmp",), recursive=True)
    assert chosen.accepts(b"a.tmp")
    assert chosen.accepts(b"A.TMP")
    assert not chosen.accepts(b"a.part")


def test_include_narrows_and_exclude_wins() -> None:
    """A file must match `include`, and must not match `exclude`."""
    chosen = policy.path_filter(("*.pdf",), ("draft*",), recursive=True)
    assert chosen.accepts(b"sub/a.pdf")
    assert not chosen.accepts(b"a.docx")
    assert not chosen.accepts(b"draft-1.pdf")


def test_a_flat_folder_takes_nothing_from_below() -> None:
    """With `recursive: false` only files right beneath the root count."""
    flat = policy.path_filter((), (), recursive=False)
    assert flat.accepts(b"a.pdf")
    assert not flat.accepts(b"sub/a.pdf")
    assert flat.prunes(b"sub")


def test_names_that_are_no_utf8_pass_a_filter() -> None:
    """GBK bytes are matched, not refused."""
    assert policy.path_filter(("*.txt",), (), recursive=True).accepts("报告.txt".encode("gbk"))


# --- Names -------------------------------------------------------------------------------------


def test_only_control_and_bidi_characters_are_replaced() -> None:
    """Nobody can hide an extension behind a right-to-left override; all else is the file's own."""
    assert policy.displayed_name("a\u202egpj.exe".encode()) == "a_gpj.exe"
    assert policy.displayed_name(b"a\nb\tc.txt") == "a_b_c.txt"
    assert policy.displayed_name("合同 终稿.pdf".encode("gbk")) == "合同 终稿.pdf"
    assert policy.displayed_name(b"\xff\xff.pdf") == "\ufffd\ufffd.pdf"
    assert policy.displayed_name('报告 "终" ①.pdf'.encode()) == '报告 "终" ①.pdf'


@pytest.mark.parametrize(
    ("name", "kind"),
    [
        ("a.PDF", "pdf"),
        ("a.tar.gz", "gz"),
        ("Makefile", ""),
        (".bashrc", ""),
        ("a.", ""),
        ("a.b c", ""),
        ("报告.文档", "文档"),
    ],
)
def test_extensions(name: str, kind: str) -> None:
    """An extension is what follows the last dot of a name that has something before it."""
    assert policy.extension(name) == kind


def test_a_refused_kind_goes_zipped_under_its_full_name() -> None:
    """`a.html` goes as `a.html.zip`, and so does what has no extension."""
    archive = dressed(b"a.html", "d1", "app", {"html"})
    assert (archive.form, archive.name, archive.key.extension) == (Form.ZIP, "a.html.zip", "zip")
    assert dressed(b"Makefile", "d1", "app", ()).name == "Makefile.zip"


def test_one_content_is_one_upload_whatever_its_name() -> None:
    """Files of the same bytes and extension share an upload; archives differ by the name inside."""
    assert dressed(b"a.pdf", "d1", "app", ()).key == dressed(b"b.PDF", "d1", "app", ()).key
    assert dressed(b"a.pdf", "d1", "app", ()).key != dressed(b"a.doc", "d1", "app", ()).key
    assert dressed(b"a.htm", "d1", "app", {"htm"}).key != dressed(b"b.htm", "d1", "app", {"htm"}).key


# --- Novelty -----------------------------------------------------------------------------------

NOW = Fingerprint(size=5, mtime_ns=50, ctime_ns=1, inode=7, device=1)


def known(states: set[State], **changes: object) -> Known:
    """Return a known version in these states."""
    base = Known(1, b"a", 5, 50, 7, "d", baseline=False, states=frozenset(states), noticed_at=0.0)
    return replace(base, **changes)  # type: ignore[arg-type]


def decide(
    here: list[Known], digest: str | None = None, movable: list[Known] | None = None, on_change: str = "send"
) -> policy.Novelty:
    """Decide what the file of `NOW` is."""
    return novelty(NOW, digest, here, movable or [], on_change=on_change)


def test_a_path_never_seen_is_read_and_then_new() -> None:
    """What nobody knows needs its digest, and is a new version."""
    assert decide([]) == Read()
    assert decide([], "d") == New()


def test_size_and_mtime_make_a_version_known_without_reading() -> None:
    """A sent or failed version stays as it is while path, size and mtime are the same."""
    for states in ({State.SENT}, {State.FAILED}, {State.SKIPPED}, {State.PENDING}, {State.UNCERTAIN}):
        assert decide([known(states)]) == Unchanged(1)
    assert decide([known(set(), baseline=True, digest=None)]) == Unchanged(1)


def test_what_was_gone_and_is_there_again_is_work_again() -> None:
    """`gone` makes nothing known."""
    assert decide([known({State.GONE})]) == Returned(1)


def test_what_moved_to_the_path_of_what_was_gone_is_not_sent_again() -> None:
    """It was sent under another name, and has only come back to its first one."""
    sent = known({State.SENT}, id=2, path=b"b")
    assert decide([known({State.GONE})], movable=[sent]) == Moved(2)
    assert decide([known({State.SENT}, id=2), known({State.GONE}, id=3)]) == Unchanged(2)


def test_a_touched_file_is_not_sent_again() -> None:
    """The digest of the newest version that was sent, under a new mtime, is no new version."""
    assert decide([known({State.SENT}, mtime_ns=40)], "d") == Touched(1)


def test_the_content_of_an_older_version_is_sent_again() -> None:
    """A return to an earlier content is a change like any other."""
    old = known({State.SENT}, mtime_ns=30)
    newer = known({State.SENT}, id=2, mtime_ns=40, digest="e")
    assert decide([old, newer], "d") == New()


def test_a_restored_file_is_known_by_its_old_size_and_mtime() -> None:
    """An older version that comes back with its own size and mtime is not sent again."""
    assert decide([known({State.SENT}), known({State.SENT}, id=2, mtime_ns=90, digest="e")]) == Unchanged(1)


def test_a_touched_failure_is_work_again() -> None:
    """Touching a failed file tries it anew, and withdraws the old row."""
    assert decide([known({State.FAILED}, mtime_ns=40)], "d") == New(supersedes=(1,))


def test_new_content_withdraws_what_was_not_sent() -> None:
    """An older version never follows a newer one."""
    assert decide([known({State.PENDING}, mtime_ns=40, digest="e")], "d") == New(supersedes=(1,))
    assert decide([known({State.SENT}, mtime_ns=40, digest="e")], "d") == New()


def test_on_change_ignore_concerns_only_names_that_were_seen() -> None:
    """A name is sent once; a version that was never sent is simply replaced."""
    sent = known({State.SENT}, mtime_ns=40, digest="e")
    pending = known({State.PENDING}, mtime_ns=40, digest="e")
    baseline = known(set(), mtime_ns=40, digest=None, baseline=True)
    assert decide([sent], "d", on_change="ignore") == New(ignored=True)
    assert decide([baseline], "d", on_change="ignore") == New(ignored=True)
    assert decide([pending], "d", on_change="ignore") == New(supersedes=(1,))


def test_a_moved_file_is_recognised_by_its_inode_without_reading() -> None:
    """A rename is not sent again."""
    assert decide([], None, [known({State.SENT}, path=b"old")]) == Moved(1)
    assert decide([], None, [known(set(), path=b"old", baseline=True, digest=None)]) == Moved(1)


def test_a_moved_file_is_recognised_by_its_digest() -> None:
    """Across file systems the inode changes, the content does not."""
    assert decide([], "d", [known({State.SENT}, path=b"old", inode=99)]) == Moved(1)
    assert decide([], "e", [known({State.SENT}, path=b"old", inode=99)]) == New()


def test_a_failed_or_gone_file_under_a_new_name_is_new() -> None:
    """Only what counts as known can have moved."""
    for states in ({State.FAILED}, {State.GONE}, {State.SKIPPED}):
        assert decide([], "d", [known(states, path=b"old")]) == New()


def test_a_digest_that_differs_overrules_size_and_mtime() -> None:
    """Other content under the same size and mtime is a new version once it has been read."""
    assert decide([known({State.SENT})], "e") == New()


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


@pytest.mark.parametrize("verdict", VERDICTS)
@pytest.mark.parametrize("row", [UPLOADING, SENDING])
def test_every_verdict_leads_along_an_edge_of_the_table(verdict: Verdict, row: Standing) -> None:
    """No outcome can ask for what the life cycle does not know (a file cannot vanish while it is sent)."""
    if isinstance(verdict, Vanished) and row.state is State.SENDING:
        return
    assert means(verdict, row).event in TABLE[row.state]


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
