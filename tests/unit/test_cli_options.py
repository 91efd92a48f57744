import os
import time
from collections.abc import Iterator

import pytest

from dingwatch.cli.options import Span, parse_span


@pytest.fixture(autouse=True)
def _in_berlin(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Run in a zone that has daylight saving."""
    monkeypatch.setenv("TZ", "Europe/Berlin")
    time.tzset()
    yield
    os.environ.pop("TZ")
    time.tzset()


@pytest.mark.parametrize(
    ("written", "start", "length"),
    [
        ("2026-11-24", 1795474800.0, 86400.0),
        ("2026-03-29", 1774738800.0, 82800.0),  # 23 hours: the clock goes forward
        ("2026-11-24T08:30", 1795505400.0, 60.0),
        ("2026-11-24 08:30:15", 1795505415.0, 1.0),
        ("2026-11-24T08:30:15Z", 1795509015.0, 1.0),
        ("2026-11-24T08:30:15+08:00", 1795480215.0, 1.0),
        ("2026-11-24T08:30:15.250Z", 1795509015.25, 0.001),
    ],
)
def test_a_date_means_the_time_that_it_names(written: str, start: float, length: float) -> None:
    """The whole day, minute or second; without a zone, on this machine."""
    found = parse_span(written)
    assert (found.start, round(found.end - found.start, 6)) == (start, length)


@pytest.mark.parametrize(
    "written",
    [
        *("", "yesterday", "2026", "2026-13-01", "2026-02-30", "20261124", "2026-11-24T"),
        *("2026-11-24T25:00", "2026-W48", "24.11.2026", "9999-12-31", "2026-11-24T08:30:15+99:00"),
        "\uff12\uff10\uff12\uff16-11-24",
    ],
)
def test_what_is_no_date_is_refused(written: str) -> None:
    """Nothing is guessed."""
    with pytest.raises(ValueError):  # noqa: PT011 (whatever it says)
        parse_span(written)


def test_the_first_day_of_all_is_a_day() -> None:
    """However far back somebody wants to look."""
    try:
        assert isinstance(parse_span("0001-01-02"), Span)
    except ValueError:
        pytest.skip("this C library knows no such time")
