"""The words of the system and of SQLite for errors, which are English in every locale."""

from __future__ import annotations

from typing import Final

from dingwatch.texts.language import Language, Text


class System(Text):
    """Errors of files, disks and sockets by the name of their errno, and those of SQLite by its name."""

    EPERM = ("操作不允许", "Operation not permitted")
    ENOENT = ("没有这个文件或目录", "No such file or directory")
    EIO = ("输入输出错误", "Input/output error")
    EBADF = ("没有打开", "Bad file descriptor")
    EAGAIN = ("资源暂时不可用", "Resource temporarily unavailable")
    ENOMEM = ("内存不足", "Cannot allocate memory")
    EACCES = ("权限不足", "Permission denied")
    EBUSY = ("正在被使用", "Device or resource busy")
    EEXIST = ("已经存在", "File exists")
    EXDEV = ("跨越了文件系统", "Invalid cross-device link")
    ENODEV = ("没有这个设备", "No such device")
    ENOTDIR = ("不是目录", "Not a directory")
    EISDIR = ("是目录", "Is a directory")
    EINVAL = ("参数无效", "Invalid argument")
    ENFILE = ("系统打开的文件过多", "Too many open files in system")
    EMFILE = ("打开的文件过多", "Too many open files")
    ETXTBSY = ("文件正在被使用", "Text file busy")
    EFBIG = ("文件过大", "File too large")
    ENOSPC = ("磁盘空间不足", "No space left on device")
    EROFS = ("文件系统只读", "Read-only file system")
    EPIPE = ("读取方已关闭", "Broken pipe")
    ENAMETOOLONG = ("名称过长", "File name too long")
    ELOOP = ("符号链接层数过多", "Too many levels of symbolic links")
    EDQUOT = ("超出磁盘配额", "Disk quota exceeded")
    ESTALE = ("文件句柄已失效", "Stale file handle")
    ENOTCONN = ("没有连接", "Transport endpoint is not connected")
    EADDRINUSE = ("地址已被占用", "Address already in use")
    EADDRNOTAVAIL = ("地址不属于本机", "Cannot assign requested address")
    ENETUNREACH = ("网络不可达", "Network is unreachable")
    ECONNREFUSED = ("连接被拒绝", "Connection refused")
    ECONNRESET = ("连接被重置", "Connection reset by peer")
    ETIMEDOUT = ("连接超时", "Connection timed out")
    EHOSTDOWN = ("主机不在线", "Host is down")
    EHOSTUNREACH = ("主机不可达", "No route to host")
    GAIERROR = ("无法解析主机名", "Name or service not known")
    FULL = ("数据库或磁盘已满", "database or disk is full")
    READONLY = ("数据库只读", "attempt to write a readonly database")
    CANTOPEN = ("无法打开数据库文件", "unable to open database file")
    CORRUPT = ("数据库文件已损坏", "database disk image is malformed")
    NOTADB = ("文件不是数据库", "file is not a database")
    LOCKED = ("数据库被锁定", "database is locked")
    IOERR = ("数据库读写出错", "disk I/O error")


_BY_ENGLISH: Final = {one.en: one for one in System}


def system_words(message: str, language: Language) -> str:
    """Return a message with the system's words in a language; others are returned as they are.

    The name of an exception may stand before them, as in `ConnectionRefusedError: Connection refused`.
    """
    before, colon, said = message.rpartition(": ")
    known = _BY_ENGLISH.get(said)
    if known is None or language is Language.EN:
        return message
    return f"{before}{colon}{known.zh}"
