import pytest

from dingwatch.texts import Language, describe_span


@pytest.mark.parametrize(
    ("seconds", "said"),
    [
        (0.0, "0 s"),
        (0.04, "0 s"),
        (1.0, "1 s"),
        (2.34, "2.3 s"),
        (9.96, "10 s"),
        (59.4, "59 s"),
        (59.6, "1 min"),
        (125.0, "2 min 5 s"),
        (3600.0, "1 h"),
        (3661.0, "1 h 1 min"),
        (7322.0, "2 h 2 min"),
        (90000.0, "1 d 1 h"),
        (864000.0, "10 d"),
    ],
)
def test_a_length_of_time_has_its_two_largest_units(seconds: float, said: str) -> None:
    """Nobody reads the seconds of two hours."""
    assert describe_span(seconds, Language.EN) == said


def test_a_length_of_time_is_chinese_in_chinese() -> None:
    """It has the units that people in China write."""
    assert describe_span(3900.0, Language.ZH) == "1 小时 5 分"
