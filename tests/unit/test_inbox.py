"""What a loop's inbox hands over."""

from dingwatch.service.inbox import Inbox


def test_what_comes_while_the_inbox_lingers_is_taken_with_the_rest() -> None:
    """Outcomes that come nearly together are entered in one transaction."""

    def linger(came: int) -> None:
        assert came == 1
        inbox.put("second")

    inbox = Inbox(linger)
    inbox.put("first")
    assert inbox.take(None) == ["first", "second"]
