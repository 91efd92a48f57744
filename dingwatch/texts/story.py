"""Sentences of `why` about a file. They contain the states' own words, by which people search."""

from __future__ import annotations

from dingwatch.texts.language import Text


class Story(Text):
    """Sentences of `why` about a file."""

    LINE = ("{when} #{id} {sentence}", "{when} #{id} {sentence}")
    BY_NODE = ("（节点 {node}）{sentence}", "(node {node}) {sentence}")
    BECAUSE = ("{sentence}（{reason}）。{advice}", "{sentence} ({reason}). {advice}")
    SETTLED = (
        "文件已稳定（settled），等待发送给 {recipient}",
        "settled: complete and at rest, queued for {recipient}",
    )
    UPLOADED = (
        "上传（uploading）用时 {span}，已上传（uploaded）",
        "uploading took {span}: uploaded",
    )
    UPLOADED_BEFORE = (
        "钉钉已有相同内容，无需上传（uploaded）",
        "DingTalk has this content already: uploaded without a call",
    )
    SENT = (
        "发送（sending）用时 {span}，已发送（sent）给 {recipient}，距文件稳定 {total}",
        "sending took {span}: sent to {recipient}, {total} after the file settled",
    )
    SENT_AT_LAST = (
        "发送（sending）用时 {span}，已发送（sent）给 {recipient}",
        "sending took {span}: sent to {recipient}",
    )
    UPLOADING_NOW = (
        "正在上传（uploading），已用时 {span}",
        "uploading, for {span} so far",
    )
    SENDING_NOW = (
        "正在发送（sending）给 {recipient}，已用时 {span}",
        "sending to {recipient}, for {span} so far",
    )
    UPLOAD_RETRY = (
        "上传没有成功，用时 {span}，稍后重试（pending）",
        "uploading did not succeed after {span}, and is tried again (pending)",
    )
    SEND_RETRY = (
        "发送没有成功，用时 {span}，稍后重试（uploaded）",
        "sending did not succeed after {span}, and is tried again (uploaded)",
    )
    UPLOAD_DOUBT = (
        "上传 {span} 后没有收到应答，将重新上传（pending）",
        "uploading got no answer within {span}: uploaded again (pending)",
    )
    SEND_DOUBT = (
        "发送 {span} 后没有收到应答，无法确认是否已送达 {recipient}（uncertain）",
        "sending got no answer within {span}: uncertain whether it has reached {recipient}",
    )
    UPLOAD_CRASH = (
        "上传时服务中断，将重新上传（pending）",
        "the service ended while uploading: uploaded again (pending)",
    )
    SEND_CRASH = (
        "发送时服务中断，无法确认是否已送达 {recipient}（uncertain）",
        "the service ended while sending: uncertain whether it has reached {recipient}",
    )
    MEDIA_LOST = (
        "钉钉已没有上传的内容，将重新上传（pending）",
        "DingTalk no longer has the upload: uploaded again (pending)",
    )
    REJECT = ("没有发送给 {recipient}：失败（failed）", "not sent to {recipient}: failed")
    SKIP = ("没有发送给 {recipient}：已跳过（skipped）", "not sent to {recipient}: skipped")
    NOTICED = (
        "已向 {recipient} 发送通知，代替文件（skipped）",
        "a notice was sent to {recipient} instead of the file (skipped)",
    )
    VANISH = ("不再发送给 {recipient}：已取消（gone）", "no longer to be sent to {recipient}: gone")
    REQUEUE = ("重新排队，等待发送给 {recipient}", "queued again for {recipient}")
    SEEN = ("文件重新出现，等待发送给 {recipient}", "the file is back, queued for {recipient}")
    CONFIRM = ("已确认送达 {recipient}（sent）", "confirmed as sent to {recipient}")
    ARRIVED = (
        "之前发给 {recipient} 的一条消息已送达，应答来晚了",
        "an earlier message had reached {recipient}: its answer came late",
    )
    RESTORED = (
        "数据库切换到备用服务器后，补写了发送给 {recipient} 的记录",
        "written again for {recipient}, after the database had failed over to a server that lacked it",
    )
    MOVED = ("从 {other} 改名或移动而来 ← {other}", "renamed or moved here ← {other}")
    MOVED_AWAY = ("已改名或移走 → {other}", "renamed or moved away → {other}")
    PUT_AWAY = ("发送后已移到 {other}", "moved to {other} after it was sent")
    PUT_BACK = ("移走后又有变化，已移回 {other}", "moved back to {other}, because it had changed since")
    RETURNED = ("文件重新出现，内容没有变化", "the file is back with the same content")
    TOUCHED = ("只有修改时间变化，内容相同", "touched: only its time has changed")
    NOT_SCREENED = (
        "发送前检查没有结果，等待重试",
        "before_send gave no verdict, and is asked again",
    )
    UNSCREENED = ("等待发送前检查（pending）", "waits for before_send first (pending)")
    BUNDLED = (
        "与同一批的其他文件打包成 {other}，作为一条消息发送",
        "put into {other} with others that came together, to go as one message",
    )
    HELD = ("暂缓发送（held）", "put on hold")
    RELEASED = ("恢复发送", "released from hold")
    RECALLED = ("消息已撤回（recalled）", "the message was recalled")
