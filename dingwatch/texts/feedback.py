"""The text of the file that lies beside one that was not sent.

It is for those who drop files there, and know nothing of dingwatch: what happened, and what to do. Only the
last line, for the admin, has codes.
"""

from __future__ import annotations

from dingwatch.texts.language import Text


class Feedback(Text):
    """The sentences of such a file, and the names of all."""

    SUFFIX = (".未发送.txt", ".not-sent.txt")
    LIST = ("未发送的文件.txt", "not-sent-files.txt")

    FAILED = ("“{name}”没有发送到钉钉。", "“{name}” was not sent to DingTalk.")
    WAITS = (
        "“{name}”还没有发送到钉钉，正在等待确认。",
        "“{name}” has not been sent to DingTalk yet: it waits.",
    )
    PERHAPS = (
        "“{name}”可能已经发送到钉钉，也可能没有。",
        "“{name}” may have been sent to DingTalk, or not.",
    )
    FAILED_TO = ("“{name}”没有发送给：{names}。", "“{name}” was not sent to: {names}.")
    ALL = (
        "有 {count} 个文件没有发送到钉钉，原因和名单如下。",
        "{count:file was|files were} not sent to DingTalk.",
    )

    HAPPENED = ("原因：{why}", "Why: {why}")
    TO_DO = ("怎么办：{what}", "What to do: {what}")
    ENDS = (
        "文件发送以后，或者从这里移走以后，这个提示会自动消失。您也可以直接删除它。",
        "This note goes away once the file was sent or removed from here. You may also delete it.",
    )
    ALL_ENDS = (
        "这些文件发送以后，或者从这里移走以后，这个提示会自动消失。您也可以直接删除它。",
        "This note goes away once the files were sent or removed from here. You may also delete it.",
    )
    MORE = ("……另有 {count} 个文件", "… and {count} more")
    FOR_THE_ADMIN = ("（给管理员：{facts}）", "(For the admin: {facts})")

    WHY_EMPTY = ("文件是空的，里面没有内容。", "The file is empty.")
    DO_EMPTY = (
        "请重新保存或重新复制这个文件，有内容以后会自动发送。",
        "Save or copy the file again: it is sent by itself once it has content.",
    )
    WHY_TOO_BIG = ("文件太大，钉钉不接受。", "The file is too large for DingTalk.")
    DO_TOO_BIG = (
        "请压缩或拆分成几个小于 20 MB 的文件，再放进来；或者请管理员帮忙。",
        "Compress it, or split it into files of less than 20 MB, and put these here; or ask your admin.",
    )
    WHY_KIND = ("钉钉不接受这种类型的文件。", "DingTalk does not take this kind of file.")
    DO_KIND = ("请压缩成 zip 文件，再放进来。", "Compress it to a zip file, and put that here.")
    WHY_CONTENT = ("钉钉不允许发送这个文件的名称或内容。", "DingTalk does not allow its name or its content.")
    DO_CONTENT = ("请改名或换一个文件，再放进来。", "Rename it, or put another file here.")
    WHY_FORBIDDEN = ("发送程序没有权限读取这个文件。", "The program that sends files may not read this one.")
    DO_FORBIDDEN = (
        "请重新复制一份放进来；如果还是不行，请告诉管理员。",
        "Put a fresh copy here; if that does not help, tell your admin.",
    )
    WHY_MANY = (
        "一小时内放进来的文件太多，为避免刷屏，先暂停发送。",
        "So many files came within an hour that sending was put on hold.",
    )
    DO_MANY = (
        "不用重新放入。请告诉管理员，确认后会自动发送；如果放错了，直接把文件移走就可以。",
        "Leave them here and tell your admin, who can let them go. Take out what is here by mistake.",
    )
    WHY_TOUCHED = (
        "这是以前就有的文件，只是修改时间变了。",
        "This is an old file; only its time has changed.",
    )
    DO_TOUCHED = ("如果需要发送，请告诉管理员。", "If it is to be sent, tell your admin.")
    WHY_DISCARDED = ("管理员决定不发送它。", "The admin has decided not to send it.")
    DO_DISCARDED = ("如果需要发送，请告诉管理员。", "If it is to be sent after all, tell your admin.")
    WHY_GATE = ("发送前的检查没有让它通过。", "A check before sending refused it.")
    DO_GATE = (
        "请不要改名再放。请把这个提示的最后一行告诉管理员。",
        "Do not put it here by another name. Tell your admin what the last line of this note says.",
    )
    WHY_UNCERTAIN = ("发送以后没有收到钉钉的答复。", "DingTalk did not answer when it was sent.")
    DO_UNCERTAIN = (
        "请先在钉钉里看看有没有收到，再把结果告诉管理员。",
        "Look into the chat whether it is there, and tell your admin.",
    )
    WHY_OTHER = ("试过以后仍然没有发送成功。", "It was tried, and could not be sent.")
    DO_OTHER = (
        "文件还在原处，不用重新放入。请把这个提示的最后一行告诉管理员。",
        "The file is still here, so leave it. Tell your admin what the last line of this note says.",
    )
