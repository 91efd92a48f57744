"""The month's API calls, as the log, `status` and `check` report them."""

from __future__ import annotations

from dingwatch.texts.language import Text


class Calls(Text):
    """The month's API calls."""

    COUNTED = ("{month} 已用 API 调用 {used} 次", "API calls in {month}: {used}")
    LAST = (
        "{month} 已用 API 调用 {used} / {limit} 次，剩余 {left} 次；按目前的用量够用到月底",
        "API calls in {month}: {used} of {limit}, {left} left; enough for the month at the current rate",
    )
    RUN_OUT = (
        (
            "{month} 已用 API 调用 {used} / {limit} 次，剩余 {left} 次；按目前的用量将在 {day} 用完："
            "请减少发送，或在开发者后台购买"
        ),
        (
            "API calls in {month}: {used} of {limit}, {left} left; at the current rate they run out on"
            " {day}: send less, or buy more in the developer console"
        ),
    )
    USED_UP = (
        (
            "{month} 已用 API 调用 {used} / {limit} 次，额度已用完；钉钉随时可能拒绝发送："
            "请在开发者后台购买，或等到下个月 1 日"
        ),
        (
            "API calls in {month}: {used} of {limit}, none left; DingTalk may refuse further calls:"
            " buy more in the developer console, or wait until the 1st of next month"
        ),
    )
    REFUSED = (
        "{month} 已用 API 调用 {used} 次；钉钉提示本月额度已用完",
        "API calls in {month}: {used}; DingTalk reports that the month's quota is used up",
    )
    REFUSED_OF = (
        "{month} 已用 API 调用 {used} 次，额度 {limit} 次；钉钉提示本月额度已用完",
        ("API calls in {month}: {used}, quota {limit}; DingTalk reports that the month's quota is used up"),
    )
    WEBHOOK = (
        "{month} 已用 Webhook 调用 {used} / {limit} 次（额度单独计算）",
        "webhook calls in {month}: {used} of {limit} (a separate quota)",
    )
    DRIVE = (
        "钉盘（组织的存储）已用 {used} / {size}（{at}）",
        "drive (the organisation's storage): {used} of {size} used ({at})",
    )
