"""Several nodes on one ledger keep to the limits of one app: pace, pauses and their probes, quota."""

from __future__ import annotations

from bisect import bisect_left
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import replace

import psycopg
import pytest
from sqlalchemy import Connection, text, update

from dingwatch.delivery import Job, Send, SendDone, Settings, Upload, UploadDone
from dingwatch.delivery.jobs import Done, FetchToken, Outcome
from dingwatch.delivery.limits import message_target
from dingwatch.delivery.state import ENTRY_SECONDS
from dingwatch.dingtalk import API_UPLOAD
from dingwatch.ledger import calls, commands, pauses
from dingwatch.ledger.folder_pauses import pause_folder, resume_folder
from dingwatch.ledger.folders import bind, discard_flood, release_flood
from dingwatch.ledger.nodes import set_draining
from dingwatch.ledger.report import scope
from dingwatch.ledger.schema import HELD, deliveries
from dingwatch.model import (
    Cause,
    FolderDown,
    FolderPause,
    Misconfigured,
    NotReached,
    Pause,
    QuotaExhausted,
    Rejected,
    Scope,
    Throttled,
    TypeRefused,
)
from dingwatch.pace import Limit
from dingwatch.texts import Calls
from tests.several import APP, Days, Node, World, world

CAUSE = Cause("code", "message", "UNKNOWN_CODE")
TWENTY = Limit(20, 1.0, spaced=True)
PACED = Settings(APP, workers=4, per_api=TWENTY)


@pytest.fixture
def hosts(postgres_url: str) -> Iterator[World]:
    """A ledger without nodes."""
    with world(postgres_url) as made:
        yield made


def three(hosts: World, settings: Settings) -> list[Node]:
    """Add three nodes, each with a recipient of its own."""
    return [hosts.add(name, f"cid{name}", settings=settings) for name in "abc"]


def success(_node: Node, job: Job) -> UploadDone | SendDone | Done:
    """Answer that a job has worked."""
    if isinstance(job, Upload):
        return UploadDone(f"@{job.source.id}")
    return SendDone("key") if isinstance(job, Send) else Done()


def only(jobs: list[Job]) -> Job:
    """Return the only job."""
    (job,) = jobs
    return job


def upload(node: Node) -> Job:
    """Let a node's only upload succeed; return the message that follows."""
    job = only(node.tick())
    return only(node.tick(Outcome(job, success(node, job))))


def fullest(times: list[float], period: float) -> int:
    """Return the most of these instants that lie within a period."""
    times = sorted(times)
    return max(bisect_left(times, at + period) - number for number, at in enumerate(times))


# --- Pace ----------------------------------------------------------------------------------------


def test_three_nodes_share_one_pace(hosts: World) -> None:
    """Together they use all of the allowed rate but 3 %, and no window holds more than one node may send."""
    for node in three(hosts, PACED):
        for _ in range(30):
            node.drop()
    began = hosts.now
    days = Days(hosts, seconds=0.05)
    days.run(began + 4.0, success)
    uploads = [at for at, _, job in days.log if isinstance(job, Upload)]
    assert fullest(uploads, 1.0) <= 20
    assert len(uploads) / 20.0 / (max(uploads) - began) >= 0.97
    by_node = Counter(node.name for _, node, job in days.log if isinstance(job, Upload))
    assert min(by_node.values()) >= 0.9 * len(uploads) / 3, by_node


def test_requests_of_nodes_leave_evenly(hosts: World) -> None:
    """A request leaves some time after its slot, however late the node came to it; the first at once."""
    nodes = three(hosts, replace(PACED, workers=8))
    departures, slot = [], hosts.now
    for number in range(18):
        node = nodes[number % 3]
        node.drop()
        hosts.now = slot + number % 2 * 0.04
        plan = node.plan()
        departures.append(plan.departures.get(id(only(plan.jobs)), hosts.now) - hosts.now)
        slot += 1.028 / 20
    assert departures == [0.0] * 11 + [pytest.approx(ENTRY_SECONDS - n % 2 * 0.04) for n in range(11, 18)]


def test_a_slot_is_taken_for_all(hosts: World) -> None:
    """A node that has known nothing of another's call waits for the time that this leaves."""
    one, other, _ = three(hosts, PACED)
    one.drop()
    other.drop()
    assert isinstance(only(one.tick()), Upload)
    plan = other.plan()
    assert plan.jobs == []
    assert plan.next_at == pytest.approx(hosts.now + 1.028 / 20)


