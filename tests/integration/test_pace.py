import os
from pathlib import Path

from dingwatch.config.values import Pace
from dingwatch.pace import Limit
from dingwatch.sandbox import Sandbox
from tests.ledger import execute
from tests.support import config, eventually, folder, names, running, sent


def test_a_refusal_teaches_what_is_let_through(tmp_path: Path, share: Path, sandbox: Sandbox) -> None:
    """Twenty calls a second are configured and one is allowed: that is learnt, and all files arrive."""
    sandbox.limit(qps=1)
    setting = config(
        tmp_path / "state",
        sandbox,
        folder(share, sandbox.conversations[0].id),
        pace=Pace(per_api=Limit(20, 1.0, spaced=True), per_conversation=None),
    )
    wanted = [f"{number}.pdf" for number in range(5)]
    with running(setting):
        for name in wanted:
            (share / name).write_bytes(os.urandom(64))
        eventually(sent(sandbox, len(wanted)))
    assert sorted(names(sandbox)) == wanted
    ((slowdown,),) = execute(setting, "SELECT slowdown FROM paces WHERE key = 'media/upload'")
    assert slowdown >= 20 / 4  # the four workers had no more than five calls in that second
