"""Noticing: kernel events, which are hints, and the scan, which is the truth."""

from dingwatch.watch.filesystem import Kind, Mount, kind_of, mounted_beneath, mounts
from dingwatch.watch.observer import Notice, Observer, Overflow
from dingwatch.watch.scan import Directory, Entry, walk

__all__ = [
    "Directory",
    "Entry",
    "Kind",
    "Mount",
    "Notice",
    "Observer",
    "Overflow",
    "kind_of",
    "mounted_beneath",
    "mounts",
    "walk",
]
