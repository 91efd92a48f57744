from datetime import UTC, date, datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dingwatch import quota
from dingwatch.model import Cause, Pause, Scope
from dingwatch.texts import Calls


def noon(day: int) -> float:
    """Return noon of a day of November 2026 in Shanghai."""
    return datetime(2026, 11, day, 4, tzinfo=UTC).timestamp()


def test_the_quotas_month_is_shanghais() -> None:
    """At 16:00 UTC of a month's last day the next month begins."""
    last_day = 1796054399.0  # 2026-11-30T15:59:59Z
    assert quota.day(last_day) == "2026-11-30"
    assert quota.month(last_day) == "2026-11"
    assert quota.day(last_day + 1) == "2026-12-01"
    assert quota.month_end(last_day) == last_day + 1
    december = quota.month_end(last_day + 1)
    assert quota.day(december) == "2027-01-01"


@pytest.mark.parametrize(
    ("used", "limit", "day", "expected"),
    [
        (0, 5000, 10, None),
        (1000, 5000, 10, None),  # 100 a day: 3,000 at the month's end
        (2000, 5000, 10, date(2026, 11, 25)),  # 200 a day: 15 days more
        (2000, 5001, 10, date(2026, 11, 26)),
        (4999, 5000, 1, date(2026, 11, 2)),
        (5000, 5000, 10, date(2026, 11, 10)),
        (7000, 5000, 10, date(2026, 11, 10)),
        (1, 10**9, 30, None),
        (9000, None, 10, None),
    ],
)
def test_the_day_on_which_calls_run_out(
    used: int, limit: int | None, day: int, expected: date | None
) -> None:
    """At the rate of the month's days so far; none when they last until the next month."""
    use = quota.use(used, limit, noon(day))
    assert use.runs_out_on == expected
    assert use.left == (None if limit is None else max(limit - used, 0))


@given(st.integers(0, 300), st.lists(st.integers(0, 60), max_size=30))
def test_each_crossing_is_told_once(limit: int, steps: list[int]) -> None:
    """However the calls are counted, each mark that was passed is told by one step."""
    told, used = list[int](), 0
    for step in steps:
        mark = quota.crossed(used, used + step, limit)
        told += [] if mark is None else [mark]
        used += step
    assert told == sorted(set(told))
    if limit:
        assert (100 in told) == (used >= limit)
    assert bool(told) == (0 < limit * 80 <= used * 100)


def test_without_a_known_quota_nothing_is_warned_of() -> None:
    """`monthly_calls: null`: calls are counted, and that is all."""
    assert quota.crossed(0, 10**9, None) is None
    assert quota.describe(quota.use(7, None, noon(3)))[0] is Calls.COUNTED


def test_what_is_told_depends_on_what_is_left() -> None:
    """They last, they run out, or they are used up."""
    told = [quota.describe(quota.use(used, 5000, noon(10)))[0] for used in (10, 4000, 5000)]
    assert told == [Calls.LAST, Calls.RUN_OUT, Calls.USED_UP]


STATED = "您的企业本月api调用量已超过限制,调用量:10001次,额度:10000次,请登录开发者后台-资源管理-查看用量明细"


def refusal(message: str, until: float = 100.0, advice: str = "QUOTA") -> Pause:
    """Return the pause that a refusal for the quota began."""
    return Pause(Scope.APP, "app", until, Cause("90020", message, advice), 1, 0.0, fixed=True)


@pytest.mark.parametrize(
    "message",
    [
        "",
        "webhook over limit",
        "调用量:1次",
        "额度:10000次",
        "调用量:次,额度:次",
        "调用量:-1次",
        f"调用量:{'9' * 400}次,额度:1次",
        "调用量:١次,额度:٢次",
    ],
)
def test_a_message_without_figures_states_nothing(message: str) -> None:
    """Only whole figures are believed."""
    assert quota.stated(message) is None


@pytest.mark.parametrize(
    "message", [STATED, "调用量：10001 次，额度：10000 次", f"ding talk error[{STATED}]"]
)
def test_the_figures_of_a_refusal_are_read(message: str) -> None:
    """DingTalk's text names what the organisation has used, and what it may use."""
    assert quota.stated(message) == quota.Stated(10001, 10000)


def test_what_dingtalk_states_counts_before_what_was_counted() -> None:
    """Other apps use the quota too: 12 calls of ours were the last of 10,001."""
    now = noon(10)
    use = quota.use_of_all(12, 5000, [refusal("", now + 1), refusal(STATED, now + 1)], now)
    assert (use.used, use.limit, use.left) == (10001, 10000, 0)
    assert quota.use_of_all(12, None, [refusal(STATED, now + 1)], now).limit == 10000
    assert quota.use_of_all(10500, 5000, [refusal(STATED, now + 1)], now).used == 10500


@pytest.mark.parametrize(
    "pause", [refusal(STATED, 0.0), refusal(STATED, advice="WEBHOOK_QUOTA"), refusal("")]
)
def test_what_no_longer_holds_states_nothing(pause: Pause) -> None:
    """After `resume` the organisation may have bought more; a webhook's quota is another one."""
    use = quota.use_of_all(12, 5000, [pause], 50.0)
    assert (use.used, use.limit) == (12, 5000)


def test_the_forecast_is_for_the_whole_month() -> None:
    """At the rate of the days so far, of which today counts whole."""
    assert quota.forecast(100, noon(10)) == 300
    assert (len(quota.days_of_month(noon(10))), quota.days_of_month(noon(10))[-1]) == (30, "2026-11-30")
