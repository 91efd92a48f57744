"""What can happen to nodes, their database and the way between them; each fault as a function on a rig."""

from __future__ import annotations

import os
import signal
import threading
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from typing import Final

from tests.crash.account import Account
from tests.nodes.proxy import Cut
from tests.nodes.rig import Node, Options, Rig

Act = Callable[[Rig], Account]
COMMITS: Final = 12
"""COMMITs that are cut in one round."""


@dataclass(frozen=True)
class Fault:
    """A fault, and what it takes."""

    title: str
    act: Act
    options: Options = field(default_factory=Options)


# --- Waiting --------------------------------------------------------------------------------------


def pass_time(seconds: float) -> None:
    """Let a fault last."""
    threading.Event().wait(seconds)


def wait_for_messages(rig: Rig, more: int) -> None:
    """Wait until DingTalk has so many more messages."""
    wanted = rig.messages() + more
    rig.until(lambda: rig.messages() >= wanted, f"{more} more messages")


def wait_for_takeover(rig: Rig, node: Node) -> None:
    """Wait until nothing is in the hands of a node any more, because its lease is over."""
    lost = f"SELECT lease_until < extract(epoch FROM clock_timestamp()) FROM nodes WHERE name = '{node.name}'"  # noqa: S608
    rig.until(lambda: rig.query(lost) == [(True,)], f"the lease of {node.name} is over")
    rig.until(lambda: rig.in_hand(node) == 0, f"others free what {node.name} had in hand")


def wait_for_sending(rig: Rig, node: Node) -> None:
    """Wait until a message of a node is under way: DingTalk has it, and its answer is to come."""
    sending = f"SELECT count(*) FROM deliveries WHERE state = 'sending' AND node = '{node.name}'"  # noqa: S608
    rig.until(lambda: rig.query(sending) not in ([], [(0,)]), f"{node.name} sends")


# --- Nodes ----------------------------------------------------------------------------------------


def kill(rig: Rig) -> Account:
    """Kill a node with messages under way; the other takes over; it comes back."""
    rig.begin()
    victim, other = rig.nodes
    rig.slow_answers(0.5)
    with rig.busy():
        wait_for_messages(rig, 8)
        wait_for_sending(rig, victim)
        victim.kill()
        wait_for_takeover(rig, victim)
        watched = rig.drop(other)
        rig.until(lambda: rig.arrived(watched), "the other node goes on")
    victim.start()
    return rig.finish()


def freeze(rig: Rig) -> Account:
    """Freeze a node past its lease with messages under way, and wake it."""
    rig.begin()
    victim, other = rig.nodes
    rig.slow_answers(0.5)
    with rig.busy():
        wait_for_messages(rig, 8)
        wait_for_sending(rig, victim)
        victim.freeze()
        wait_for_takeover(rig, victim)
        watched = rig.drop(other)
        rig.until(lambda: rig.arrived(watched), "the other node goes on")
        victim.wake()
        wait_for_messages(rig, 8)
    return rig.finish()


def kill_in_share(rig: Rig) -> Account:
    """Kill one of two nodes that have the same folder: the other delivers all of it meanwhile."""
    rig.begin()
    victim, _ = rig.nodes
    rig.slow_answers(0.5)
    with rig.busy():
        wait_for_messages(rig, 8)
        victim.kill()
        wait_for_takeover(rig, victim)
        watched = rig.drop(victim)
        rig.until(lambda: rig.arrived(watched), "the other node delivers what lies there")
    victim.start()
    return rig.finish()


def cut_off_from_database(rig: Rig) -> Account:
    """Pull a node's cable to the database until its lease is over, and put it back."""
    rig.begin()
    victim, other = rig.nodes
    rig.slow_answers(0.5)
    with rig.busy():
        wait_for_messages(rig, 8)
        victim.host.cut("database")
        wait_for_takeover(rig, victim)
        watched = rig.drop(other)
        rig.until(lambda: rig.arrived(watched), "the other node goes on")
        victim.host.mend("database")
        wait_for_messages(rig, 8)
    return rig.finish()


