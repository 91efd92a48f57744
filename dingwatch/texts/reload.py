"""Texts about a reload of the configuration."""

from __future__ import annotations

from dingwatch.texts.language import Text


class Reload(Text):
    """Sentences of `reload` and of the log after SIGHUP."""

    ADDED = ("新增文件夹 {name}：{path}", "folder added: {name} ({path})")
    REMOVED = ("文件夹 {name} 已移除，不再监视：{path}", "folder removed: {name} ({path})")
    CHANGED = ("文件夹 {name} 的设置有改动：{keys}", "folder changed: {name}: {keys}")
    KEYS = ("设置有改动：{keys}", "changed: {keys}")
    NOTHING = ("配置没有改动。", "nothing has changed")
    NOT_READY = (
        "新文件夹的首次扫描还没有完成；进度见 dingwatch status。",
        "the first look at a new folder is still going on; see dingwatch status",
    )
    NEEDS_RESTART = (
        "未做任何改动，这项设置要重启服务才能改变（needs a restart: {key}）：请重启服务，或改回这一项",
        "needs a restart: {key} (nothing was changed; restart the service, or change this key back)",
    )
    LEDGER = (
        "未做任何改动：发送记录数据库暂时不可用（{reason}）。{advice}",
        "nothing was changed: the ledger is unavailable ({reason}). {advice}",
    )
    REFUSED = (
        "没有重新加载配置，继续使用原来的配置：{problems}",
        "config not reloaded, the former one stays in force: {problems}",
    )
    KEPT = ("服务继续使用原来的配置。", "the service goes on with the former configuration")
    BROKEN = (
        "服务继续使用原来的配置；改正配置文件后，请执行 dingwatch reload。",
        "the service goes on with the former configuration; correct the file, then run dingwatch reload",
    )
    NOT_RUNNING = (
        "服务没有运行，没有可以重新加载的配置；启动服务时会读取配置。",
        "the service is not running, so there is nothing to reload: it reads the config when it starts",
    )
    ENDED = (
        "服务没有应答重新加载的结果；请查看服务的日志。",
        "the service did not say what came of it; see its log",
    )
    TOO_OLD = (
        "正在运行的服务版本太旧，不支持 reload；请重启服务。",
        "the running service is an older version that cannot reload: restart it",
    )
    OTHER_FILE = (
        "注意：服务使用的配置文件是 {path}，重新加载的是这个文件。",
        "note: the service reads {path}, and has read that file again",
    )
