"""What is said of the month's API calls, in the log, by `status` and by `check`."""

from __future__ import annotations

from dingwatch.texts.language import Text


class Calls(Text):
    """What is said of the month's API calls."""

    COUNTED = ("{month} 已用 API 调用 {used}", "API calls in {month}: {used}")
    LAST = (
        "{month} 已用 API 调用 {used} / {limit}，剩余 {left}；按本月的速度够用到月底",
        "API calls in {month}: {used} of {limit}, {left} left; at this month's rate they last",
    )
    RUN_OUT = (
        (
            "{month} 已用 API 调用 {used} / {limit}，剩余 {left}；按本月的速度将在 {day} 用完："
            "请减少发送，或在开发者后台购买"
        ),
        (
            "API calls in {month}: {used} of {limit}, {left} left; at this month's rate they run out on"
            " {day}: send less, or buy more in the developer console"
        ),
    )
    USED_UP = (
        (
            "{month} 已用 API 调用 {used} / {limit}，没有剩余；钉钉可能从现在起拒绝发送："
            "请在开发者后台购买，或等到下个月 1 日"
        ),
        (
            "API calls in {month}: {used} of {limit}, none left; DingTalk may refuse from now on:"
            " buy more in the developer console, or wait for the 1st"
        ),
    )
    REFUSED = (
        "{month} 已用 API 调用 {used}；钉钉说本月的额度已用完",
        "API calls in {month}: {used}; DingTalk says that the month's calls are used up",
    )
    WEBHOOK = (
        "{month} 已用 Webhook 调用 {used} / {limit}（单独计额）",
        "webhook calls in {month}: {used} of {limit}, a quota of their own",
    )
