"""Why something needs a person or waits, as the status page says it."""

from __future__ import annotations

from dingwatch.texts.language import Text


class Needs(Text):
    """Reasons and next steps on the status page; codes and request ids stand beside them."""

    # --- Reasons, by their codes ---
    TOO_BIG = ("文件超过钉钉的大小上限", "The file is larger than DingTalk takes")
    EMPTY = ("文件是空的", "The file is empty")
    GAVE_UP = ("一直没有成功，已不再尝试", "It did not succeed for so long that it is not tried any more")
    UNMAPPED = ("配置中已没有它的文件夹或会话", "The config no longer has its folder or recipient")
    INTERNAL = ("处理它时服务多次中断", "The service broke off several times while processing it")
    UNSUPPORTED = ("钉钉不接受这种文件", "DingTalk does not take this kind of file")
    WEBHOOK_FILES = ("自定义机器人不能发送文件", "Custom robots cannot send files")
    NO_ANSWER = ("没有收到应答，可能已经送达", "No answer came; it may have arrived")
    CRASH = ("发送时服务中断，可能已经送达", "The service broke off while sending it; it may have arrived")
    OTHER = ("钉钉拒绝了它", "DingTalk refused it")

    # --- For office workers, on the page of their folder ---
    NOTICE_SENT = ("会话收到了一条通知，代替文件", "The conversation got a notice instead of the file")
    SAME_NAME = ("同名文件只发送一次", "Each name is sent once")
    HELD = ("需要管理员确认后发送", "An administrator has to release it first")
    GIVEN_UP = ("管理员已放弃发送", "An administrator gave it up")

    # --- Uncertain deliveries ---
    LOOK_THERE = (
        "请到会话里看一下：有这个文件就点“已经送达”，没有就点“再发一次”。",
        "Look in the conversation: press “It arrived” if the file is there, else “Send once more”.",
    )

    # --- Flood holds ---
    FLOOD = (
        "一小时内新增超过 {most} 项，暂缓发送 {count} 项",
        "More than {most} deliveries within an hour: {count} are held back",
    )
    FLOOD_BEFORE = (
        "一小时内新增过多，暂缓发送 {count} 项",
        "Too many deliveries within an hour: {count} are held back",
    )
    ONLY_TIMES = (
        "{count} 个旧文件只有修改时间变了，暂缓发送",
        "Only the times of {count:old file has|old files have} changed: held back",
    )
    COST = (
        "全部发送最多需要 {calls} 次调用。请先确认是不是误放了整个文件夹。",
        "To send all takes up to {calls:call|calls}. Was a whole folder dropped by mistake?",
    )
    COST_TOO_MUCH = (
        "全部发送最多需要 {calls} 次调用，而本月只剩 {left} 次。请先确认是不是误放了整个文件夹。",
        (
            "To send all takes up to {calls:call|calls}, and the month has {left} left. Was a whole folder"
            " dropped by mistake?"
        ),
    )

    # --- Folders that cannot be watched ---
    NOT_MOUNTED = ("没有挂载", "It is not mounted")
    HANGS = ("没有响应", "It does not answer")
    IN_USE = ("另一个 dingwatch 正在监视它", "Another dingwatch watches it")
    DIFFERS = (
        "另一个节点用别的设置监视它（{message}）",
        "Another node watches it with other settings ({message})",
    )
    FIRST_LOOK = ("另一个节点正在首次查看它", "Another node is taking the first look at it")
    ENOENT = ("路径不存在", "The path does not exist")
    EACCES = ("没有权限访问", "There is no permission to read it")
    NOT_WATCHED = ("无法监视", "It cannot be watched")
    FOLDERS = ("{count} 个文件夹在 {path}：{reason}", "{count} folders on {path}: {reason}")

    # --- What a file waits for before it is sent ---
    OPEN = (
        "正在被编辑（旁边有 {lock}），关闭后自动发送",
        "Open in an editor ({lock} lies beside it); sent once it is closed",
    )
    BEING_WRITTEN = ("有程序正在写入，写完后自动发送", "A program is writing it; sent once that is done")
    STILL_EMPTY = (
        "文件是空的，再等 {minutes} 分钟",
        "It is empty; waited for another {minutes} min",
    )
    CHANGING = (
        "还在变化，停下 {seconds} 秒后发送",
        "Still changing; sent once it has rested for {seconds} s",
    )
