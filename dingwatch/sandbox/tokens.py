"""Access tokens: asked for again within their life, they are the same and live longer (KB:0033, KB:1444)."""

import secrets
import threading

from dingwatch.sandbox.answers import Family


class Tokens:
    """The app's tokens, one per host family. Safe for use from several threads.

    Whether the two families share one token is not documented; two are kept, so that a client which
    mixes them up can be told (`strict`), and either is accepted otherwise.
    """

    def __init__(self, lifetime: float, *, strict: bool) -> None:
        self._lifetime = lifetime
        self._strict = strict
        self._lock = threading.Lock()
        self._held: dict[Family, tuple[str, float]] = {}  # token, wall-clock second of its end

    def issue(self, family: Family, now: float) -> str:
        """The token of this family: the living one, renewed, or a new one."""
        with self._lock:
            token, end = self._held.get(family, ("", 0.0))
            if end <= now:
                token = secrets.token_hex(16)
            self._held[family] = (token, now + self._lifetime)
            return token

    def accepts(self, token: str, family: Family, now: float) -> bool:
        """Whether a call to this family may carry this token."""
        with self._lock:
            for owner, (held, end) in self._held.items():
                if token == held and end > now:
                    return owner is family or not self._strict
        return False

    def kill(self) -> None:
        """Ends all of them before their time, as a reset of the secret does."""
        with self._lock:
            self._held.clear()
