"""Words of the ledger as people read them."""

from __future__ import annotations

from dingwatch.texts.language import Language, Text


class Words(Text):
    """Scopes of a pause, and what can happen to a file; in English most are what the ledger says."""

    APP = ("应用", "app")
    API = ("接口", "API")
    CONVERSATION = ("会话", "conversation")
    FOLDER = ("文件夹", "folder")

    CLAIM = ("开始处理", "claim")
    UPLOAD_OK = ("上传完成", "upload_ok")
    SEND_OK = ("发送成功", "send_ok")
    RETRY = ("稍后重试", "retry")
    DOUBT = ("结果不明", "doubt")
    MEDIA_LOST = ("媒体文件失效", "media_lost")
    REJECT = ("无法发送", "reject")
    SKIP = ("跳过", "skip")
    VANISH = ("不再发送", "vanish")
    CRASH = ("上次中断", "crash")
    REQUEUE = ("重新排队", "requeue")
    CONFIRM = ("确认已发送", "confirm")
    SEEN = ("再次出现", "seen")
    MOVED = ("改名或移动自", "moved")
    MOVED_AWAY = ("改名或移动到", "moved away")
    SETTLED = ("写完了", "settled")
    RETURNED = ("回来了", "returned")
    HELD = ("暂留", "held")
    RELEASED = ("放行", "released")
    TOUCHED = ("只改了时间", "touched")
    REQUEST_ID = ("请求编号", "request id")


def describe_word(word: str, language: Language) -> str:
    """Return a word of the ledger in a language; one that is not listed as it is."""
    known = Words.__members__.get(word.upper().replace(" ", "_"))
    return word if known is None else known.render(language)
