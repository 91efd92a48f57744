from dingwatch.delivery import Put, Target, Upload
from dingwatch.dingtalk import Part
from dingwatch.dingtalk.wire import SLICE, Body
from dingwatch.model import Fingerprint
from dingwatch.service.progress import Progress
from tests.support import plain_payload, row

SIZE = 10 * SLICE
TARGET = Target("media/upload")


class Clock:
    """A clock that a test sets."""

    now = 100.0

    def __call__(self) -> float:
        """Return the time."""
        return self.now


def upload() -> Upload:
    """Return the upload of a file."""
    payload = plain_payload(b"a.bin", "digest", "app")
    return Upload((row(b"a.bin", Fingerprint(SIZE, 1, 1, 1, 1), "digest", payload),), payload, TARGET)


def test_the_bytes_of_a_body_are_counted_as_they_are_sent() -> None:
    """With their rate, until the upload ends."""
    clock = Clock()
    progress = Progress(clock)
    with progress.following(upload()):
        body = iter(Body(b"head", bytes(SIZE), b"tail"))
        for _ in range(6):  # the head, and five pieces of which the last is being written
            next(body)
        assert progress.list()[0].done == 4 * SLICE
        clock.now += 4.0
        next(body)
        (one,) = progress.list()
        assert (one.size, one.done, one.rate) == (SIZE, 5 * SLICE, 5 * SLICE / 4.0)
        clock.now += 100.0
        assert progress.list()[0].rate == 0.0
    assert progress.list() == []


def test_a_body_that_is_sent_again_begins_again() -> None:
    """What of the first attempt was sent does not count."""
    progress = Progress(Clock())
    with progress.following(upload()):
        for _ in range(2):
            for _ in zip(range(4), Body(b"head", bytes(SIZE), b"tail"), strict=False):
                pass
            assert progress.list()[0].done == 2 * SLICE


def test_a_part_begins_where_the_one_before_has_ended() -> None:
    """Between two parts the upload is still shown, for a moment."""
    clock, whole = Clock(), upload()
    progress = Progress(clock)
    put = Put(whole.rows, whole.payload, TARGET, Part(2, 5 * SLICE, 5 * SLICE), None)
    with progress.following(put):
        assert progress.list()[0].done == 5 * SLICE
    assert len(progress.list()) == 1
    clock.now += 3.0
    assert progress.list() == []
