"""Lines of the service's log."""

from __future__ import annotations

from dingwatch.texts.language import Text


class Log(Text):
    """Lines of the service's log."""

    SENT = ("已发送：{path} → {conversation}", "sent: {path} → {conversation}")
    NOTICED = (
        "文件太大或按配置只发通知，已在会话里告知：{path} → {conversation}",
        "people were told of it in a message instead of the file: {path} → {conversation}",
    )
    FAILED = (
        "未能发送：{path} → {conversation}（{code} {message}）{advice}",
        "not sent: {path} → {conversation} ({code} {message}). {advice}",
    )
    SKIPPED = (
        "已跳过：{path} → {conversation}（{code} {message}）{advice}",
        "skipped: {path} → {conversation} ({code} {message}). {advice}",
    )
    WITHDRAWN = (
        "不再发送：{path} → {conversation}（{code} {message}）{advice}",
        "no longer to be sent: {path} → {conversation} ({code} {message}). {advice}",
    )
    DOUBTED = (
        "不确定是否已送达：{path} → {conversation}（{code} {message}）{advice}",
        "may or may not have arrived: {path} → {conversation} ({code} {message}). {advice}",
    )
    RETRYING = (
        "稍后重试：{path} → {conversation}（{code} {message}）{advice}",
        "will be tried again: {path} → {conversation} ({code} {message}). {advice}",
    )
    RESENDING = (
        "上次没有收到回应，再发一次：{path} → {conversation}",
        "sending once more, as its answer was lost: {path} → {conversation}",
    )
    EXTENSION_REFUSED = (
        "钉钉不接受 .{extension} 文件，今后压缩为 zip 发送：{path}",
        "DingTalk refuses .{extension} files; they go zipped from now on: {path}",
    )
    IMAGE_REFUSED = (
        "钉钉不把它当作图片接受，改为按文件发送：{path} → {conversation}（{code} {message}）{advice}",
        "not taken as a picture, goes as a file: {path} → {conversation} ({code} {message}). {advice}",
    )
    LINE_REFUSED = (
        "文件前的说明没有发出，只发送文件：{path} → {conversation}（{code} {message}）{advice}",
        "goes without the line before it: {path} → {conversation} ({code} {message}). {advice}",
    )
    PAUSED = (
        "暂停 {scope} {key}，{seconds} 秒后再试（{code} {message}）{advice}",
        "paused {scope} {key}, next try in {seconds} s ({code} {message}). {advice}",
    )
    OUT_OF_CALLS = (
        "钉钉拒绝了调用（{code} {message}），暂停发送到 {day}，文件都会保留。{advice}",
        "DingTalk refuses more calls ({code} {message}); nothing is sent before {day}, all is kept. {advice}",
    )
    RESUMED = ("恢复 {scope} {key}", "resumed {scope} {key}")
    RECOVERED = (
        "上次没有正常结束，正在恢复 {count} 项未完成的投递",
        "the last run did not end cleanly; taking up {count:unfinished delivery|unfinished deliveries}",
    )
    LEDGER_DOWN = (
        "账本暂时不可用（{code} {message}），不发送任何文件。{advice}",
        "the ledger cannot be used ({code} {message}); nothing is sent. {advice}",
    )
    BACKUP_FAILED = (
        "账本没有备份成功（{code} {message}）。{advice}",
        "the ledger could not be backed up ({code} {message}). {advice}",
    )
    LEDGER_BACK = ("账本恢复可写，继续工作", "the ledger can be written again, going on")
    UNREADABLE = (
        "暂时无法读取：{path}（{code} {message}）{advice}",
        "cannot be read now: {path} ({code} {message}). {advice}",
    )
    NOT_REGULAR = (
        "不发送链接、管道、套接字和设备：{path}（共 {count} 个）",
        "links, pipes, sockets and devices are not sent: {path} ({count} in all)",
    )
    RESTLESS = (
        "{hours} 小时以来没有稳定下来，仍在等待：{path}（{code}）。{advice}",
        "has not come to rest for {hours} hours, and is still waited for: {path} ({code}). {advice}",
    )
    FLOOD = (
        (
            "文件夹 {folder} 一小时内新增超过 {most} 个投递，未发送的全部暂留："
            "请执行 dingwatch release '{folder}' 发送，或 dingwatch discard '{folder}' 放弃"
        ),
        (
            "folder {folder}: more than {most} deliveries within an hour, all not yet sent are held:"
            " dingwatch release '{folder}' sends it, dingwatch discard '{folder}' gives it up"
        ),
    )
    FALLEN_BACK = (
        "文件夹 {folder} 收不全内核事件（{code}），改用定时扫描：{path}。{advice}",
        (
            "folder {folder}: the kernel makes no events for all of it ({code}), it is scanned at intervals"
            " instead: {path}. {advice}"
        ),
    )
    FOLDER_DOWN = (
        "文件夹 {folder} 无法监视：{path}（{code}）。{advice}",
        "folder {folder} cannot be watched: {path} ({code}). {advice}",
    )
    FOLDER_BACK = ("文件夹 {folder} 已恢复监视：{path}", "folder {folder} is watched again: {path}")
    BASELINE = (
        "文件夹 {folder} 里原有 {count} 个文件，按配置不发送",
        "folder {folder}: not sent, for it was there before: {count:file|files} (existing: skip)",
    )
    QUEUED = ("等待发送：{path}", "queued: {path}")
    READY = ("正在监视 {count} 个文件夹", "watching {count:folder|folders}")
    BUG = (
        "程序内部错误，服务停止；重新启动后会继续未完成的工作",
        "an internal error stopped the service; after a restart it goes on with what was unfinished",
    )
