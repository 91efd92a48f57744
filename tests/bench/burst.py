"""A burst of small files, end to end: dingwatch beside what people write today, and beside bare requests."""

from __future__ import annotations

import json
import os
import resource
import subprocess
import tempfile
import time
from collections import Counter
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from hashlib import sha256
from pathlib import Path
from statistics import median

import requests

from tests.bench.world import DingTalk, cpu, daemon, dingtalk, show, until

WORKERS = 4
SIZE = 4096

# The two curl calls of the scripts; the shell gets the file's path as $1.
_CURL = r"""
m=$(curl -s -F "media=@$1" "$URL/media/upload?access_token=$TOKEN&type=file" \
  | sed 's/.*"media_id":"\([^"]*\)".*/\1/')
p="{\\\"mediaId\\\":\\\"$m\\\",\\\"fileName\\\":\\\"${1##*/}\\\",\\\"fileType\\\":\\\"pdf\\\"}"
j="{\"robotCode\":\"$ROBOT\",\"openConversationId\":\"$CID\",\"msgKey\":\"sampleFile\",\"msgParam\":\"$p\"}"
curl -s -o /dev/null -H "x-acs-dingtalk-access-token: $TOKEN" -H 'Content-Type: application/json' \
  -d "$j" "$URL/v1.0/robot/groupMessages/send"
"""
_WATCH = 'inotifywait -q -m -e close_write -e moved_to --format %w%f "$DIR" | '
_LOOP = _WATCH + 'while read -r f; do bash -c "$SEND" x "$f"; done'
_XARGS = _WATCH + 'xargs -d "\\n" -P8 -n1 bash -c "$SEND" x'


@dataclass(frozen=True)
class Run:
    """One contender's run."""

    rate: float
    cpu_ms: float


def _drop(folders: list[Path], count: int) -> Counter[str]:
    wanted: Counter[str] = Counter()
    for number in range(count):
        content = os.urandom(SIZE)
        wanted[sha256(content).hexdigest()] += 1
        (folders[number % len(folders)] / f"{number}.pdf").write_bytes(content)
    return wanted


def _check(far: DingTalk, wanted: Counter[str]) -> None:
    """A figure counts only when every file arrived whole and once."""
    assert Counter(message["sha256"] for message in far.arrived()) == wanted


def dingwatch(count: int, conversations: int) -> Run:
    """Run the daemon with everything on."""
    with dingtalk() as far, tempfile.TemporaryDirectory() as made:
        folders = {
            Path(made) / f"f{n}": far.conversations[n % len(far.conversations)] for n in range(conversations)
        }
        for folder in folders:
            folder.mkdir()
        with daemon(Path(made), far, folders, delivery={"workers": WORKERS}) as pid:
            used, begun = cpu(pid), time.monotonic()
            wanted = _drop(list(folders), count)
            until(lambda: far.sent() >= count)
            took = time.monotonic() - begun
            run = Run(count / took, (cpu(pid) - used) / count * 1000)
        _check(far, wanted)
        assert far.billed() == 2 * count
    return run


def script(count: int, line: str) -> Run:
    """Run one of the scripts; its children's CPU is what it costs."""
    with dingtalk() as far, tempfile.TemporaryDirectory() as made:
        environ = {
            **os.environ, "URL": far.url, "TOKEN": far.token(), "CID": far.conversations[0],
            "ROBOT": far.client_id, "DIR": made, "SEND": _CURL,
        }  # fmt: skip
        process = subprocess.Popen(["/bin/bash", "-c", line], env=environ, start_new_session=True)
        until(lambda: "inotifywait" in _children(process.pid), 0.05)
        time.sleep(0.3)
        begun = time.monotonic()
        wanted = _drop([Path(made)], count)
        until(lambda: far.sent() >= count)
        took = time.monotonic() - begun
        before = resource.getrusage(resource.RUSAGE_CHILDREN)
        os.killpg(process.pid, 15)
        process.wait()
        after = resource.getrusage(resource.RUSAGE_CHILDREN)
        _check(far, wanted)
    used = after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime
    return Run(count / took, used / count * 1000)


def _children(pid: int) -> str:
    found = subprocess.run(
        ["/usr/bin/ps", "-o", "comm", "--ppid", str(pid)], capture_output=True, text=True, check=False
    )
    return found.stdout


def bare(count: int, *, environment: bool) -> Run:
    """Upload and send with a `requests.Session` and nothing else: no watching, no ledger."""
    with dingtalk() as far:
        token, session = far.token(), requests.Session()
        session.trust_env = environment
        contents = [os.urandom(SIZE) for _ in range(count)]

        def one(number: int) -> None:
            name = f"{number}.pdf"
            url = f"{far.url}/media/upload?access_token={token}&type=file"
            media = session.post(url, files={"media": (name, contents[number])}, timeout=30).json()[
                "media_id"
            ]
            parameters = json.dumps({"mediaId": media, "fileName": name, "fileType": "pdf"})
            body = {
                "robotCode": far.client_id,
                "openConversationId": far.conversations[0],
                "msgKey": "sampleFile",
                "msgParam": parameters,
            }
            headers = {"x-acs-dingtalk-access-token": token}
            session.post(f"{far.url}/v1.0/robot/groupMessages/send", json=body, headers=headers, timeout=30)

        used, begun = time.process_time(), time.monotonic()
        with ThreadPoolExecutor(WORKERS) as pool:
            list(pool.map(one, range(count)))
        took, used = time.monotonic() - begun, time.process_time() - used
    return Run(count / took, used / count * 1000)


def measure(*, quick: bool) -> None:
    """Run every contender in turn, some rounds, and print medians and ratios."""
    count, rounds = (300, 1) if quick else (2000, 3)
    few = max(count // 10, 60)  # the scripts are slow: a rate needs fewer files
    contenders: dict[str, Callable[[], Run]] = {
        "inotifywait | while read; curl; curl": lambda: script(few, _LOOP),
        "inotifywait | xargs -P8 curl": lambda: script(few * 2, _XARGS),
        f"requests.Session, {WORKERS} threads": lambda: bare(count, environment=True),
        f"requests.Session, {WORKERS} threads, trust_env off": lambda: bare(count, environment=False),
        "dingwatch, 1 conversation": lambda: dingwatch(count, 1),
        "dingwatch, 3 conversations": lambda: dingwatch(count, 3),
    }
    runs: dict[str, list[Run]] = {name: [] for name in contenders}
    for _ in range(rounds):
        for name, contender in contenders.items():
            runs[name].append(contender())
    rates = {name: median(run.rate for run in done) for name, done in runs.items()}
    names = list(contenders)
    best_script, session = max(rates[names[0]], rates[names[1]]), rates[names[2]]
    show(
        f"Burst of {count} files of {SIZE} bytes, end to end (median of {rounds})",
        [
            ("contender", "files/s", "CPU ms/file", "× better script", "× requests.Session"),
            *(
                (
                    name,
                    f"{rates[name]:.0f}",
                    f"{median(run.cpu_ms for run in runs[name]):.1f}",
                    f"{rates[name] / best_script:.1f}",
                    f"{rates[name] / session:.2f}",
                )
                for name in names
            ),
        ],
    )
