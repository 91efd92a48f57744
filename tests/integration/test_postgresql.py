"""A ledger in PostgreSQL: its transactions, and what is said when it cannot be used."""

import threading
from collections.abc import Callable, Iterator
from contextlib import closing

import psycopg
import pytest
from sqlalchemy import Connection, make_url, select, text

from dingwatch.ledger import LedgerError, Store
from dingwatch.ledger.postgresql import errors
from dingwatch.ledger.schema import numbers
from dingwatch.model import Cause
from tests.postgres import PostgresServer
from tests.support import eventually

SECRET = "pass-and-word"
LAST_ID = select(numbers.c.value).where(numbers.c.name == "id")
PRUNED = select(numbers.c.value).where(numbers.c.name == "pruned")


@pytest.fixture
def store(postgres_url: str) -> Iterator[Store]:
    """An empty ledger, opened by a host."""
    with closing(Store.open(postgres_url, "nas-1")) as opened:
        yield opened


def settings(store: Store, *names: str) -> list[str]:
    """Return settings of a session that writes."""
    with store.writing() as connection:
        return [connection.exec_driver_sql(f"SHOW {name}").scalar_one() for name in names]


def refused(url: str) -> Cause:
    """Return why a ledger cannot be opened."""
    with pytest.raises(LedgerError) as caught:
        Store.open(url)
    return caught.value.cause


def test_a_host_has_a_name_on_a_shared_ledger_alone(store: Store, ledger_url: str) -> None:
    """A ledger in a file has one host, and its rows need no name of it."""
    assert (store.shared, store.node) == (True, "nas-1")
    with closing(Store.open(ledger_url, "nas-1")) as other:
        assert (other.shared, other.node) in {(True, "nas-1"), (False, "")}
        assert other.shared is ledger_url.startswith("postgresql")


def test_a_connection_that_outlasts_the_ledger_is_closed(postgres: PostgresServer, postgres_url: str) -> None:
    """A thread may still read when the service has ended its waits."""
    opened = Store.open(postgres_url, "nas-1")
    number = "SELECT count(*) FROM pg_stat_activity WHERE application_name = 'dingwatch nas-1'"
    with opened.reading() as connection:
        pool = connection.engine.pool  # which would close its connections itself when nothing refers to it
        opened.close()
        assert connection.exec_driver_sql(number).scalar_one() == 1
    eventually(lambda: postgres.execute(number) == [(0,)])
    del pool


def test_a_session_neither_hangs_nor_keeps_the_lock(store: Store) -> None:
    """Whatever becomes of a process or its network, others wait for some seconds at most."""
    names = ("lock_timeout", "statement_timeout", "idle_in_transaction_session_timeout", "application_name")
    assert settings(store, *names) == ["5s", "1min", "10s", "dingwatch nas-1"]
    assert settings(store, "synchronous_commit", "transaction_isolation") == ["on", "read committed"]


def test_commits_survive_a_power_cut_though_the_role_says_otherwise(
    postgres: PostgresServer, postgres_url: str
) -> None:
    """Else a message would be forgotten, and sent twice."""
    postgres.execute("ALTER ROLE postgres SET synchronous_commit = off")
    try:
        with closing(Store.open(postgres_url)) as store:
            assert settings(store, "synchronous_commit") == ["on"]
    finally:
        postgres.execute("ALTER ROLE postgres RESET synchronous_commit")


def test_what_a_writer_has_read_holds_until_it_writes(store: Store, postgres_url: str) -> None:
    """Two hosts that read a row and change it do so one after the other."""
    meet = threading.Barrier(2)

    def count_up() -> None:
        with closing(Store.open(postgres_url)) as other:
            meet.wait()
            for _ in range(20):
                with other.writing() as connection:
                    found = connection.scalars(PRUNED).one()
                    connection.execute(
                        text("UPDATE numbers SET value = :value WHERE name = 'pruned'"),
                        {"value": found + 1},
                    )

    hosts = [threading.Thread(target=count_up) for _ in range(2)]
    for host in hosts:
        host.start()
    for host in hosts:
        host.join()
    with store.reading() as connection:
        assert connection.scalars(PRUNED).one() == 40


def test_a_reader_sees_one_state_throughout(store: Store) -> None:
    """It also waits for no writer, and no writer for it."""
    with store.reading() as reader:
        before = reader.scalars(LAST_ID).one()
        with store.writing() as writer:
            store.new_ids(writer, 3)
        assert reader.scalars(LAST_ID).one() == before
    with store.reading() as reader:
        assert reader.scalars(LAST_ID).one() == before + 3


def test_a_writer_waits_some_seconds_for_another(store: Store, postgres_url: str) -> None:
    """Then it tells that the ledger is locked; a transaction that may write nothing waits like any."""
    causes: list[Cause] = []

    def attempt(take: Callable[[Store], None]) -> None:
        with closing(Store.open(postgres_url)) as one, pytest.raises(LedgerError) as caught:
            take(one)
        causes.append(caught.value.cause)

    kinds = (Store.require_lock, Store.require_writable, lambda one: one.transact(lambda _: None))
    hosts = [threading.Thread(target=attempt, args=(take,)) for take in kinds]
    with store.writing():
        for host in hosts:
            host.start()
        for host in hosts:
            host.join()
    found = {(cause.code, cause.advice) for cause in causes}
    assert (found, len(causes)) == ({("LockNotAvailable", "LEDGER_LOCKED")}, 3)
    store.require_lock()


