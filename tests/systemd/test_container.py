"""The container image: its steps and its entrypoint, in a chroot instead of an engine."""

from __future__ import annotations

import os
import re
import shlex
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Final

import pytest

PROJECT: Final = Path(__file__).parents[2]
CONTAINERFILE: Final = PROJECT / "packaging" / "container" / "Containerfile"
PATH: Final = "/usr/local/bin:/usr/local/sbin:/usr/sbin:/usr/bin:/sbin:/bin"
OVERLAY: Final = """
cd "$1"
mount -t tmpfs tmpfs .
mkdir upper work root
mount -t overlay -o lowerdir=/,upperdir=upper,workdir=work overlay root
mkdir root/mnt/source
mount --bind "$2" root/mnt/source
mount -t proc proc root/proc
mount --rbind /dev root/dev
exec chroot root env -i PATH="$3" sh -eu -c "$4"
"""
"""Runs a script in a copy of this host's files that is thrown away."""
HOST: Final = """
sed -i /:1000:/d /etc/passwd /etc/group
rm -f /usr/local/bin/python && ln -s /usr/bin/python3 /usr/local/bin/python
"""
"""The base image has no user 1000, and a program `python`."""


def instructions() -> Iterator[tuple[str, str]]:
    """Yield the words and arguments of the Containerfile."""
    lines = re.sub(r"(?m)^#.*\n", "", CONTAINERFILE.read_text("utf-8")).replace("\\\n", "")
    for line in lines.splitlines():
        word, _, rest = line.partition(" ")
        if word:
            yield word, rest.strip()


def steps() -> Iterator[str]:
    """Yield what an engine would do, as shell commands; all stages have the same files."""
    for word, rest in instructions():
        match word:
            case "WORKDIR":
                yield f"mkdir -p {rest} && cd {rest}"
            case "COPY" if not rest.startswith("--from="):
                *options, target = shlex.split(rest)
                mode = [one.removeprefix("--chmod=") for one in options if one.startswith("--chmod=")]
                for source in (f"/mnt/source/{one}" for one in options if not one.startswith("--")):
                    copied = (
                        f"cp -rT {source} $PWD/{target}" if target[0] != "/" else f"cp -T {source} {target}"
                    )
                    yield copied if target != "./" else f"cp -r {source} ."
                yield from (f"chmod {one} {target}" for one in mode)
            case "RUN":
                yield rest
            case "ENV":
                yield f"export {rest}"
            case _:
                assert word in {"ARG", "FROM", "COPY", "LABEL", "VOLUME", "STOPSIGNAL", "HEALTHCHECK"} | {
                    *("ENTRYPOINT", "CMD")
                }


CHECKS: Final = r"""
cd /
export PUID=1234 PGID=2345 GROUPS_EXTRA=3456
echo "version: $(entrypoint.sh --version)"
echo "ids: $(entrypoint.sh sh -c 'id -u; id -G') $(stat -c %u:%g:%a /state)"
echo "rights: $(entrypoint.sh sh -c 'grep -E "^(CapEff|CapPrm|CapBnd|NoNewPrivs)" /proc/self/status')"
for id in 0 x 1x; do PUID=$id entrypoint.sh run 2>&1 || echo "refused: $id $?"; done
health.py || echo "before: $?"
mkdir -p /config /srv/finance
entrypoint.sh sandbox --port 0 >/tmp/page &
until grep -q conversation_id /tmp/page; do sleep 0.1; done
{
  sed -n '/^dingtalk:/,/^[^ d]/p' /tmp/page | grep -E '^(dingtalk| )'
  echo folders:
  echo "  - {path: /srv/finance, $(grep -m 1 ^conversation_id /tmp/page), settle: 200ms}"
} >/config/config.yaml
chown 1234 /config/config.yaml && chmod 600 /config/config.yaml
entrypoint.sh run >/tmp/ready 2>/tmp/log &
service=$!
for try in $(seq 300); do grep -q ^ready /tmp/ready && break; sleep 0.1; done
cat /tmp/log
echo hello >/srv/finance/hello.txt
for try in $(seq 300); do dingwatch history | grep -q "sent.*hello.txt" && break; sleep 0.1; done
echo "history: $(dingwatch history --json)"
for try in $(seq 300); do health.py 2>/dev/null && break; sleep 0.1; done
health.py && echo "during: $?"
kill $service
wait $service && echo "stopped: $?"
"""


@pytest.fixture(scope="module")
def printed(tmp_path_factory: pytest.TempPathFactory) -> str:
    """What the checks print after the image's steps."""
    apart = ("unshare", "--mount", "--propagation", "private", "--pid", "--fork", "--kill-child")
    script = "\n".join((HOST, *steps(), CHECKS))
    where = str(tmp_path_factory.mktemp("image"))
    done = subprocess.run(
        [*apart, "sh", "-euc", OVERLAY, "sh", where, str(PROJECT), PATH, script],
        capture_output=True,
        text=True,
        check=False,
        timeout=600,
        env={"PATH": PATH, "HOME": os.environ.get("HOME", "/root")},
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


def test_the_steps_make_a_program(printed: str) -> None:
    """What the Containerfile does leads to a program that starts."""
    assert "version: dingwatch, version " in printed


def test_it_runs_as_who_reads_the_shares(printed: str) -> None:
    """Dingwatch has the ids that were asked for, owns its state, and has no right beyond."""
    assert "ids: 1234\n2345 3456 1234:2345:700\n" in printed
    for name in ("CapEff", "CapPrm", "CapBnd"):
        assert re.search(rf"{name}:\s+0000000000000000\n", printed), printed
    assert re.search(r"NoNewPrivs:\s+1\n", printed)


def test_odd_ids_are_refused(printed: str) -> None:
    """Root and what is no number are refused, with a word about where the number is found."""
    for one in ("0", "x", "1x"):
        assert f"refused: {one} 78\n" in printed
    assert printed.count("id USER") == 3


def test_the_service_sends_and_is_healthy(printed: str) -> None:
    """The container is healthy while its service is, and the service ends when it is told to."""
    assert re.search(r'history: .*"path": ?"hello.txt".*"state": ?"sent"', printed), printed
    for line in ("before: 1", "during: 0", "stopped: 0"):
        assert f"{line}\n" in printed
