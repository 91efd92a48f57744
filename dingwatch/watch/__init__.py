"""Watching folders: kernel events, which are hints, and the scan, which is the truth."""

from dingwatch.watch.filesystem import Kind, Mount, holding, is_steady, kind_of, mounted_beneath, mounts
from dingwatch.watch.observer import Hint, Observer, Overflow
from dingwatch.watch.root_lock import RootLocks, lock_holder_of
from dingwatch.watch.scan import Directory, walk

__all__ = [
    "Directory",
    "Hint",
    "Kind",
    "Mount",
    "Observer",
    "Overflow",
    "RootLocks",
    "holding",
    "is_steady",
    "kind_of",
    "lock_holder_of",
    "mounted_beneath",
    "mounts",
    "walk",
]
