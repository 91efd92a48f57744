"""Every sentence shown to people, in Chinese and English.

One class for each place where the sentences appear. A sentence says what happened, to which file,
and what to do next; `{placeholders}` are the same in both languages (a test compares them).
"""

from __future__ import annotations

from enum import Enum, StrEnum


class Language(StrEnum):
    """The languages that dingwatch speaks."""

    ZH = "zh"
    EN = "en"


def spoken(setting: str, locale: str) -> Language:
    """Choose by the config's `language`, or for `auto` by the locale's name (`zh_CN.UTF-8`)."""
    chosen = setting if setting != "auto" else locale
    return Language.ZH if chosen.lower().startswith("zh") else Language.EN


class Text(Enum):
    """A sentence in both languages."""

    def __init__(self, zh: str, en: str) -> None:
        self.zh = zh
        self.en = en

    def said(self, language: Language, **values: object) -> str:
        """Fill in the values and return the sentence in one language."""
        return (self.zh if language is Language.ZH else self.en).format(**values)


class Log(Text):
    """Lines of the service's log."""

    SENT = ("已发送:{path} → {conversation}", "sent: {path} → {conversation}")
    FAILED = (
        "未能发送:{path} → {conversation}({code} {message}){advice}",
        "not sent: {path} → {conversation} ({code} {message}). {advice}",
    )
    SKIPPED = (
        "已跳过:{path} → {conversation}({code} {message}){advice}",
        "skipped: {path} → {conversation} ({code} {message}). {advice}",
    )
    WITHDRAWN = (
        "不再发送:{path} → {conversation}({code} {message}){advice}",
        "no longer to be sent: {path} → {conversation} ({code} {message}). {advice}",
    )
    DOUBTED = (
        "不确定是否已送达:{path} → {conversation}({code} {message}){advice}",
        "may or may not have arrived: {path} → {conversation} ({code} {message}). {advice}",
    )
    RETRYING = (
        "稍后重试:{path} → {conversation}({code} {message}){advice}",
        "will be tried again: {path} → {conversation} ({code} {message}). {advice}",
    )
    RESENDING = (
        "上次没有收到回应,再发一次:{path} → {conversation}",
        "sending once more, as its answer was lost: {path} → {conversation}",
    )
    EXTENSION_REFUSED = (
        "钉钉不接受 .{extension} 文件,今后压缩为 zip 发送:{path}",
        "DingTalk refuses .{extension} files; they go zipped from now on: {path}",
    )
    PAUSED = (
        "暂停 {scope} {key},{seconds} 秒后再试({code} {message}){advice}",
        "paused {scope} {key}, next try in {seconds} s ({code} {message}). {advice}",
    )
    RESUMED = ("恢复 {scope} {key}", "resumed {scope} {key}")
    RECOVERED = (
        "上次没有正常结束,正在恢复 {count} 项未完成的投递",
        "the last run did not end cleanly; taking up {count} unfinished deliveries",
    )
    LEDGER_DOWN = (
        "账本暂时不可写({code} {message}),不发送任何文件,请检查磁盘空间和权限",
        "the ledger cannot be written ({code} {message}); nothing is sent: check disk space and permissions",
    )
    LEDGER_BACK = ("账本恢复可写,继续工作", "the ledger can be written again, going on")
