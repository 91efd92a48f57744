"""A burst of small files, end to end: dingwatch beside what people write today, and beside bare requests."""

from __future__ import annotations

import os
import resource
import subprocess
import tempfile
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from tests.bench.benchmark import Benchmark, Figures, Measure, Rounds, Scale
from tests.bench.code import Code
from tests.bench.process import cpu, until
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
    took = arrived[-1]["at"] - dropped.began
    return Run(
        count / took,
        used / count * 1000,
        (calls[UPLOAD] + calls[SEND]) / count,
        (cpu(other.pid) - other_before) / took,
    )


@contextmanager
def _watching(
    code: Code, other: Far, conversations: int, workers: int = WORKERS
) -> Iterator[tuple[int, list[Path]]]:
    """Run the daemon with everything on; each conversation has a folder. Yield its pid and the folders."""
    with tempfile.TemporaryDirectory() as made:
        target = Path(made)
        shares = [Share(target / f"share{n:02}", CONVERSATIONS[n : n + 1]) for n in range(conversations)]
        for share in shares:
            share.path.mkdir()
        config = configure(target, other.url, shares, {"delivery": {"workers": workers}})
        with daemon(code, config) as pid:
            yield pid, [share.path for share in shares]


def dingwatch(code: Code, count: int, conversations: int, delay: float = 0.0, workers: int = WORKERS) -> Run:
    """Drop a burst for the daemon."""
    with other_end(delay) as other:
        with _watching(code, other, conversations, workers) as (pid, folders):
            before, other_before = cpu(pid), cpu(other.pid)
            dropped = drop_into(folders, count, SIZE)
            until(lambda: other.sent() >= count)
            time.sleep(0.3)  # the last outcomes are still to be written
            used = cpu(pid) - before
        return _finish(other, dropped, used, other_before)


def known(code: Code, count: int) -> float:
    """Return the billed calls for each file whose content was sent before, under another name."""
    with other_end() as other:
        with _watching(code, other, 1) as (_, (folder,)):
            dropped = drop_into([folder], count, SIZE, "{}.pdf")
            until(lambda: other.sent() >= count)
            before = other.calls()
            for file in sorted(folder.iterdir()):
                (folder / f"copy of {file.name}").write_bytes(file.read_bytes())
            until(lambda: other.sent() >= 2 * count)
            calls = other.calls() - before
        check(other, Dropped(dropped.began, dropped.digests + dropped.digests))
    return (calls[UPLOAD] + calls[SEND]) / count


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
        used, other_before, began = time.process_time(), cpu(other.pid), time.monotonic()
        with ThreadPoolExecutor(WORKERS) as pool:
            list(pool.map(lambda one: deliver(*one), contents))
        used = time.process_time() - used
        return _finish(other, Dropped(began, dropped.digests), used, other_before)


_LOOP_RATE: Final = "inotifywait \\| while read; curl; curl: files/s"
_XARGS_RATE: Final = "inotifywait \\| xargs -P8 curl: files/s"
_SESSION_RATE: Final = f"requests.Session, {WORKERS} threads: files/s"
_CONTENDERS: Final = tuple(
    Measure(name, 0) for name in (_LOOP_RATE, _XARGS_RATE, _SESSION_RATE, f"{_SESSION_RATE}, trust_env off")
)
_ONE: Final = Measure("dingwatch, 1 conversation: files/s", 0)
_ONE_CPU: Final = Measure("dingwatch, 1 conversation: CPU ms/file", 1)
_MANY: Final = Measure("dingwatch, 16 conversations: files/s", 0)
_BY_SCRIPT: Final = Measure("16 conversations ÷ the better script", 1, least=3.3)
_BY_SESSION: Final = Measure(f"16 conversations ÷ requests.Session, {WORKERS} threads", 2, least=0.7)
_CPU: Final = Measure("16 conversations: CPU ms/file", 1, most=3.5)
_NEW: Final = Measure("billed calls/file, new content", 2, most=2.0)
_KNOWN: Final = Measure("billed calls/file, known content", 2, most=1.0)
_OTHER: Final = Measure("other end: cores", 2)
_SLOW: Final = Measure(
    f"answers after {SLOW * 1000:.0f} ms, {SLOW_WORKERS} workers: calls/s ÷ (workers ÷ latency)",
    2,
    least=0.95,
)
_SLOW_CPU: Final = Measure(f"answers after {SLOW * 1000:.0f} ms, {SLOW_WORKERS} workers: CPU ms/file", 1)


def _count(scale: Scale) -> int:
    return scale.pick(200, 2000)


def rounds(code: Code, scale: Scale) -> Rounds:
    """Run every contender in turn; nothing is prepared."""
    while True:
        yield _round(code, _count(scale), few=scale.pick(30, 300))


def _round(code: Code, count: int, *, few: int) -> Figures:
    contenders = (
        script(few, LOOP),
        script(2 * few, XARGS),
        bare(count, trust_env=True),
        bare(count, trust_env=False),
    )
    one, many = dingwatch(code, count, 1), dingwatch(code, count, 16)
    slow = dingwatch(code, count // 2, 16, SLOW, SLOW_WORKERS)
    loop, xargs, session, _ = contenders
    return {
        **{measure: run.rate for measure, run in zip(_CONTENDERS, contenders, strict=True)},
        _ONE: one.rate,
        _ONE_CPU: one.cpu_ms,
        _MANY: many.rate,
        _BY_SCRIPT: many.rate / max(loop.rate, xargs.rate),
        _BY_SESSION: many.rate / session.rate,
        _CPU: many.cpu_ms,
        _NEW: many.calls,
        _KNOWN: known(code, count // 4),
        _OTHER: many.other_share,
        _SLOW: slow.rate * slow.calls / (SLOW_WORKERS / SLOW),
        _SLOW_CPU: slow.cpu_ms,
    }


BENCHMARK: Final = Benchmark(
    lambda scale: f"Burst of {_count(scale):,} files of {SIZE:,} bytes, end to end, every digest once", rounds
)
