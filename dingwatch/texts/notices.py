"""Texts of notices and captions. Markdown; `{name}` comes escaped."""

from __future__ import annotations

from dingwatch.texts.language import Text


class Notices(Text):
    """Texts of notices and captions."""

    FILE = ("新文件：{name}（{size}）", "New file: {name} ({size})")
    FILES = ("{count} 个新文件：", "{count:new file|new files}:")
    ENTRY = ("{name}（{size}）", "{name} ({size})")
    MORE = ("……另有 {count} 个", "… and {count} more")
    PLACE = ("位置：{place}", "Location: {place}")
    CHANGED = ("新版本", "new version")
