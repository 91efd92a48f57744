"""Decisions on alerts: what is told, how often, and what never is."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from datetime import datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dingwatch import alerts, quota
from dingwatch.alert_text import LONGEST, FolderDay, Style, Summary, word_alert, word_summary
from dingwatch.alerts import HOUR, Condition, Place, Record, Topic, Trouble
from dingwatch.model import Cause
from dingwatch.texts import Language

AFTER = 300.0
BOSS, GROUP = "user:boss", "cidA"
ITSELF = (Topic.REFUSED, f"conversation/{GROUP}")


@dataclass
class Life:
    """Looks, one after the other, at troubles that come and go; and what was heard of them."""

    everybody: tuple[str, ...] = (BOSS, GROUP)
    now: float = 1e9
    memory: Record = field(default_factory=Record)
    there: dict[Place, Condition] = field(default_factory=dict)
    heard: list[tuple[float, str, alerts.News]] = field(default_factory=list)
    sent: list[float] = field(default_factory=list)

    def begin(self, topic: Topic, key: str = "", newest: int = 0) -> None:
        """Let a trouble begin, or rise."""
        self.there[topic, key] = Condition(topic, self.now, key, f"name {key}", newest)

    def look(self, outcome: str = "sent") -> None:
        """Look once; a message is `sent`, `lost`, or `refused`."""
        memory = alerts.keep_recipients(self.memory, self.everybody)
        self.memory = alerts.observe(memory, self.there.values(), (), self.now)
        for one in self.everybody:
            news = alerts.news_for(self.memory, one, AFTER, self.now)
            if not news or not alerts.messages_left(self.memory, self.now):
                continue
            before = self.memory
            after = alerts.tell(before, one, news, self.everybody, self.now)
            self.memory = alerts.count_message(after, self.now)
            if outcome == "refused":
                self.memory = alerts.take_back(self.memory, before, [one])
                self.memory = replace(self.memory, messages=before.messages)
                continue
            self.sent.append(self.now)
            self.heard.append((self.now, one, news))

    def pass_by(self, seconds: float) -> None:
        """Look every minute for so long."""
        until = self.now + seconds
        while self.now < until:
            self.now += 60.0
            self.look()

    def news_of(self, recipient: str) -> list[tuple[tuple[Place, ...], tuple[Place, ...]]]:
        """Return what a recipient has heard, message by message."""
        return [(news.begun, news.over) for _, one, news in self.heard if one == recipient]


DOWN = (Topic.FOLDER_DOWN, "1")


def test_a_trouble_is_told_when_it_has_lasted_and_when_it_is_over() -> None:
    """Once each, to everybody; and the same trouble may come again."""
    life = Life()
    for _ in range(2):
        life.begin(Topic.FOLDER_DOWN, "1")
        life.pass_by(4 * HOUR)
        del life.there[DOWN]
        life.pass_by(2 * HOUR)
    expected = [((DOWN,), ()), ((), (DOWN,))] * 2
    assert life.news_of(BOSS) == life.news_of(GROUP) == expected
    assert life.heard[0][0] - 1e9 == pytest.approx(AFTER, abs=60.0)
    assert not life.memory.troubles


def test_what_does_not_last_is_not_told() -> None:
    """Nor is its end."""
    life = Life()
    life.begin(Topic.FOLDER_DOWN, "1")
    life.pass_by(AFTER - 60.0)
    life.there.clear()
    life.pass_by(HOUR)
    assert not life.heard
    assert not life.memory.troubles


def test_a_share_that_comes_back_for_a_moment_is_one_trouble() -> None:
    """It was gone for half a minute."""
    life = Life(everybody=(BOSS,))
    life.begin(Topic.FOLDER_DOWN, "1")
    life.pass_by(HOUR)
    life.there.clear()
    life.look()
    life.now += 30.0
    life.begin(Topic.FOLDER_DOWN, "1")
    life.pass_by(HOUR)
    assert life.news_of(BOSS) == [((DOWN,), ())]


def test_more_files_that_fail_are_told_again() -> None:
    """When they have failed for long enough, and not those of which everybody has heard."""
    life = Life(everybody=(BOSS,))
    failed = (Topic.FAILED, "1")
    life.begin(Topic.FAILED, "1", newest=7)
    life.pass_by(2 * HOUR)
    life.begin(Topic.FAILED, "1", newest=9)
    life.look()
    assert life.news_of(BOSS) == [((failed,), ())]
    life.pass_by(2 * AFTER)
    assert life.news_of(BOSS) == [((failed,), ())] * 2


def test_a_file_that_fails_every_minute_is_told_once_an_hour() -> None:
    """Of one trouble that goes on, nobody needs to hear more."""
    life = Life(everybody=(BOSS,))
    for newest in range(1, 24 * 60):
        life.begin(Topic.FAILED, "1", newest)
        life.pass_by(60.0)
    assert 20 <= len(life.news_of(BOSS)) <= 24


def test_that_the_quota_is_used_up_need_not_wait_for_an_hour() -> None:
    """It is another thing than 80 per cent."""
    life = Life(everybody=(BOSS,))
    for share in (80, 100):
        life.begin(Topic.QUOTA, newest=share)
        life.pass_by(2 * AFTER)
    assert life.news_of(BOSS) == [(((Topic.QUOTA, ""),), ())] * 2


def test_several_troubles_are_one_message() -> None:
    """The most pressing first."""
    life = Life(everybody=(BOSS,))
    life.begin(Topic.FAILED, "1", newest=1)
    life.begin(Topic.LEDGER)
    life.begin(Topic.FOLDER_DOWN, "1")
    life.pass_by(HOUR)
    assert life.news_of(BOSS) == [(((Topic.LEDGER, ""), DOWN, (Topic.FAILED, "1")), ())]


def test_nobody_is_told_that_he_himself_cannot_be_reached() -> None:
    """Others are; and of something else, he is."""
    life = Life()
    life.begin(Topic.REFUSED, ITSELF[1])
    life.pass_by(HOUR)
    life.begin(Topic.FOLDER_DOWN, "1")
    life.pass_by(HOUR)
    life.there.clear()
    life.pass_by(HOUR)
    assert life.news_of(GROUP) == [((DOWN,), ()), ((), (DOWN,))]
    assert life.news_of(BOSS) == [((ITSELF,), ()), ((DOWN,), ()), ((), (ITSELF, DOWN))]


def test_a_message_that_did_not_arrive_is_told_later() -> None:
    """What is over by then is not told at all."""
    life = Life(everybody=(BOSS,))
    life.begin(Topic.FOLDER_DOWN, "1")
    life.begin(Topic.LEDGER)
    life.look()
    life.now += HOUR
    for _ in range(5):
        life.look("refused")
        life.now += 60.0
    del life.there[Topic.LEDGER, ""]
    life.pass_by(HOUR)
    assert life.news_of(BOSS) == [((DOWN,), ())]


def test_what_cannot_be_known_neither_begins_nor_ends() -> None:
    """The ledger cannot be read: a folder may still have failed files."""
    life = Life(everybody=(BOSS,))
    life.begin(Topic.FAILED, "1", newest=1)
    life.pass_by(HOUR)
    memory = alerts.observe(life.memory, (), {Topic.FAILED}, life.now)
    assert memory.troubles == life.memory.troubles
    assert alerts.observe(life.memory, (), {(Topic.FAILED, "1")}, life.now).troubles == life.memory.troubles
    assert alerts.observe(life.memory, (), (), life.now).troubles[Topic.FAILED, "1"].gone_at == life.now


def test_a_recipient_who_is_added_hears_of_what_lasts() -> None:
    """And one who is removed is forgotten."""
    life = Life(everybody=(BOSS,))
    life.begin(Topic.FOLDER_DOWN, "1")
    life.pass_by(HOUR)
    life.everybody = (GROUP,)
    life.pass_by(HOUR)
    assert life.news_of(GROUP) == [((DOWN,), ())]
    assert {one for one, _ in life.memory.heard} == {GROUP}


def storm(life: Life, hours: int) -> None:
    """Let a folder go down every five minutes, and the one before come back."""
    for _ in range(hours * 12):
        life.there.clear()
        life.begin(Topic.FOLDER_DOWN, str(len(life.heard)))
        life.begin(Topic.HELD, str(life.now))
        life.pass_by(AFTER)


def test_a_storm_fills_no_conversation() -> None:
    """Six messages an hour, and not one more."""
    life = Life(everybody=(BOSS,))
    storm(life, 24)
    assert all(last - first >= 3600.0 for first, last in zip(life.sent, life.sent[6:], strict=False))
    assert len(life.sent) >= 24 * 6 - 6


def test_a_clock_that_was_a_year_ahead_silences_nobody() -> None:
    """Its messages count as just sent."""
    life = Life(everybody=(BOSS,), now=1e9 + 365 * 86400.0)
    storm(life, 2)
    life.now = 1e9
    life.look()
    before = len(life.sent)
    storm(life, 2)
    assert len(life.sent) > before
    assert all(at >= 1e9 + 3600.0 for at in life.sent[before:])


STEPS = st.lists(
    st.tuples(
        st.sampled_from([5.0, 60.0, 299.0, 301.0, 900.0, 4000.0, -7200.0]),
        st.sampled_from(["begin", "rise", "end", "look", "restart"]),
        st.sampled_from([*Topic, *Topic]),
        st.sampled_from(["1", "2", ITSELF[1]]),
        st.sampled_from(["sent", "sent", "lost", "refused"]),
    ),
    max_size=60,
)


@given(STEPS)
def test_never_more_than_six_an_hour_and_everything_once(
    steps: list[tuple[float, str, Topic, str, str]],
) -> None:
    """Whatever comes and goes, whatever becomes of messages, and however the clock is set."""
    life = Life()
    real = 0.0  # the clock may be set back, time goes on
    at: list[float] = []
    for newest, (seconds, what, topic, key, outcome) in enumerate(steps, 1):
        life.now += seconds
        real += abs(seconds)
        if what == "begin" and (topic, key) not in life.there:
            life.begin(topic, key)
        elif what == "rise" and (topic, key) in life.there:
            life.begin(topic, key, newest)
        elif what == "end":
            life.there.pop((topic, key), None)
        before = len(life.sent)
        life.look(outcome)
        at += [real] * (len(life.sent) - before)
    assert all(last - first >= 3600.0 for first, last in zip(at, at[6:], strict=False))
    for recipient in life.everybody:
        open_now: dict[Place, int] = {}
        for begun, over in life.news_of(recipient):
            assert begun or over
            assert not set(begun) & set(over)
            for place in over:
                del open_now[place]  # it was told that it began
            for place in begun:
                assert not alerts.is_about(place, recipient)
                open_now[place] = open_now.get(place, 0) + 1


@given(STEPS)
def test_a_state_is_told_once_until_it_is_over(steps: list[tuple[float, str, Topic, str, str]]) -> None:
    """What does not rise is told once, and then only that it is over."""
    life = Life()
    for seconds, what, topic, key, outcome in steps:
        life.now += abs(seconds)
        if what in {"begin", "rise"} and (topic, key) not in life.there:
            life.begin(topic, key)
        elif what == "end":
            life.there.pop((topic, key), None)
        life.look(outcome)
    for recipient in life.everybody:
        known: set[Place] = set()
        for begun, over in life.news_of(recipient):
            assert not known & set(begun)
            assert known >= set(over)
            known = (known | set(begun)) - set(over)


# --- The daily summary ---------------------------------------------------------------------------


def summaries(minutes: list[datetime], at: str = "18:00") -> list[datetime]:
    """Return when a summary is sent, looking at these local times."""
    memory, found = Record(), []
    for local in minutes:
        memory = alerts.begin_summaries(memory, [BOSS], at, local)
        if alerts.summary_due(memory, BOSS, at, local):
            memory = alerts.tell_summary(memory, BOSS, local.date())
            found.append(local)
    return found


def day(number: int, clock: str) -> datetime:
    """Return a local time in March 2026."""
    return datetime.fromisoformat(f"2026-03-{number:02}T{clock}")


def test_a_summary_comes_once_a_day() -> None:
    """Late if nobody looked at its time, and not at all if the day is over."""
    seen = [
        *(day(1, "17:59"), day(1, "18:00"), day(1, "18:01"), day(1, "23:59")),
        *(day(2, "00:01"), day(2, "17:00"), day(2, "19:30"), day(2, "19:31")),
        *(day(3, "09:00"), day(4, "09:00"), day(4, "18:00")),
    ]
    assert summaries(seen) == [day(1, "18:00"), day(2, "19:30"), day(4, "18:00")]


def test_whoever_sets_a_time_that_is_past_waits_until_tomorrow() -> None:
    """No summary comes in the evening because the time was set then."""
    assert summaries([day(1, "20:00"), day(2, "17:00"), day(2, "18:00")]) == [day(2, "18:00")]


def test_a_day_is_summed_up_once_however_the_clock_goes() -> None:
    """In summer time 02:30 does not come, in winter it comes twice; a clock was a month ahead."""
    assert summaries([day(1, "01:59"), day(1, "03:00"), day(1, "03:01")], "02:30") == [day(1, "03:00")]
    assert summaries([day(1, "02:29"), day(1, "02:30"), day(1, "02:29"), day(1, "02:30")], "02:30") == [
        day(1, "02:30")
    ]
    assert summaries(
        [day(28, "17:00"), day(28, "18:00"), day(1, "10:00"), day(1, "18:00"), day(2, "18:00")]
    ) == [
        day(28, "18:00"),
        day(2, "18:00"),
    ]


# --- Wording -------------------------------------------------------------------------------------

STYLE = Style(Language.EN, "files01")


@given(
    st.lists(
        st.builds(
            Condition,
            topic=st.sampled_from(Topic),
            since=st.just(1e9),
            key=st.sampled_from(["1", "app/app", "conversation/cidA"]),
            name=st.text(max_size=300),
            newest=st.sampled_from([0, 80, 100]),
            count=st.integers(1, 10**6),
            file=st.text(max_size=300),
            cause=st.none() | st.builds(Cause, st.text(max_size=30), st.text(max_size=900), st.just("QUOTA")),
        ),
        min_size=1,
        max_size=40,
    ),
    st.sampled_from(Language),
)
def test_every_alert_fits_a_message(conditions: list[Condition], language: Language) -> None:
    """Whatever the names, it has a title, a text of at most 1,600 bytes, and says how many it leaves out."""
    message = word_alert(Style(language, "files01"), conditions, ())
    assert "files01" in message.title
    assert 0 < len(message.text.encode()) <= LONGEST + 200
    shown = message.text.count("\n\n")
    assert shown <= len(conditions) + 1


@pytest.mark.parametrize("topic", Topic)
@pytest.mark.parametrize("language", Language)
def test_every_trouble_is_worded(topic: Topic, language: Language) -> None:
    """Where, since when, and what to do; and its end."""
    one = Condition(
        topic, 1e9, "7", "财务 *a*", 80, 3, "报表_[x](y).pdf", Cause("40035", "bad", "PERMISSION"), 5000
    )
    message = word_alert(Style(language, "files01"), [one], ())
    assert "files01" in message.text
    assert "{" not in message.text
    assert "dingwatch" in message.text  # the keyword of custom robots
    trouble = Trouble(topic, "7", "财务", 1e9, 80, None, 2e9)
    over = word_alert(Style(language, "files01"), (), [trouble])
    assert "files01" in over.title
    assert "{" not in over.text
    assert "dingwatch" in over.text


@pytest.mark.parametrize(("language", "scope"), [(Language.EN, "app"), (Language.ZH, "应用")])
def test_a_refusal_of_the_whole_app_names_nothing_else(language: Language, scope: str) -> None:
    """A wrong secret is no trouble of `dingwatch send`, which the alert would be read as."""
    style, cause = Style(language, "files01"), Cause("40089", "bad", "PERMISSION")
    one = Condition(Topic.REFUSED, 1e9, "app/app", cause=cause)
    over = Trouble(Topic.REFUSED, "app/app", "", 1e9, 1, None, 2e9)
    for text in (word_alert(style, [one], ()).text, word_alert(style, (), [over]).text):
        assert scope in text
        assert "dingwatch send" not in text
        assert "  " not in text


def test_names_mean_nothing_in_an_alert() -> None:
    """A name of a file that looks like a link stays a name."""
    one = Condition(Topic.FAILED, 1e9, "7", "*a*", 1, 1, "[x](https://evil.example).pdf", Cause("c", "", ""))
    text = word_alert(STYLE, [one], ()).text
    assert r"\*a\*" in text
    assert "](https" not in text


def test_a_refused_app_has_no_name() -> None:
    """An API or a conversation has."""
    app = Condition(Topic.REFUSED, 1e9, "app/app", cause=Cause("c", "no", ""))
    group = Condition(Topic.REFUSED, 1e9, "conversation/cidA", "财务群", cause=Cause("c", "no", ""))
    text = word_alert(STYLE, [app, group], ()).text
    assert ": app (c no)" in text
    assert ": conversation 财务群 (c no)" in text


def test_a_summary_names_what_is_wrong_first() -> None:
    """Folders without anything are only counted."""
    days = (FolderDay("quiet"), FolderDay("busy", sent=9), FolderDay("broken", failed=2, down=True))
    summary = Summary(1e9, 1e9 + 86400.0, days, quota.use(4000, 5000, 1e9))
    lines = word_summary(STYLE, summary).text.split("\n\n")
    assert lines[0].startswith("dingwatch on files01, ")
    assert "9 sent" in lines[0]
    assert "4000 of 5000" in lines[1]
    assert lines[2].startswith("broken: 0 sent")
    assert lines[3].startswith("busy: 9 sent")
    assert lines[4] == "Nothing in 1 other folder."
