"""Record the ledger of a schema as SQL, for tests of later versions: `python -m tests.ledgers.record [TREE]`.

TREE is a checkout of dingwatch (this one). Its service runs in a folder with a sandbox, until its ledger has
`baseline.txt` (was there before), `sent.txt`, `skipped` (DingTalk refuses names without extension) and
`waiting.txt`, which came after the sandbox was gone. Each file contains its own name.
"""

from __future__ import annotations

import json
import os
import sqlite3
import subprocess
import sys
from contextlib import closing
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import IO, Final

from tests.support import eventually

ROOT: Final = b"/srv/share/recorded"
"""The root of the folder in recorded ledgers."""
HERE: Final = Path(__file__).parent


class Recorded:
    """A service of some version, in a directory of its own."""

    def __init__(self, tree: Path, directory: Path) -> None:
        """Name the tree that the service is run from, and an empty directory."""
        self._environ = {**os.environ, "PYTHONPATH": str(tree), "LC_ALL": "C.UTF-8"}
        self._directory = directory
        self.share = directory / "share"
        self._config = directory / "config.yaml"

    def launch(self, *words: str) -> tuple[subprocess.Popen[str], IO[str]]:
        """Start a command; return it and what it prints."""
        command = [sys.executable, "-m", "dingwatch", *words]
        log = (self._directory / f"{words[0]}.log").open("w")
        process = subprocess.Popen(
            command, env=self._environ, cwd=self._directory, stdout=subprocess.PIPE, stderr=log, text=True
        )
        assert process.stdout is not None
        return process, process.stdout

    def write_config(self, printed: IO[str]) -> None:
        """Write the config that a sandbox prints, with the folder mapped to its first conversation."""
        dingtalk: list[str] = []
        for line in printed:
            if line.startswith("dingtalk:") or (dingtalk and line.startswith(" ")):
                dingtalk.append(line)
            if line.startswith("conversation_id:"):
                break
        folder = f"  - {{path: {self.share}, {line.strip()!r}, settle: 200ms, unsupported: skip}}\n"
        more = [f"state_dir: {self._directory / 'state'}\n", "folders:\n", folder.replace("'", "")]
        self._config.write_text("".join(dingtalk + more), "utf-8")
        self._config.chmod(0o600)

    def start(self) -> subprocess.Popen[str]:
        """Start the service, and wait until it is ready."""
        process, printed = self.launch("run", "-c", str(self._config))
        assert any(line.startswith("ready") for line in printed)
        return process

    def drop(self, name: str) -> None:
        """Put a file into the folder."""
        (self.share / name).write_text(name, "ascii")

    def states(self) -> dict[str, str]:
        """Return the state of each file that was noticed."""
        process, printed = self.launch("history", "--json", "-c", str(self._config))
        rows = [json.loads(line) for line in printed]
        assert process.wait() == 0
        return {row["path"]: row["state"] for row in rows}

    def dump(self) -> tuple[int, str]:
        """Return the number of the ledger's schema, and the ledger as SQL."""
        with closing(sqlite3.connect(self._directory / "state" / "ledger.db")) as ledger:
            (schema,) = ledger.execute("SELECT value FROM numbers WHERE name = 'schema'").fetchone()
            lines = "\n".join(ledger.iterdump()) + "\n"
        recorded = os.fsencode(self.share.resolve())
        return schema, lines.replace(recorded.hex().upper(), ROOT.hex().upper())


def record(tree: Path, directory: Path) -> tuple[int, str]:
    """Return the number of a tree's schema, and a ledger of it as SQL."""
    made = Recorded(tree, directory)
    made.share.mkdir()
    made.drop("baseline.txt")
    sandbox, printed = made.launch("sandbox", "--port", "0")
    try:
        made.write_config(printed)
        service = made.start()
        try:
            made.drop("sent.txt")
            made.drop("skipped")
            eventually(lambda: made.states() == {"sent.txt": "sent", "skipped": "skipped"})
            sandbox.kill()
            sandbox.wait()
            made.drop("waiting.txt")
            eventually(lambda: made.states().get("waiting.txt") in {"pending", "uploading"})
        finally:
            service.terminate()
            service.wait()
    finally:
        sandbox.kill()
        sandbox.wait()
    return made.dump()


def main() -> None:
    """Write the file of a tree's schema."""
    tree = Path(sys.argv[1] if len(sys.argv) > 1 else HERE.parents[1]).resolve()
    with TemporaryDirectory() as directory:
        schema, lines = record(tree, Path(directory))
    target = HERE / f"schema-{schema}.sql"
    target.write_text(lines, "utf-8")
    print(target)  # noqa: T201 (a command's answer)


if __name__ == "__main__":
    main()