def cut_off_from_dingtalk(rig: Rig) -> Account:
    """Pull a node's cable to DingTalk for a while: the other one goes on."""
    rig.begin()
    victim, other = rig.nodes
    with rig.busy():
        wait_for_messages(rig, 8)
        victim.host.cut("outside")
        for _ in range(3):
            watched = rig.drop(other)
            rig.until(lambda: rig.arrived(watched), "the other node goes on")  # noqa: B023 (waited for at once)
            pass_time(2.0)
        victim.host.mend("outside")
        wait_for_messages(rig, 8)
    return rig.finish()


def cut_off_from_all(rig: Rig) -> Account:
    """Pull both cables of a node until its lease is over."""
    rig.begin()
    victim, other = rig.nodes
    with rig.busy():
        wait_for_messages(rig, 8)
        victim.host.cut("database")
        victim.host.cut("outside")
        wait_for_takeover(rig, victim)
        watched = rig.drop(other)
        rig.until(lambda: rig.arrived(watched), "the other node goes on")
        victim.host.mend("database")
        victim.host.mend("outside")
        wait_for_messages(rig, 8)
    return rig.finish()


def wrong_clock(rig: Rig) -> Account:
    """Let the clocks of two nodes be minutes off, in both directions, and jump while they work."""
    ahead, behind = rig.nodes
    ahead.clock.write_text("+10m\n")
    behind.clock.write_text("-10m\n")
    rig.begin()
    with rig.busy():
        wait_for_messages(rig, 8)
        ahead.clock.write_text("-5m\n")
        wait_for_messages(rig, 8)
        behind.clock.write_text("+7m\n")
        wait_for_messages(rig, 8)
    return rig.finish()


# --- The database ---------------------------------------------------------------------------------


def restart(rig: Rig) -> Account:
    """Restart PostgreSQL, as an admin does, and after a crash."""
    rig.begin()
    rig.slow_answers(0.2)
    with rig.busy():
        for number in (signal.SIGINT, signal.SIGQUIT):
            wait_for_messages(rig, 8)
            rig.primary.stop(number)
            pass_time(3.0)
            rig.primary.start()
        wait_for_messages(rig, 8)
    return rig.finish()


def terminate(rig: Rig) -> Account:
    """End all connections of nodes again and again."""
    rig.begin()
    rig.slow_answers(0.2)
    with rig.busy():
        for _ in range(5):
            wait_for_messages(rig, 4)
            rig.query("SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE usename = 'dingwatch'")
    return rig.finish()


def fail_over(rig: Rig) -> Account:
    """Crash the primary, and promote its synchronous standby."""
    assert rig.standby is not None
    rig.begin()
    rig.slow_answers(0.2)
    with rig.busy():
        wait_for_messages(rig, 8)
        rig.primary.stop(signal.SIGQUIT)
        pass_time(2.0)
        rig.standby.promote()
        wait_for_messages(rig, 8)
    return rig.finish()


def lose_standby(rig: Rig) -> Account:
    """Pull the cable of the synchronous standby: nothing can be committed until it is back."""
    assert rig.standby is not None
    rig.begin()
    with rig.busy():
        wait_for_messages(rig, 8)
        rig.standby.host.cut("database")
        pass_time(15.0)
        rig.standby.host.mend("database")
        wait_for_messages(rig, 8)
    return rig.finish()


def fill(rig: Rig) -> Account:
    """Fill the database's disk, and make room again; its server is started again if that ended it."""
    rig.begin()
    ballast = rig.primary.at / "ballast"
    with rig.busy():
        for _ in range(2):
            wait_for_messages(rig, 8)
            _fill_up(ballast)
            pass_time(5.0)
            ballast.unlink()
            if not rig.primary.answers():
                rig.primary.stop()
                rig.primary.start()
        wait_for_messages(rig, 8)
    return rig.finish()


