"""Words of the ledger, as people read them."""

from __future__ import annotations

from dingwatch.texts.language import Language, Text


class Words(Text):
    """Scopes of a pause and events of a delivery; in English most are the ledger's own words."""

    APP = ("应用", "app")
    API = ("接口", "API")
    CONVERSATION = ("会话", "conversation")
    FOLDER = ("文件夹", "folder")

    CLAIM = ("开始处理", "claim")
    UPLOAD_OK = ("上传完成", "upload_ok")
    SEND_OK = ("发送成功", "send_ok")
    RETRY = ("稍后重试", "retry")
    DOUBT = ("结果不确定", "doubt")
    MEDIA_LOST = ("上传已失效", "media_lost")
    REJECT = ("发送失败", "reject")
    SKIP = ("跳过", "skip")
    VANISH = ("取消发送", "vanish")
    CRASH = ("程序中断", "crash")
    REQUEUE = ("重新排队", "requeue")
    CONFIRM = ("确认已发送", "confirm")
    SEEN = ("再次检测到", "seen")
    MOVED = ("改名或移动", "moved")
    MOVED_AWAY = ("已改名或移走", "moved away")
    PUT_AWAY = ("发送后移走", "moved after it was sent")
    PUT_BACK = ("移回", "moved back")
    SETTLED = ("已稳定", "settled")
    ARRIVED = ("较早的消息已送达", "arrived")
    RESTORED = ("补写记录", "restored")
    RETURNED = ("文件重新出现", "returned")
    HELD = ("暂缓发送", "held")
    RELEASED = ("恢复发送", "released")
    NOT_SCREENED = ("发送前检查没有结果", "not screened")
    TOUCHED = ("只有修改时间变化", "touched")
    REQUEST_ID = ("请求 ID", "request id")


def describe_word(word: str, language: Language) -> str:
    """Return a word of the ledger in a language; one that is not listed as it is."""
    known = Words.__members__.get(word.upper().replace(" ", "_"))
    return word if known is None else known.render(language)
