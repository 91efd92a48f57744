"""A burst of small files, end to end: dingwatch beside what people write today, and beside bare requests."""

from __future__ import annotations

import os
import resource
import subprocess
import tempfile
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from statistics import median
from typing import Final

from tests.bench.process import cpu, until
from tests.bench.table import show
from tests.bench.world import CONVERSATIONS, SEND, UPLOAD, Bare, Dropped, Far, Share, check, configure, daemon
from tests.bench.world import drop as drop_into
from tests.bench.world import far as other_end

SIZE: Final = 4096
WORKERS: Final = 4
SLOW: Final = 0.05
"""Seconds that an answer takes where latency counts; that run has `SLOW_WORKERS`."""
SLOW_WORKERS: Final = 8

# What people write: the token fetched once, each file by two calls of curl. $1 is the file's path.
_DELIVER: Final = r"""
deliver() {
  r=$(curl -s -F "media=@\"$1\"" "$URL/media/upload?access_token=$TOKEN&type=file")
  m=${r#*\"media_id\"*\"}; m=${m%%\"*}
  p="{\\\"mediaId\\\":\\\"$m\\\",\\\"fileName\\\":\\\"${1##*/}\\\",\\\"fileType\\\":\\\"pdf\\\"}"
  curl -s -o /dev/null -H "x-acs-dingtalk-access-token: $TOKEN" -H 'Content-Type: application/json' \
    -d "{\"robotCode\":\"x\",\"openConversationId\":\"$CID\",\"msgKey\":\"sampleFile\",\"msgParam\":\"$p\"}" \
    "$URL/v1.0/robot/groupMessages/send"
}
TOKEN=$(curl -s "$URL/gettoken?appkey=x&appsecret=x"); TOKEN=${TOKEN#*access_token\": \"}; TOKEN=${TOKEN%%\"*}
export URL TOKEN CID; export -f deliver
"""
LOOP: Final = _DELIVER + 'while read -r f; do deliver "$f"; done'
XARGS: Final = _DELIVER + """xargs -d '\\n' -P8 -n1 bash -c 'deliver "$1"' x"""
_WATCH: Final = ("/usr/bin/inotifywait", "-m", "-e", "close_write", "-e", "moved_to", "--format", "%w%f")


@dataclass(frozen=True)
class Run:
    """One run of one contender."""

    rate: float
    """Files a second, from the first byte dropped to the last message."""
    cpu_ms: float
    """Milliseconds of CPU that the client used for each file."""
    calls: float
    """Billed calls for each file."""
    other_share: float
    """Share of a core that the other end used: it must not be what is measured."""


def _finish(other: Far, dropped: Dropped, used: float, other_before: float) -> Run:
    check(other, dropped)
    arrived, count, calls = other.arrived(), dropped.digests.total(), other.calls()
    took = arrived[-1]["at"] - dropped.session
    return Run(
        count / took,
        used / count * 1000,
        (calls[UPLOAD] + calls[SEND]) / count,
        (cpu(other.pid) - other_before) / took,
    )


def dingwatch(count: int, conversations: int, *, delay: float = 0.0, workers: int = WORKERS) -> Run:
    """Run the daemon with everything on; each conversation has a folder."""
    with other_end(delay) as other, tempfile.TemporaryDirectory() as made:
        target = Path(made)
        shares = [Share(target / f"share{n:02}", CONVERSATIONS[n : n + 1]) for n in range(conversations)]
        for share in shares:
            share.path.mkdir()
        config = configure(target, other.url, shares, {"delivery": {"workers": workers}})
        with daemon(config) as pid:
            before, other_before = cpu(pid), cpu(other.pid)
            dropped = drop_into([share.path for share in shares], count, SIZE)
            until(lambda: other.sent() >= count)
            time.sleep(0.3)  # the last outcomes are still to be written
            used = cpu(pid) - before
        return _finish(other, dropped, used, other_before)


