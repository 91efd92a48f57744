"""How long commands take that do next to nothing, beside a Python that does nothing at all."""

from __future__ import annotations

import os
import subprocess
import tempfile
from collections.abc import Callable
from pathlib import Path
from statistics import median
from typing import Final

from tests.bench.benchmark import Benchmark, Measure, Rounds, Scale
from tests.bench.code import Code
from tests.bench.process import elapsed
from tests.bench.world import Share, configure, daemon
from tests.bench.world import far as other_end

COMPLETION: Final = {
    "_DINGWATCH_COMPLETE": "bash_complete",
    "COMP_WORDS": "dingwatch st",
    "COMP_CWORD": "1",
}
"""What bash sets when somebody types `dingwatch st` and presses Tab."""
_PASS: Final = Measure("python -c pass: ms", 0)
_GOALS: Final = {"--version": 8, "completion": 8, "status": 22}


def _require_completion(code: Code) -> None:
    """Fail if nothing is completed: an error would be quick."""
    done = subprocess.run(
        code.dingwatch(),
        cwd=code.tree,
        env={**os.environ, **COMPLETION},
        stdout=subprocess.PIPE,
        text=True,
        check=True,
    )
    if "status" not in done.stdout:
        raise RuntimeError("`dingwatch st` is not completed")


def rounds(code: Code, scale: Scale) -> Rounds:
    """Run the commands in turn, several times in every round; `status` asks a service with one folder."""
    _require_completion(code)
    with other_end() as other, tempfile.TemporaryDirectory() as made:
        share = Path(made) / "share"
        share.mkdir()
        config = configure(Path(made), other.url, [Share(share)])
        commands: dict[str, Callable[[], float]] = {
            "--version": lambda: elapsed(code.dingwatch("--version"), code.tree),
            "completion": lambda: elapsed(code.dingwatch(), code.tree, COMPLETION),
            "status": lambda: elapsed(code.dingwatch("status", "-c", str(config)), code.tree),
        }
        while True:
            nothing: list[float] = []
            took: dict[str, list[float]] = {name: [] for name in commands}
            with daemon(code, config):
                for _ in range(scale.pick(3, 15)):
                    nothing.append(elapsed([code.python, "-c", "pass"], code.tree))
                    for name, command in commands.items():
                        took[name].append(command())
            figures = {_PASS: median(nothing) * 1000}
            for name, seconds in took.items():
                figures[Measure(f"{name}: ms", 0)] = median(seconds) * 1000
            for name, seconds in took.items():
                goal = Measure(f"{name} ÷ python -c pass", 1, most=_GOALS[name])
                figures[goal] = median(seconds) / median(nothing)
            yield figures


BENCHMARK: Final = Benchmark(lambda _: "Start of the command line (a fresh process each time)", rounds)