def test_a_ledger_is_made_once_however_many_begin(blank_postgres_url: str) -> None:
    """Hosts that start together on a new database find one ledger."""
    opened: list[Store] = []
    hosts = [threading.Thread(target=lambda: opened.append(Store.open(blank_postgres_url))) for _ in range(4)]
    for host in hosts:
        host.start()
    for host in hosts:
        host.join()
    assert len(opened) == 4
    assert [store.identity(number) for number, store in enumerate(opened, 7)] == [7, 7, 7, 7]
    for store in opened:
        store.close()


def test_a_database_with_tables_of_others_is_left_alone(
    postgres: PostgresServer, blank_postgres_url: str
) -> None:
    """A name like `calls` may be taken."""
    name = make_url(blank_postgres_url).database
    assert name is not None
    postgres.execute("CREATE TABLE calls (caller text)", database=name)
    assert refused(blank_postgres_url) == Cause("foreign_tables", "calls", "LEDGER_FOREIGN")


def test_a_restart_of_the_server_is_no_outage() -> None:
    """Connections that it has closed meanwhile are made again; a transaction that it cuts off has failed."""
    with PostgresServer() as server, server.ledger() as url, closing(Store.open(url)) as store:
        store.require_writable()
        server.restart()
        store.require_writable()

        def kill(connection: Connection) -> None:
            store.new_ids(connection, 1)
            server.kill()
            store.new_ids(connection, 1)

        with pytest.raises(LedgerError) as caught:
            store.transact(kill)
        assert caught.value.cause.advice == "LEDGER_UNREACHABLE"
        with pytest.raises(LedgerError) as caught:
            store.require_lock()
        assert caught.value.cause.advice == "LEDGER_UNREACHABLE"
        server.start()
        with store.writing() as connection:
            assert list(store.new_ids(connection, 1)) == [1]


def test_what_the_server_refuses_has_its_advice_and_no_password() -> None:
    """Each failure that an admin may meet names what to do."""
    with PostgresServer("max_connections=5", "superuser_reserved_connections=0") as server:
        hba = server.data / "pg_hba.conf"
        server.execute(f"CREATE ROLE one LOGIN PASSWORD '{SECRET}'")
        server.execute("CREATE ROLE two LOGIN CONNECTION LIMIT 0")
        with server.ledger() as url:
            database = make_url(url).database or ""
            hba.write_text("local all one scram-sha-256\nlocal all all trust\n")
            server.restart()
            wrong = make_url(server.url(database, user="one")).set(password="not-" + SECRET)
            assert advice_of(refused(wrong.render_as_string(hide_password=False))) == "LEDGER_REFUSED"
            none = server.url(database, user="one") + "&passfile=/dev/null"
            assert advice_of(refused(none)) == "LEDGER_PASSWORD"
            right = wrong.set(password=SECRET).render_as_string(hide_password=False)
            assert advice_of(refused(right)) == "LEDGER_PRIVILEGES"
            assert advice_of(refused(server.url("nowhere"))) == "LEDGER_REFUSED"
            assert advice_of(refused(server.url(database, user="two"))) == "LEDGER_CROWDED"
            server.execute(f"ALTER DATABASE {database} SET default_transaction_read_only = on")
            assert advice_of(refused(url)) == "LEDGER_READ_ONLY"
            server.execute(f"ALTER DATABASE {database} RESET default_transaction_read_only")
            server.stop()
            assert advice_of(refused(url)) == "LEDGER_UNREACHABLE"
            server.start()


@pytest.mark.parametrize(
    ("message", "advice"),
    [
        ("consuming input failed: SSL connection has been closed unexpectedly", "LEDGER_UNREACHABLE"),
        ("consuming input failed: SSL SYSCALL error: EOF detected", "LEDGER_UNREACHABLE"),
        ("connection failed: SSL error: certificate verify failed", "LEDGER_REFUSED"),
        ("connection failed: server does not support SSL, but SSL was required", "LEDGER_REFUSED"),
    ],
)
def test_a_tls_connection_that_broke_was_not_refused(message: str, advice: str) -> None:
    """A server that restarts is no reason to look at the password; these are texts of libpq."""
    with pytest.raises(LedgerError) as caught, errors():
        raise psycopg.OperationalError(message)
    assert caught.value.cause.advice == advice


@pytest.mark.parametrize(
    "parameter",
    [
        *("port=99999", "port=0", "sslmode=foo", "nonsense=1", "connect_timeout=abc", "service=nowhere"),
        *("keepalives=x", "hostaddr=x", "ssl_min_protocol_version=TLSv9", "target_session_attrs=x"),
        "sslmode=disable&sslrootcert=system",
    ],
)
def test_an_address_that_libpq_does_not_understand_is_to_be_corrected(parameter: str) -> None:
    """No server was asked, and to wait for one does not help."""
    cause = refused(f"postgresql+psycopg://me@127.0.0.1/dingwatch?{parameter}")
    assert cause.advice == "LEDGER_ADDRESS", cause


def advice_of(cause: Cause) -> str:
    """Return the advice of a cause that tells no secret."""
    assert SECRET not in f"{cause.code} {cause.message}"
    assert cause.message
    return cause.advice
