"""The service in a few words, as `systemctl status` shows it."""

from __future__ import annotations

from dingwatch.texts.language import Text


class Condition(Text):
    """Parts of one line: each is left out when there is nothing of it."""

    WATCHING = ("正在监视 {count} 个文件夹", "watching {count:folder|folders}")
    DOWN = ("{count} 个文件夹无法监视", "{count:folder is|folders are} down")
    WAITING = ("{count} 项投递等待发送", "{count:delivery is|deliveries are} waiting")
    PAUSED = ("{count} 项暂停中", "{count:pause is|pauses are} in force")
    ATTENTION = (
        "{count} 项投递需要处理（执行 dingwatch history）",
        "{count:delivery needs|deliveries need} attention (see dingwatch history)",
    )
    LEDGER = (
        "发送记录数据库不可用，暂停发送（执行 dingwatch status）",
        "the ledger is unavailable, so nothing is sent (see dingwatch status)",
    )
    BETWEEN = ("；", "; ")