def _fill_up(ballast: os.PathLike[str]) -> None:
    with open(ballast, "wb", buffering=0) as file:
        for size in (1 << 20, 1 << 12):
            try:
                while True:
                    file.write(b"x" * size)
            except OSError:
                continue


def slow(rig: Rig) -> Account:
    """Put 20 ms before each message to and from the database, then 100 ms."""
    assert rig.proxy is not None
    rig.begin()
    with rig.busy():
        for delay in (0.02, 0.1):
            rig.proxy.delay = delay
            wait_for_messages(rig, 4)
        rig.proxy.delay = 0.0
        wait_for_messages(rig, 4)
    return rig.finish()


def hang(rig: Rig) -> Account:
    """Stop all processes of the database past the lease, like a host whose disk hangs, and let them go on."""
    rig.begin()
    rig.slow_answers(0.2)
    with rig.busy():
        wait_for_messages(rig, 8)
        with _stopped(rig):
            pass_time(15.0)
        wait_for_messages(rig, 8)
    return rig.finish()


@contextmanager
def _stopped(rig: Rig) -> Iterator[None]:
    processes = rig.primary.processes()
    try:
        _signal(processes, signal.SIGSTOP)
        yield
    finally:
        _signal(processes, signal.SIGCONT)


def _signal(processes: Iterable[int], number: int) -> None:
    """Send a signal to processes; one of them may just have ended with its connection."""
    for one in processes:
        with suppress(ProcessLookupError):
            os.kill(one, number)


def cut_before_commit(rig: Rig) -> Account:
    """Cut connections when a COMMIT is on its way: the server never sees it."""
    return _cut_commits(rig, Cut("before", 1, 5))


def cut_after_commit(rig: Rig) -> Account:
    """Cut connections when the server has committed, and nobody hears of it."""
    return _cut_commits(rig, Cut("after", 1, 5))


def _cut_commits(rig: Rig, cut: Cut) -> Account:
    assert rig.proxy is not None
    rig.begin()
    rig.slow_answers(0.2)
    with rig.busy():
        rig.proxy.cut = cut
        rig.until(lambda: cut.made >= COMMITS, "COMMITs are cut")
        rig.proxy.cut = None
        wait_for_messages(rig, 8)
    return rig.finish()


FAULTS: Final[dict[str, Fault]] = {
    "kill": Fault("a node is killed", kill),
    "freeze": Fault("a node is frozen past its lease, and wakes", freeze),
    "database": Fault("a node is cut off from the database past its lease", cut_off_from_database),
    "dingtalk": Fault("a node is cut off from DingTalk", cut_off_from_dingtalk),
    "all": Fault("a node is cut off from both past its lease", cut_off_from_all),
    "clock": Fault("clocks are 10 min wrong in both directions, and jump", wrong_clock),
    "share": Fault("one of two nodes with one folder is killed", kill_in_share, Options(shared=True)),
    "restart": Fault("PostgreSQL is restarted, and crashes", restart),
    "terminate": Fault("connections are terminated 5 times", terminate),
    "failover": Fault("the synchronous standby is promoted", fail_over, Options(standby=True)),
    "standby": Fault("the synchronous standby is away for 15 s", lose_standby, Options(standby=True)),
    "full": Fault("the disk of PostgreSQL is full twice", fill, Options(disk="80M")),
    "slow": Fault("each message to and from PostgreSQL takes 20 ms, then 100 ms", slow, Options(proxy=True)),
    "hang": Fault("PostgreSQL hangs for 15 s", hang),
    "before-commit": Fault(
        f"{COMMITS} connections are cut before COMMIT", cut_before_commit, Options(proxy=True)
    ),
    "after-commit": Fault(
        f"{COMMITS} connections are cut after COMMIT", cut_after_commit, Options(proxy=True)
    ),
}