def test_a_restart_knows_the_slots_of_all(hosts: World) -> None:
    """A process that begins finds in the ledger what the others have just used."""
    one, other, _ = three(hosts, PACED)
    one.drop()
    other.drop()
    one.tick()
    other.restart()
    assert other.tick() == []


def test_an_alert_takes_a_slot_of_all(hosts: World) -> None:
    """A message that is no delivery counts, too."""
    one, other, _ = three(hosts, PACED)
    target = message_target("cidx")
    assert one.loop.reserve(target, hosts.now).at <= hosts.now
    assert other.loop.reserve(target, hosts.now).at > hosts.now


def test_what_one_learns_slows_down_all(hosts: World) -> None:
    """DingTalk lets four of twenty through and refuses one node; another then goes as slowly."""
    one, other, _ = three(hosts, PACED)
    for node in (one, other):
        for _ in range(10):
            node.drop()
    jobs = []
    for number in range(5):
        jobs += (one if number % 2 else other).tick()
        hosts.now += 0.06
    refused = next(job for job in jobs if isinstance(job, Upload) and job.source.folder == one.mark.id)
    one.tick(Outcome(refused, Throttled(CAUSE, Scope.API, 1.0)))
    other.tick()
    rate = other.loop._state.rates.rates[Scope.API, API_UPLOAD]
    assert rate.lesson.slowdown == pytest.approx(20 / 4)


def test_old_slots_are_forgotten(hosts: World) -> None:
    """The ledger keeps those that a window may still reach."""
    one = hosts.add("a", "cida", settings=PACED)
    for _ in range(3):
        one.drop()
        job = only(one.tick())
        hosts.now += 200.0
        one.tick(Outcome(job, UploadDone("@m")))
        hosts.now += 200.0
    with one.store.reading() as connection:
        assert connection.execute(text("SELECT min(at) > :at FROM slots"), {"at": hosts.now - 600.0}).scalar()


# --- Pauses --------------------------------------------------------------------------------------


def test_a_pause_of_one_stops_all(hosts: World) -> None:
    """DingTalk has said "wait 30 s" to one node."""
    one, other, _ = three(hosts, Settings(APP))
    one.drop()
    other.drop()
    job = only(one.tick())
    one.tick(Outcome(job, Throttled(CAUSE, Scope.API, 30.0)))
    plan = other.plan()
    assert (plan.jobs, plan.next_at) == ([], hosts.now + 30.0)


def test_the_quotas_pause_stops_all(hosts: World) -> None:
    """The month's calls are used up for the whole app."""
    one, other, _ = three(hosts, Settings(APP))
    one.drop()
    other.drop()
    one.tick(Outcome(only(one.tick()), QuotaExhausted(CAUSE, Scope.APP)))
    assert other.tick() == []


def test_one_node_probes_for_all(hosts: World) -> None:
    """After its end one job goes in all; its success frees everybody."""
    one, other, third = three(hosts, Settings(APP))
    for node in (one, other, third):
        node.drop()
    job = only(one.tick())
    one.tick(Outcome(job, Misconfigured(CAUSE, Scope.API)))
    hosts.now += 61.0
    probe = only(other.tick())
    assert (one.tick(), third.tick()) == ([], [])
    other.tick(Outcome(probe, UploadDone("@m")))
    assert isinstance(only(third.tick()), Upload)


def test_a_probe_that_told_nothing_is_anothers(hosts: World) -> None:
    """The file itself was refused: the cause of the pause may be over or not, so the next one may try."""
    one, other, third = three(hosts, Settings(APP))
    for node in (one, other, third):
        node.drop()
    one.tick(Outcome(only(one.tick()), Misconfigured(CAUSE, Scope.API)))
    hosts.now += 61.0
    probe = only(other.tick())
    assert third.tick() == []
    other.tick(Outcome(probe, Rejected(CAUSE)))
    assert isinstance(only(third.tick()), Upload)


def test_the_probe_of_a_lost_node_is_anothers_in_a_minute(hosts: World) -> None:
    """The node with the probe never comes back."""
    one, other, _ = three(hosts, Settings(APP))
    one.drop()
    other.drop()
    one.tick(Outcome(only(one.tick()), Misconfigured(CAUSE, Scope.API)))
    hosts.now += 61.0
    assert isinstance(only(one.tick()), Upload)
    plan = other.plan()
    assert (plan.jobs, plan.next_at) == ([], hosts.now + 60.0)
    hosts.now += 60.0
    assert isinstance(only(other.tick()), Upload)


