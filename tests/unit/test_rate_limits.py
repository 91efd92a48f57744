from collections.abc import Sequence
from itertools import cycle

import pytest

from dingwatch.delivery.limits import RateLimits, Target, message_target
from dingwatch.dingtalk import API_SEND
from dingwatch.model import Scope
from dingwatch.pace import Lesson, Limit

PER_API = Limit(20, 1.0, spaced=True)
PEOPLE = ("group:a", "group:b", "group:c", "group:d")


def send_to(rates: RateLimits, targets: Sequence[Target], seconds: float) -> dict[Target, int]:
    """Send to each as often as the limits allow, waking up to 3 ms late; return how often."""
    sent, now, late = dict.fromkeys(targets, 0), 1000.0, cycle((0.001, 0.003, 0.0, 0.002))
    while now < 1000.0 + seconds:
        for target in sorted(targets, key=lambda one: sent[one]):
            if rates.next_slot(target, now) <= now:
                rates.take(target, now)
                sent[target] += 1
        now = min(rates.next_slot(target, now) for target in targets) + next(late)
    return sent


@pytest.mark.parametrize("rates", [(5,), (5, 5), (5, 5, 5)])
def test_each_recipient_has_a_limit_of_its_own(rates: Sequence[int]) -> None:
    """Two who may get 5 messages a second each get them, while the API has room for both."""
    targets = [message_target(one) for one in PEOPLE[: len(rates)]]
    sent = send_to(RateLimits(PER_API, Limit(5, 1.0, spaced=True)), targets, 100.0)
    for target in targets:
        assert 0.97 * 500 <= sent[target] <= 501


def test_recipients_share_what_the_api_allows() -> None:
    """Four who may get 10 a second each get 20 together, in turn."""
    targets = [message_target(one) for one in PEOPLE]
    sent = send_to(RateLimits(PER_API, Limit(10, 1.0, spaced=True)), targets, 100.0)
    assert 0.97 * 2000 <= sum(sent.values()) <= 2001
    assert max(sent.values()) - min(sent.values()) <= 1


def test_a_refusal_slows_down_what_it_speaks_of() -> None:
    """A group that gets too much is sent less, the others as much as before; and the other way round."""
    rates = RateLimits(PER_API, Limit(10, 1.0, spaced=True))
    one, other = map(message_target, PEOPLE[:2])
    for number in range(8):
        rates.take((one, other)[number % 2], 1000.0 + number / 20)
    assert rates.learn_refusal(one, Scope.CONVERSATION, 1000.5) == {
        (Scope.CONVERSATION, PEOPLE[0]): Lesson(10 / 3, 1000.5)
    }
    assert rates.learn_refusal(one, Scope.API, 1000.5) == {(Scope.API, API_SEND): Lesson(20 / 7, 1000.5)}
    assert rates.learn_refusal(other, Scope.API, 1000.6) == {}
