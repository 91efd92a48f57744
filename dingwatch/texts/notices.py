"""What conversations are told about a file: in its place, or before it. Markdown; `{name}` comes escaped."""

from __future__ import annotations

from dingwatch.texts.language import Text


class Notices(Text):
    """What conversations are told about a file."""

    FILE = ("新文件：{name}（{size}）", "New file: {name} ({size})")
    PLACE = ("位置：{place}", "Find it at: {place}")
    CHANGED = ("新版本", "new version")