def test_a_slow_probe_stays_the_only_one(hosts: World) -> None:
    """As long as its job is out, its node renews the reservation."""
    one, other, _ = three(hosts, Settings(APP))
    one.drop()
    other.drop()
    one.tick(Outcome(only(one.tick()), Misconfigured(CAUSE, Scope.API)))
    hosts.now += 61.0
    plan = one.plan()
    assert len(plan.jobs) == 1
    for _ in range(4):
        assert plan.next_at == pytest.approx(hosts.now + 30.0)
        hosts.now += 30.0
        plan = one.plan()
        assert other.tick() == []


@pytest.mark.parametrize(
    "verdict",
    [
        NotReached(CAUSE, Scope.APP),
        FolderDown(CAUSE, Scope.FOLDER),
        Misconfigured(Cause("60020", "", "IP_LIST"), Scope.APP),
    ],
    ids=["network", "mount", "address"],
)
def test_a_nodes_own_trouble_stops_no_other(
    hosts: World, verdict: NotReached | FolderDown | Misconfigured
) -> None:
    """Its network is cut, its mount hangs, or its address is not on DingTalk's list."""
    one, other, _ = three(hosts, Settings(APP))
    one.drop()
    other.drop()
    one.tick(Outcome(only(one.tick()), verdict))
    assert one.tick() == []
    assert isinstance(only(other.tick()), Upload)
    with other.store.reading() as connection:
        assert pauses.list_pauses(connection) == []


def test_a_refused_secret_is_a_nodes_own(hosts: World) -> None:
    """The file with the secret is an old one on this host."""
    one, other, _ = three(hosts, Settings(APP))
    one.loop._state.token_fresh = lambda _: False
    one.drop()
    other.drop()
    token = next(job for job in one.tick() if isinstance(job, FetchToken))
    one.tick(Outcome(token, Misconfigured(CAUSE, Scope.APP)))
    assert one.tick() == []
    assert isinstance(only(other.tick()), Upload)


def test_a_paused_recipient_blocks_nobody(hosts: World) -> None:
    """One node has a backlog for a group without the robot; another node's files go on."""
    one, other, _ = three(hosts, Settings(APP))
    one.drop()
    send = upload(one)
    for _ in range(50):
        one.drop()
    one.tick(Outcome(send, Misconfigured(CAUSE, Scope.CONVERSATION)))
    other.drop()
    sent = upload(other)
    assert isinstance(sent, Send)
    assert sent.recipients == ("cidb",)


def test_a_refused_extension_is_known_to_all(hosts: World) -> None:
    """The next such file goes out zipped, on whichever node it is."""
    one, other, _ = three(hosts, Settings(APP))
    one.drop()
    one.tick(Outcome(only(one.tick()), TypeRefused(CAUSE)))
    other.drop()
    job = only(other.tick()[:1] or other.tick()[:1])
    assert isinstance(job, Upload)
    assert job.payload.form == "zip"


# --- Quota ---------------------------------------------------------------------------------------


def test_the_quota_is_counted_once(hosts: World) -> None:
    """The calls of all nodes are summed up, and the one that crosses a mark tells of it, alone."""
    nodes = three(hosts, Settings(APP, monthly_calls=100))
    for number in range(81):
        nodes[number % 3].loop.count(API_UPLOAD)
        hosts.now += 2.0
        nodes[number % 3].tick()
    for node in nodes:
        hosts.now += 2.0
        node.tick()
    said = [node.heard.count(one) for node in nodes for one in (Calls.LAST, Calls.RUN_OUT, Calls.USED_UP)]
    assert sum(said) == 1
    with nodes[0].store.reading() as connection:
        assert calls.total(connection, "1970-01", {API_UPLOAD}) == 81


# --- Wake-ups ------------------------------------------------------------------------------------


class Listener:
    """Hears what nodes notify each other of."""

    def __init__(self, hosts: World) -> None:
        parts = hosts.nodes[0].store.url
        self._connection = psycopg.connect(
            host=str(parts.query["host"]), dbname=parts.database, user=parts.username, autocommit=True
        )
        self._connection.execute("LISTEN dingwatch")

    def take(self) -> list[str]:
        """Return who has notified since."""
        self._connection.execute("SELECT 1")
        return [one.payload for one in self._connection.notifies(timeout=0)]

    def close(self) -> None:
        """Hear no more."""
        self._connection.close()


@pytest.fixture
def listener(hosts: World) -> Iterator[Listener]:
    """A listener, and three nodes to listen to."""
    three(hosts, Settings(APP))
    made = Listener(hosts)
    yield made
    made.close()


