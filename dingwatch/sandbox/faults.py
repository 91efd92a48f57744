"""Faults to order: what goes wrong, at which API, how often. Only the bookkeeping; `faulty` acts them out."""

import json
import threading
from collections.abc import Mapping
from dataclasses import dataclass, fields, replace
from enum import StrEnum

ANY_API = "*"


class FaultKind(StrEnum):
    """What goes wrong with a call."""

    THROTTLE = "throttle"  # the app's QPS limit: 403 …QpsLimitForAppkeyAndApi, 90018
    QUOTA = "quota"  # the month's calls are used up: 403 …ApiCountLimitForOrg, 90020
    TOKEN_DEAD = "token_dead"  # noqa: S105 -- all tokens die with this call, before their time
    ERROR = "error"  # any status, code and message; default: 500 system.error, errcode -1
    HTML = "html"  # a page of the gateway instead of JSON; status default 200
    STATUS_1111 = "status_1111"  # the JSON of an IP ban
    CUT_EARLY = "cut_early"  # connection aborted after the headers, while the body may still be coming
    CUT_BEFORE = "cut_before"  # connection aborted when the request is whole, before any effect
    CUT_AFTER = "cut_after"  # the effect happens, its answer is lost
    SLOW = "slow"  # nothing but `seconds` before the effect
    SLOW_ANSWER = "slow_answer"  # `seconds` after the effect
    ENDLESS = "endless"  # a body that never ends, a block every `seconds`
    HUGE = "huge"  # a body of 64 MiB blanks with its Content-Length
    REPLACE = "replace"  # the effect happens, and `field` of its answer holds `value`
    REMOVE = "remove"  # the effect happens, and its answer has no `field`
    IP_NOT_ALLOWED = "ip_not_allowed"  # 403 …IpNotInWhiteList, 60020
    NO_PERMISSION = "no_permission"  # 403 …AccessTokenPermissionDenied with requiredScopes, 60011


ALTERING = frozenset({FaultKind.REPLACE, FaultKind.REMOVE})


@dataclass(frozen=True, slots=True)
class Fault:
    """One order.

    Attributes:
        api: an API's name as in `Sandbox.calls()`, or `*` for every one.
        kind: what happens.
        times: to how many calls; None: to every one until it is cleared.
        after: how many calls pass unharmed first.
        seconds: pass before anything happens; for `slow_answer` after the effect, for `endless` between
            the blocks.
        code: instead of the kind's own code (new host) or errcode (legacy).
        status: instead of the kind's own HTTP status.
        message: instead of the kind's own message.
        field: for `replace` and `remove`: names and list positions with dots between them, as in
            `headerSignatureInfo.resourceUrls.0`; for `replace` also empty: the whole answer.
        value: for `replace`: any JSON value, lone surrogates and huge numbers included.
    """

    api: str
    kind: FaultKind
    times: int | None = 1
    after: int = 0
    seconds: float = 0.0
    code: str | int | None = None
    status: int | None = None
    message: str | None = None
    field: str = ""
    value: object = None

    def __post_init__(self) -> None:
        if self.times is not None and self.times < 1:
            raise ValueError("times must be at least 1, or None")
        if self.after < 0 or not 0 <= self.seconds < float("inf"):
            raise ValueError("after and seconds must not be negative")
        if self.status is not None and not 200 <= self.status <= 599:  # noqa: PLR2004 -- HTTP's own numbers
            raise ValueError("status must be an HTTP status from 200 to 599")
        if (self.field or self.value is not None) and self.kind not in ALTERING:
            raise ValueError("field and value must come with replace or remove")
        if self.kind is FaultKind.REMOVE and not self.field:
            raise ValueError("remove must name a field")
        try:
            json.dumps(self.value)
        except (TypeError, ValueError, RecursionError):
            raise ValueError("value must be a JSON value") from None


# What each field may hold when it comes as JSON. bool is an int to Python and is refused by name.
_JSON_TYPES: Mapping[str, tuple[type, ...]] = {
    "api": (str,),
    "kind": (str,),
    "times": (int, type(None)),
    "after": (int,),
    "seconds": (int, float),
    "code": (str, int, type(None)),
    "status": (int, type(None)),
    "message": (str, type(None)),
    "field": (str,),
}


def fault_from_json(document: object) -> Fault:
    """Reads the JSON object of one fault.

    Raises:
        ValueError: with a sentence that names what is wrong.
    """
    if not isinstance(document, dict):
        raise ValueError("a fault is a JSON object")  # noqa: TRY004 -- one sort of error for all bad input
    for name, value in document.items():
        if name == "value":
            continue  # any JSON will do
        types = _JSON_TYPES.get(name)
        if types is None:
            raise ValueError(f"unknown key {name!r}; known: {', '.join(_JSON_TYPES)}, value")
        if isinstance(value, bool) or not isinstance(value, types):
            raise ValueError(f"{name}: {value!r} has the wrong type")  # noqa: TRY004 -- as above
    if "api" not in document or "kind" not in document:
        raise ValueError("api and kind are required")
    try:
        kind = FaultKind(document["kind"])
    except ValueError:
        raise ValueError(f"kind: one of {', '.join(FaultKind)}") from None
    return Fault(**{**document, "kind": kind})


def fault_to_json(fault: Fault) -> dict[str, object]:
    """The JSON object of one fault, which `fault_from_json` reads."""
    return {each.name: getattr(fault, each.name) for each in fields(fault)}


class FaultBook:
    """The faults on order, in the order they came. Safe for use from several threads.

    A call meets at most one fault: the first that matches and is due. So a list of faults reads as a
    script: two throttles, then a cut, then peace.
    """

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._faults: list[Fault] = []

    def add(self, fault: Fault) -> None:
        """Puts a fault at the end of the script."""
        with self._lock:
            self._faults.append(fault)

    def clear(self) -> None:
        """Forgets all of them."""
        with self._lock:
            self._faults.clear()

    def pending(self) -> tuple[Fault, ...]:
        """What is left, with what is left of `times` and `after`."""
        with self._lock:
            return tuple(self._faults)

    def take(self, api: str) -> Fault | None:
        """The fault that this call meets, if any."""
        if not self._faults:  # the usual case costs no lock
            return None
        with self._lock:
            for index, fault in enumerate(self._faults):
                if fault.api not in (api, ANY_API):
                    continue
                if fault.after:
                    self._faults[index] = replace(fault, after=fault.after - 1)
                    continue
                self._use(index, fault)
                return fault
        return None

    def _use(self, index: int, fault: Fault) -> None:
        if fault.times == 1:
            del self._faults[index]
        elif fault.times is not None:
            self._faults[index] = replace(fault, times=fault.times - 1)
