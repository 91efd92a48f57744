from dingwatch import quota


def test_the_quotas_month_is_shanghais() -> None:
    """At 16:00 UTC of a month's last day the next month begins."""
    last_day = 1796054399.0  # 2026-11-30T15:59:59Z
    assert quota.day(last_day) == "2026-11-30"
    assert quota.day(last_day + 1) == "2026-12-01"
    assert quota.month_end(last_day) == last_day + 1