def test_a_free_recipient_wakes_who_has_files_for_it(hosts: World, listener: Listener) -> None:
    """Two nodes have files for one recipient, and each learns at once that the other's is done."""
    one, other = hosts.add("d", "cidx"), hosts.add("e", "cidx", by_any_node=False)
    one.drop()
    send = upload(one)
    other.drop()
    assert other.tick(Outcome(only(other.tick()), UploadDone("@n"))) == []
    listener.take()
    assert one.tick(Outcome(send, SendDone("key"))) == []
    assert listener.take() == ["d"]
    assert isinstance(only(other.tick()), Send)


def test_an_upload_wakes_who_waits_for_its_content(hosts: World, listener: Listener) -> None:
    """The same file lies on two nodes, and is uploaded once."""
    one, other, _ = hosts.nodes
    one.drop(content="same")
    job = only(one.tick())
    other.drop(content="same")
    assert other.tick() == []
    listener.take()
    one.tick(Outcome(job, UploadDone("@m")))
    assert listener.take() == ["a"]
    assert isinstance(only([*other.tick(), *other.tick()]), Send)


def test_an_ended_pause_wakes_all(hosts: World, listener: Listener) -> None:
    """Others wait for the probe of one."""
    one = hosts.nodes[0]
    one.drop()
    one.tick(Outcome(only(one.tick()), Misconfigured(CAUSE, Scope.API)))
    hosts.now += 61.0
    probe = only(one.tick())
    listener.take()
    one.tick(Outcome(probe, UploadDone("@m")))
    assert listener.take() == ["a"]


def test_idle_nodes_stay_idle(hosts: World, listener: Listener) -> None:
    """Whoever is woken for nothing wakes nobody, and neither does a file that concerns one node alone."""
    one = hosts.nodes[0]
    one.drop()
    send = upload(one)
    one.tick(Outcome(send, SendDone("key")))
    for _ in range(3):
        for node in hosts.nodes:
            node.tick()
    assert listener.take() == []


def test_what_a_person_decides_wakes_all_nodes(hosts: World, listener: Listener) -> None:
    """On whatever host the command runs, there may be something to do for another."""
    one = hosts.nodes[0]
    pause = Pause(Scope.APP, "", 2.0 * hosts.now, CAUSE, 1, hosts.now)
    by_hand = FolderPause(one.mark.id, hosts.now, None, "boss", "")

    def put(state: str) -> int:
        (row,) = one.drop()
        with one.store.writing() as connection:
            changed = update(deliveries).where(deliveries.c.id == row).values(state=state)
            connection.execute(changed.values(due=HELD if state == "pending" else hosts.now))
        return row

    def within(do: Callable[[Connection], object]) -> Callable[[], None]:
        def run() -> None:
            with one.store.writing() as connection:
                do(connection)

        return run

    failed, held, doubtful = put("failed"), put("pending"), [put("uncertain"), put("uncertain")]
    decisions: dict[str, Callable[[], object]] = {
        "retry": lambda: commands.retry(one.store, [failed], [], hosts.now),
        "retry --all": lambda: commands.retry_all(one.store, hosts.now),
        "resolve --sent": lambda: commands.resolve(one.store, doubtful[0], sent=True, now=hosts.now),
        "resolve --resend": lambda: commands.resolve(one.store, doubtful[1], sent=False, now=hosts.now),
        "release": lambda: release_flood(one.store, one.mark.id, hosts.now),
        "discard": lambda: discard_flood(one.store, one.mark.id, hosts.now),
        "pause": lambda: pause_folder(one.store, b"/a", "a", [one.mark.id], by_hand),
        "resume FOLDER": within(lambda connection: resume_folder(connection, [one.mark.id])),
        "resume": within(pauses.resume_pauses),
        "try": within(lambda connection: pauses.probe_some(connection, [pause])),
        "end": within(lambda connection: pauses.resume_some(connection, [pause])),
        "undrain": lambda: set_draining(one.store, "b", draining=False),
    }
    listener.take()
    for name, decide in decisions.items():
        decide()
        assert set(listener.take()) == {""}, name
    assert hosts.state(held) == "pending"


# --- Who sends what ------------------------------------------------------------------------------


def uploaded(node: Node) -> None:
    """Let a node's only upload succeed, and nothing be claimed after it."""
    job = only(node.tick())
    node.loop.tick(node.world.now, [Outcome(job, UploadDone("@m"))], claim=False)