def script(count: int, consumer: str) -> Run:
    """Run one of the scripts. Its rate does not depend on how many files there are."""
    with other_end() as other, tempfile.TemporaryDirectory() as made:
        environ = {**os.environ, "URL": other.url, "CID": CONVERSATIONS[0], "NO_PROXY": "127.0.0.1"}
        before = resource.getrusage(resource.RUSAGE_CHILDREN)
        watch = subprocess.Popen([*_WATCH, made], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
        reader = subprocess.Popen(["/bin/bash", "-c", consumer], stdin=watch.stdout, env=environ)
        assert watch.stdout is not None
        assert watch.stderr is not None
        watch.stdout.close()
        while "established" not in watch.stderr.readline():
            pass
        until(lambda: other.calls()["/gettoken"] > 0)
        other_before = cpu(other.pid)
        dropped = drop_into([Path(made)], count, SIZE, "report-{}.pdf")
        until(lambda: other.sent() >= count, 0.2)
        watch.terminate()  # the pipe ends, and so does what reads from it
        watch.wait()
        reader.wait()
        watch.stderr.close()
        after = resource.getrusage(resource.RUSAGE_CHILDREN)
        used = after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime
        return _finish(other, dropped, used, other_before)


def bare(count: int, *, trust_env: bool) -> Run:
    """Run bare requests with as many workers as dingwatch has; its contents are in memory already."""
    with other_end() as other, tempfile.TemporaryDirectory() as made:
        dropped = drop_into([Path(made)], count, SIZE)
        contents = [(file.name, file.read_bytes()) for file in Path(made).iterdir()]
        deliver = Bare(other.url, trust_env=trust_env)
        used, other_before, session = time.process_time(), cpu(other.pid), time.monotonic()
        with ThreadPoolExecutor(WORKERS) as pool:
            list(pool.map(lambda one: deliver(*one), contents))
        used = time.process_time() - used
        return _finish(other, Dropped(session, dropped.digests), used, other_before)


def measure(*, quick: bool) -> None:
    """Run every contender in turn, some rounds, and print medians and ratios."""
    count, few, rounds = (300, 40, 1) if quick else (2000, 300, 3)
    session = f"requests.Session, {WORKERS} threads"
    contenders: dict[str, Callable[[], Run]] = {
        "inotifywait \\| while read; curl; curl": lambda: script(few, LOOP),
        "inotifywait \\| xargs -P8 curl": lambda: script(2 * few, XARGS),
        session: lambda: bare(count, trust_env=True),
        f"{session}, trust_env off": lambda: bare(count, trust_env=False),
        "dingwatch, 1 conversation": lambda: dingwatch(count, 1),
        "dingwatch, 16 conversations": lambda: dingwatch(count, 16),
    }
    runs: dict[str, list[Run]] = {name: [] for name in contenders}
    for _ in range(rounds):
        for name, contender in contenders.items():
            runs[name].append(contender())
    rates = {name: median(run.rate for run in done) for name, done in runs.items()}
    script_rate = max(rate for name, rate in rates.items() if "curl" in name)
    heading = (
        "contender", "files/s", "× better script", "× requests.Session", "CPU ms/file", "billed calls/file",
        "other end, cores",
    )  # fmt: skip
    rows = [
        (
            name,
            f"{rates[name]:.0f}",
            f"{rates[name] / script_rate:.1f}",
            f"{rates[name] / rates[session]:.2f}",
            f"{median(run.cpu_ms for run in done):.1f}",
            f"{median(run.calls for run in done):.2f}",
            f"{median(run.other_share for run in done):.2f}",
        )
        for name, done in runs.items()
    ]
    title = f"Burst of {count:,} files of {SIZE:,} bytes, end to end (medians of {rounds}, every digest once)"
    show(title, heading, *rows)
    _measure_slow(count, rounds)


def _measure_slow(count: int, rounds: int) -> None:
    """With answers that take their time, what counts is that all workers are always busy."""
    done = [dingwatch(count // 2, 16, delay=SLOW, workers=SLOW_WORKERS) for _ in range(rounds)]
    calls = median(run.rate * run.calls for run in done)
    most = SLOW_WORKERS / SLOW
    after = f"answers after {SLOW * 1000:.0f} ms, {SLOW_WORKERS} workers"
    show(
        f"{count // 2:,} files into 16 conversations, {after}",
        ("calls/s", "workers ÷ latency", "ratio", "CPU ms/file"),
        (f"{calls:.0f}", f"{most:.0f}", f"{calls / most:.2f}", f"{median(r.cpu_ms for r in done):.1f}"),
    )
