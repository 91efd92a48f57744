"""One start-up scan by itself, run as a program: seconds, CPU seconds and how much memory it took.

Arguments: the ledger, and the watched folder, of which the ledger knows everything.
"""

from __future__ import annotations

import json
import os
import resource
import sys
import time
from pathlib import Path

from dingwatch import filters
from dingwatch.dingtalk import MEDIA_LIMIT
from dingwatch.intake import Executor, FolderSettings
from dingwatch.intake.jobs import Arm, Found, Input, Scan
from dingwatch.ledger import Store, sqlite_url
from dingwatch.ledger.folders import MappedFolder, bind
from dingwatch.payload import PayloadPolicy
from dingwatch.watch import Observer


def _peak() -> float:
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024


def main(ledger: str, folder: str) -> None:
    """Scan once; print the figures as JSON."""
    root, found = os.fsencode(folder), 0

    def count(one: Input) -> None:
        nonlocal found
        if isinstance(one, Found):
            found += len(one.unknown) + len(one.missing)

    store = Store.open(sqlite_url(Path(ledger)))
    with store.writing() as connection:
        mark = bind(connection, [MappedFolder(root, "share", ("cid",))])[0]
    settings = FolderSettings(
        mark.id,
        root,
        "share",
        ("cid",),
        filters.path_filter((), (), recursive=True),
        PayloadPolicy("app", MEDIA_LIMIT),
        watch="poll",
    )
    executor = Executor(store, Observer(lambda _: None), {mark.id: settings}, count)
    executor(Arm(mark.id))
    before, cpu, session = _peak(), time.process_time(), time.monotonic()
    executor(Scan(mark.id))
    took, used = time.monotonic() - session, time.process_time() - cpu
    figures = {"seconds": took, "cpu": used, "grown": _peak() - before, "found": found}
    print(json.dumps(figures))  # noqa: T201 (what the parent reads)


if __name__ == "__main__":
    main(*sys.argv[1:])