def test_any_node_sends_what_is_uploaded(hosts: World) -> None:
    """Another node has workers to spare, or the one that has uploaded is lost."""
    one, other, _ = three(hosts, Settings(APP))
    (row,) = one.drop()
    uploaded(one)
    send = only(other.tick())
    assert isinstance(send, Send)
    other.tick(Outcome(send, SendDone("key")))
    assert hosts.state(row) == "sent"


def test_what_needs_its_folder_is_sent_from_there(hosts: World) -> None:
    """A caption comes before the file, of which no other node knows."""
    one = hosts.add("a", "cida", by_any_node=False)
    other = hosts.add("b", "cidb")
    one.drop()
    uploaded(one)
    assert other.tick() == []
    assert isinstance(only(one.tick()), Send)


def test_what_send_was_given_is_uploaded_where_it_lies(hosts: World) -> None:
    """Once uploaded, it may go from anywhere."""
    one, other, _ = three(hosts, Settings(APP))
    one.drop("cidx", watched=False)
    assert other.tick() == []
    uploaded(one)
    assert isinstance(only(other.tick()), Send)


def test_an_earlier_file_of_another_node_goes_first(hosts: World) -> None:
    """Only that node can send it, and it has some seconds to do so."""
    one = hosts.add("a", "cidx")
    other = hosts.add("b", "cidx", by_any_node=False)
    other.drop()
    uploaded(other)
    one.drop()
    uploaded(one)
    plan = one.plan()
    assert (plan.jobs, plan.next_at) == ([], hosts.now + 5.0)
    first = only(other.tick())
    assert isinstance(first, Send)
    assert one.tick() == []
    second = only(other.tick(Outcome(first, SendDone("key"))))
    assert isinstance(second, Send)
    assert second.row.path.startswith(b"a")
    assert one.tick() == [], "one message at a time goes to a recipient, over all nodes"


def test_an_earlier_file_of_another_node_holds_nobody_for_long(hosts: World) -> None:
    """That node may be unable to send it, for a reason of its own."""
    one = hosts.add("a", "cidx")
    other = hosts.add("b", "cidx", by_any_node=False)
    other.drop()
    uploaded(other)
    one.drop()
    uploaded(one)
    assert one.tick() == []
    hosts.now += 5.0
    assert isinstance(only(one.tick()), Send)


def test_a_lost_node_holds_nobody(hosts: World) -> None:
    """Its uploaded files wait for it; those of others go on at once."""
    one = hosts.add("a", "cidx")
    other = hosts.add("b", "cidx", by_any_node=False)
    other.drop()
    uploaded(other)
    one.drop()
    uploaded(one)
    hosts.lose(other)
    assert isinstance(only(one.tick()), Send)


def test_a_later_file_waits_for_an_earlier_upload_of_another_node(hosts: World) -> None:
    """As it does on one host: five seconds at most."""
    one, other = hosts.add("a", "cidx"), hosts.add("b", "cidx")
    other.drop()
    slow = only(other.tick())
    one.drop()
    uploaded(one)
    assert one.tick() == []
    other.loop.tick(hosts.now, [Outcome(slow, UploadDone("@n"))], claim=False)
    first = only(one.tick())
    assert isinstance(first, Send)
    assert first.row.path.startswith(b"b")


def test_the_configuration_of_one_node_leaves_others_alone(hosts: World) -> None:
    """A node that starts binds its own folders, and unmaps nobody's."""
    one, other = hosts.add("a", "cida"), hosts.add("b", "cidb")
    one.drop()
    with other.store.writing() as connection:
        bind(connection, [])
    assert isinstance(only(one.tick()), Upload)
    with one.store.reading() as connection:
        pairs = scope(connection, [one.mapped]).pairs
    assert pairs == {(one.mark.id, "cida")}
    with one.store.writing() as connection:
        bind(connection, [])
        bind(connection, [one.mapped])
    with other.store.reading() as connection:
        assert scope(connection, []).maps(one.mark.id, "cida")


def test_a_node_uploads_nothing_of_a_share_that_it_cannot_watch(hosts: World) -> None:
    """Another node has the share mounted; what is uploaded goes from either."""
    one, other = (hosts.add(name, "cidx", shared="office") for name in "ab")
    down = [one.mark.id]
    one.loop.list_shares_down = lambda: down
    one.drop()
    assert one.tick() == []
    uploaded(other)
    assert isinstance(only(one.tick()), Send)
    one.drop()
    down.clear()
    assert isinstance(only(one.tick()), Upload)
