"""Texts of `ledger` and `doctor`."""

from __future__ import annotations

from dingwatch.texts.language import Text


class Upkeep(Text):
    """Texts of `ledger` and `doctor`."""

    DOCTOR = (
        "把排查问题所需的信息打包成一个文件，不含密钥和文件内容。",
        "Put what support needs into one archive, without secrets and without the content of files.",
    )
    ARCHIVE = (
        "已写入 {path}；请先查看内容，再发给技术支持。文件名已缩写（--names 保留全名）。",
        (
            "wrote {path}; look through it, then send it to whoever helps. Names of files are shortened"
            " unless --names was given."
        ),
    )
    ARCHIVE_README = (
        """dingwatch doctor 的诊断包，不含密钥和文件内容。

check.txt      dingwatch check --offline 的结果
config.txt     dingwatch config show 的结果，密钥显示为 ***
ledger.txt     发送记录数据库中的数量
limits.txt     系统和服务的限制
log.txt        日志（journal）的最后 1000 行
mounts.txt     各文件夹所在的文件系统
status.json    dingwatch status --json 的结果
versions.txt   各组件的版本
""",
        """An archive of dingwatch doctor. It has no secrets and no content of files.

check.txt      what dingwatch check --offline prints
config.txt     what dingwatch config show prints, with *** in the place of secrets
ledger.txt     counts in the ledger
limits.txt     limits of the system and of the service
log.txt        the last 1000 lines of the log in the journal
mounts.txt     the file systems of the folders
status.json    what dingwatch status --json prints
versions.txt   versions of all parts
""",
    )
    LEDGER = ("备份、检查和搬迁发送记录数据库。", "Back up, verify and move the ledger.")
    BACKUP = (
        "把发送记录数据库备份到一个新文件，服务可以继续运行。",
        "Copy the ledger to a new file; the service may go on.",
    )
    VERIFY = (
        "检查发送记录数据库（或它的备份）是否完好。",
        "Check whether the ledger, or a backup of it, is sound.",
    )
    COPY = (
        "把发送记录数据库搬到另一个空数据库（SQLite 或 PostgreSQL）；服务须先停止。",
        "Move the ledger to another, empty database (SQLite or PostgreSQL); the service must be stopped.",
    )
    OPT_NODE = (
        "单机数据库的文件夹在 PostgreSQL 中属于哪个节点（默认：配置中的 node，否则为主机名）。",
        "The node that gets the folders of a SQLite ledger (default: node in the config, or the host name).",
    )
    URL_ODD = (
        "{argument} 不是数据库地址：请用 sqlite:////绝对路径/ledger.db 或 postgresql+psycopg://用户@主机/库名。",
        (
            "{argument} is no ledger's URL: use sqlite:////PATH/ledger.db or"
            " postgresql+psycopg://USER@HOST/DATABASE."
        ),
    )
    SOURCE_MISSING = (
        "没有发送记录数据库 {path}；没有复制任何内容。",
        "there is no ledger {path}; nothing was copied.",
    )
    COPY_RUNNING = (
        "进程 {pid} 正在使用 {ledger}；没有复制任何内容。请先停止服务（systemctl stop dingwatch）。",
        (
            "process {pid} works on {ledger}; nothing was copied. Stop the service first"
            " (systemctl stop dingwatch)."
        ),
    )
    COPY_NODES = (
        (
            "节点 {nodes} 正在使用 {ledger}；没有复制任何内容。请先停止它们的服务；"
            "被强行终止的节点在 60 秒内仍算在使用。"
        ),
        (
            "nodes work on {ledger}: {nodes}. Nothing was copied. Stop their services first; a node that was"
            " killed counts as working for up to 60 s."
        ),
    )
    COPY_SAME = (
        "两个地址是同一个数据库；没有复制任何内容。",
        "both URLs lead to the same ledger; nothing was copied.",
    )
    COPY_NOT_EMPTY = (
        "{ledger} 不是空的（表 {table}）；没有复制任何内容。请换一个空数据库。",
        "{ledger} is not empty (table {table}); nothing was copied. Choose an empty database.",
    )
    COPY_LEFT = (
        "{ledger} 中留有一次中断的复制；没有复制任何内容。{how}，再重新执行本命令。",
        (
            "{ledger} has what is left of a copy that was broken off; nothing was copied. {how}, then repeat"
            " the command."
        ),
    )
    COPY_DIFFERS = (
        (
            "复制结果与原数据库不同：表 {table} 有 {rows} 行（{digest}），复制后 {other_rows} 行"
            "（{other_digest}）。原数据库没有改变，可以继续使用。{how}，再重新执行本命令。"
        ),
        (
            "the copy is not like the ledger: table {table} has {rows:row|rows} ({digest}), and in the copy"
            " {other_rows:row|rows} ({other_digest}). The ledger is as it was, and can be used. {how}, then"
            " repeat the command."
        ),
    )
    COPY_UNKNOWN_NODE = (
        (
            "{ledger} 中没有名为 {node} 的节点，没有复制任何内容；现有：{nodes}。"
            "请用 --node 指定继续使用的那台主机的节点名。"
        ),
        (
            "no node named {node} has worked on {ledger}, and nothing was copied; it knows: {nodes}. Name the"
            " node of the host that goes on by --node."
        ),
    )
    COPY_AMBIGUOUS = (
        (
            "节点 {nodes} 各有一个路径相同、名称都是“{name}”的文件夹，单机无法区分；没有复制任何内容。"
            "请在其中一个节点的配置中改 name，启动一次服务，再重新执行本命令。"
        ),
        (
            "the nodes {nodes} have folders of one path that are all named {name}, which a single host could"
            " not tell apart; nothing was copied. Rename one in its node's config, start the service there"
            " once, and repeat the command."
        ),
    )
    COPY_FAILED = (
        "没有复制完成，{source} 没有改变：无法使用 {ledger}：{reason}。{advice}",
        "the ledger was not copied, and {source} is as it was: cannot use {ledger}: {reason}. {advice}",
    )
    COPY_NO_LOCK = (
        "无法在 {path} 中锁定数据库（{reason}）；没有复制任何内容。请检查路径和权限。",
        "cannot lock the ledger in {path} ({reason}); nothing was copied. Check the path and permissions.",
    )
    EMPTY_FILE = ("请删除 {path}", "Delete {path}")
    EMPTY_DATABASE = (
        "请用 dropdb 和 createdb 重建该数据库",
        "Make the database anew with dropdb and createdb",
    )
    COPY_TABLE = ("表", "table")
    COPY_ROWS = ("行数", "rows")
    COPY_DIGEST = ("摘要（两边相同）", "digest (the same in both)")
    MOVED = (
        "已全部复制并核对：发送记录数据库现在是 {target}；{source} 不再使用。",
        "all is copied and proved: the ledger is {target} now, and {source} is used no more.",
    )
    MOVED_BEFORE = (
        "上次复制只差最后一步，现已完成：发送记录数据库现在是 {target}；{source} 不再使用。",
        (
            "the copy lacked its last step alone, which is done: the ledger is {target} now, and {source} is"
            " used no more."
        ),
    )
    MOVED_TO_SERVER = (
        "请在配置中设置 ledger: {target}，再启动服务。",
        "Set ledger: {target} in the config, and start the service.",
    )
    MOVED_TO_FILE = (
        "请在配置中设置 state_dir: {directory}，去掉 ledger，再启动服务。",
        "Set state_dir: {directory} in the config, leave ledger out, and start the service.",
    )
    COPIED = (
        "已备份到 {path}：{versions} 个文件，{deliveries} 项投递（数据库版本 {schema}）",
        "copied to {path}: {versions:file|files}, {deliveries:delivery|deliveries} (schema {schema})",
    )
    SOUND = (
        "{path} 完好：{versions} 个文件，{deliveries} 项投递（数据库版本 {schema}）",
        "{path} is sound: {versions:file|files}, {deliveries:delivery|deliveries} (schema {schema})",
    )
    NO_LEDGER = (
        "还没有发送记录数据库 {path}；服务首次启动时会创建。",
        "there is no ledger {path} yet; the service creates it at its first start.",
    )
    UPGRADE = (
        "在 PostgreSQL 中创建或更新数据表；URL 可以用另一个（拥有这些表的）用户。",
        "Create or update the tables in PostgreSQL; URL may name another role, which owns them.",
    )
    UPGRADE_ALONE = (
        "发送记录数据库是文件，服务启动时会自动更新。",
        "the ledger is a file, which the service itself updates when it starts.",
    )
    UPGRADED = (
        "{path} 中的数据表已是此版本所需的（schema {schema}）。",
        "the tables in {path} are those of this version (schema {schema}).",
    )
    NO_LEDGER_ON_SERVER = (
        "数据库 {path} 里还没有发送记录；服务首次启动时会创建。",
        "there is no ledger in {path} yet; the service creates it at its first start.",
    )
    BACKUP_ON_SERVER = (
        (
            "发送记录在 PostgreSQL 中，由 pg_dump 备份（没有备份任何内容）。"
            "请执行（密码放在 ~/.pgpass 或 PGPASSFILE 指向的文件中）：\n{command}"
        ),
        (
            "the ledger is in PostgreSQL, which pg_dump backs up; nothing was copied. Run this, with the"
            " password in ~/.pgpass or the file that PGPASSFILE names:\n{command}"
        ),
    )
    NO_FILE = (
        "{path} 不是文件；请检查路径。",
        "{path} is no file; check the path.",
    )
    EXISTS = (
        "{path} 已存在，不会覆盖；请换一个文件名，或先移走它。",
        "{path} exists and is not overwritten; choose another name, or move it away first.",
    )
    NO_DIRECTORY = (
        "目录 {path} 不存在；请先创建。",
        "there is no directory {path}; create it first.",
    )
    DISK_FULL = (
        "磁盘 {disk} 已满，没有留下 {path}；请腾出空间，或备份到其他磁盘。",
        "the disk {disk} is full, and nothing was left at {path}; free some space, or choose another disk.",
    )
    NOT_WRITTEN = (
        (
            "无法写入 {path}（{reason}）；命令以发送记录的所有者 {user} 的身份运行，"
            "请选择该用户可写的目录，或新建一个：install -d -o {user} -m 0700 目录"
        ),
        (
            "cannot write {path} ({reason}); this runs as {user}, the owner of the ledger: choose a directory"
            " that this user may write to, or make one: install -d -o {user} -m 0700 DIRECTORY"
        ),
    )
    NO_COPY = (
        "无法把 {path} 作为发送记录数据库读取（{reason}）；请改用其他备份，备份在 {directory} 中。",
        "{path} cannot be read as a ledger ({reason}); choose another backup, of those in {directory}.",
    )
    UNREADABLE = ("无法读取 {path}（{reason}）。{advice}", "cannot read {path} ({reason}). {advice}")
    DAMAGED = ("{path} 已损坏：{where}", "{path} is damaged: {where}")
    FOREIGN = ("所属的记录不存在：{where}", "rows belong to others that are not there: {where}")
    STATE = (
        "投递的状态与最后一条记录不符：{where}",
        "deliveries are not in the state that their last line of history gives: {where}",
    )
    EVENT = (
        "记录中有不可能的状态变化：{where}",
        "the history has changes of state that cannot be: {where}",
    )
    COUNTER = ("编号会重复使用：{where}", "ids would be given out twice: {where}")
    INCONSISTENT = (
        "请执行 dingwatch doctor 并报告此问题；发送仍可继续，请先备份（dingwatch ledger backup）。",
        (
            "Report this with the archive of dingwatch doctor. Sending goes on; make a backup first"
            " (dingwatch ledger backup)."
        ),
    )
    RESTORE = (
        (
            "请停止服务，移走 {ledger} 和旁边的 ledger.db-wal、ledger.db-shm，检查备份"
            "（dingwatch ledger verify {backup}），复制为 {ledger}，再启动服务；备份之后的发送记录会丢失。"
        ),
        (
            "Stop the service, move {ledger} away with ledger.db-wal and ledger.db-shm beside it, check the"
            " backup (dingwatch ledger verify {backup}), copy it to {ledger}, and start the service. What was"
            " sent since the backup is not known then."
        ),
    )
    NO_BACKUP = (
        "{directory} 中没有备份；请从自己的备份恢复，或停止服务后移走数据库重新开始（已有文件不再发送）。",
        (
            "There is no backup in {directory}; restore your own, or stop the service and move the ledger"
            " away to begin anew (existing files are not sent then)."
        ),
    )
