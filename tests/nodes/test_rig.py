"""The rig itself: a cable that is pulled, a COMMIT that is cut, a standby that has all."""

from __future__ import annotations

import signal
from collections.abc import Iterator
from contextlib import ExitStack
from dataclasses import dataclass

import psycopg
import pytest

from tests.nodes.network import Host, Network, inside
from tests.nodes.proxy import Cut, Proxy, When
from tests.nodes.rig import why_not
from tests.nodes.server import DATABASE, PORT, ROLE, Server, directory

pytestmark = pytest.mark.skipif(bool(why_not()), reason=why_not())


@dataclass
class Place:
    """A server, a proxy before it, and a host that asks."""

    network: Network
    server: Server
    proxy: Proxy
    client: Host
    address: str

    def connect(self) -> psycopg.Connection:
        """Connect from the host through the proxy."""
        with inside(self.client.namespace):
            return psycopg.connect(
                f"user={ROLE} dbname={DATABASE} host={self.address} port={PORT} connect_timeout=2"
            )

    def count(self) -> int:
        """Return how many rows there are."""
        return int(self.server.execute("SELECT count(*) FROM one")[0][0])


@pytest.fixture
def place() -> Iterator[Place]:
    """A server with an empty table."""
    with ExitStack() as stack:
        at = stack.enter_context(directory())
        network = Network()
        stack.callback(network.close)
        server = Server(network.host("primary", "database"), at / "primary")
        stack.callback(lambda: server.stop(signal.SIGQUIT))
        server.create()
        host = network.host("proxy", "database")
        address = host.addresses["database"]
        proxy = Proxy(host.namespace, address, server.address, PORT)
        stack.callback(proxy.close)
        server.execute("CREATE TABLE one (x int)")
        server.execute(f"GRANT ALL ON one TO {ROLE}")
        yield Place(network, server, proxy, network.host("client", "database"), address)


@pytest.mark.parametrize(("when", "there"), [("before", 0), ("after", 1)])
def test_a_commit_is_cut_before_or_after_it_took_place(place: Place, when: When, there: int) -> None:
    """The client cannot tell which: it only knows that its connection is gone."""
    with place.connect() as connection:
        place.proxy.cut = Cut(when)
        connection.execute("INSERT INTO one VALUES (1)")
        with pytest.raises(psycopg.OperationalError):
            connection.commit()
        connection.close()
    assert (place.count(), place.proxy.cut.made) == (there, 1)


def test_a_host_that_is_cut_off_reaches_nobody_until_it_is_back(place: Place) -> None:
    """A connection that rested meanwhile goes on, as after a cable was pulled."""
    with place.connect() as connection:
        connection.execute("SELECT 1")
        place.client.cut("database")
        with pytest.raises(psycopg.OperationalError):
            place.connect()
        place.client.mend("database")
        connection.execute("INSERT INTO one VALUES (1)")
    assert place.count() == 1


def test_a_synchronous_standby_has_all_that_was_committed(place: Place) -> None:
    """It is promoted when the primary has crashed right after a COMMIT."""
    standby = Server(place.network.host("standby", "database"), place.server.at.with_name("standby"))
    try:
        standby.copy(place.server)
        with place.connect() as connection:
            connection.execute("INSERT INTO one VALUES (1)")
        place.server.stop(signal.SIGQUIT)
        standby.promote()
        assert standby.execute("SELECT * FROM one") == [(1,)]
    finally:
        standby.stop(signal.SIGQUIT)
