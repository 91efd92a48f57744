"""The cache of tokens by itself."""

import threading

import pytest

from dingwatch.dingtalk import Host
from dingwatch.dingtalk.session import Tokens
from dingwatch.model import Cause, Failure, NotReached, Scope
from tests.dingtalk.peers import Clock
from tests.support import eventually

DOWN = NotReached(Cause("unreachable", "down", "UNREACHABLE"), Scope.APP)


class Source:
    """Gives numbered tokens, once it may; or fails."""

    def __init__(self, life: float = 7200.0) -> None:
        self.life = life
        self.asked: list[Host] = []
        self.may = threading.Event()
        self.may.set()
        self.down = False

    def __call__(self, host: Host) -> tuple[str, float]:
        """Answer one fetch."""
        self.asked.append(host)
        assert self.may.wait(20)
        if self.down:
            raise Failure(DOWN)
        return f"{host}-{len(self.asked)}", self.life


def test_each_host_has_its_own_token() -> None:
    """One family's token is not used for the other."""
    tokens = Tokens(Source(), Clock())
    tokens.renew(Host.API)
    assert tokens.peek(Host.OAPI) is None
    tokens.renew(Host.OAPI)
    assert set(tokens.values()) == {"api-1", "oapi-2"}


@pytest.mark.parametrize(("life", "fresh"), [(7200.0, 6600.0), (600.0, 300.0), (1e300, 85800.0)])
def test_a_token_is_renewed_ahead_of_its_end(life: float, fresh: float) -> None:
    """Ten minutes ahead, or half its life when that is short; a wild number is cut to a day."""
    clock = Clock()
    tokens = Tokens(Source(life), clock)
    tokens.renew(Host.API)
    clock.now += fresh - 1
    assert tokens.peek(Host.API) is not None
    clock.now += 2
    assert tokens.peek(Host.API) is None


def test_a_fresh_token_is_not_fetched_again_unless_forced() -> None:
    """`force` is for the probe of an outage."""
    source = Source()
    tokens = Tokens(source, Clock())
    tokens.renew(Host.API)
    tokens.renew(Host.API)
    assert len(source.asked) == 1
    tokens.renew(Host.API, force=True)
    assert len(source.asked) == 2


def together(tokens: Tokens, source: Source, count: int = 8) -> list[Failure]:
    """Renew from several threads while one fetch is held up; return what failed."""
    failures: list[Failure] = []

    def renew() -> None:
        try:
            tokens.renew(Host.API)
        except Failure as failure:
            failures.append(failure)

    source.may.clear()
    threads = [threading.Thread(target=renew) for _ in range(count)]
    for thread in threads:
        thread.start()
    eventually(lambda: source.asked)
    source.may.set()
    for thread in threads:
        thread.join(20)
    return failures


def test_threads_share_one_fetch() -> None:
    """Who comes while a token is fetched takes that one."""
    source = Source()
    assert together(Tokens(source, Clock()), source) == []
    assert len(source.asked) == 1


def test_a_failure_is_not_kept() -> None:
    """The next renewal after a failed one asks again."""
    source = Source()
    tokens = Tokens(source, Clock())
    source.down = True
    failures = together(tokens, source)
    assert len(failures) == 8
    assert {failure.verdict for failure in failures} == {DOWN}
    source.down = False
    tokens.renew(Host.API)
    assert tokens.peek(Host.API) is not None


def test_only_the_refused_token_is_forgotten() -> None:
    """A late refusal of the old token leaves the new one alone."""
    tokens = Tokens(Source(), Clock())
    tokens.renew(Host.API)
    old = tokens.peek(Host.API)
    assert old is not None
    tokens.renew(Host.API, force=True)
    tokens.forget(Host.API, old)
    new = tokens.peek(Host.API)
    assert new is not None
    tokens.forget(Host.API, new)
    assert tokens.peek(Host.API) is None


def test_a_token_shows_itself_to_nobody() -> None:
    """Its repr holds no value."""
    tokens = Tokens(Source(), Clock())
    tokens.renew(Host.API)
    assert "api-1" not in repr(tokens.peek(Host.API))
