import os
from pathlib import Path

from dingwatch.config.values import Pace
from dingwatch.pace import Limit
from dingwatch.sandbox import Sandbox
from tests.support import config, eventually, folder, names, running, sent


def test_a_lower_limit_than_configured_costs_few_calls(tmp_path: Path, share: Path, sandbox: Sandbox) -> None:
    """Twenty calls a second are configured and three allowed: what was let through is learnt, and kept to."""
    sandbox.limit(qps=3)
    setting = config(
        tmp_path / "state",
        sandbox,
        folder(share, sandbox.conversations[0].id),
        pace=Pace(per_api=Limit(20, 1.0, spaced=True), per_conversation=None),
    )
    wanted = [f"{number:02}.pdf" for number in range(16)]
    with running(setting):
        for name in wanted:
            (share / name).write_bytes(os.urandom(64))
        eventually(sent(sandbox, len(wanted)))
    assert sorted(names(sandbox)) == wanted
    refused = sandbox.calls()["media/upload"] - sandbox.granted()["media/upload"]
    assert refused <= 3  # those under way together, and one too many after the first pause
