"""What the exceptions of the HTTP libraries mean."""

import inspect
import ssl
from types import ModuleType

import pytest
import requests.exceptions
import urllib3.exceptions

from dingwatch.dingtalk.errors import ADDRESS, AFTER, BEFORE, verdict_of_exception
from dingwatch.model import Misconfigured, NoAnswer, NotReached, Scope


def raised_by(module: ModuleType) -> set[type[BaseException]]:
    """Return the module's own exception classes that are no warnings."""
    package = module.__name__.partition(".")[0]
    return {
        one
        for _, one in inspect.getmembers(module, inspect.isclass)
        if issubclass(one, Exception) and not issubclass(one, Warning) and one.__module__.startswith(package)
    }


@pytest.mark.parametrize("module", [requests.exceptions, urllib3.exceptions])
def test_every_exception_of_the_libraries_is_classified(module: ModuleType) -> None:
    """A class that a new release brings must be placed by hand, in exactly one tuple."""
    for one in raised_by(module):
        assert [one in ADDRESS, one in BEFORE, one in AFTER].count(True) == 1, one


def test_a_body_that_began_leaves_a_doubt() -> None:
    """Whatever broke: once any of the body was handed over, nobody knows what became of it."""
    for one in BEFORE + AFTER:
        found = verdict_of_exception(one.__new__(one), sent=True)
        assert (type(found), found.scope) == (NoAnswer, Scope.API), one


def test_a_body_that_did_not_begin_never_left() -> None:
    """Whatever broke: a head alone is no request."""
    for one in BEFORE + AFTER:
        found = verdict_of_exception(one.__new__(one), sent=False)
        assert (type(found), found.scope) == (NotReached, Scope.APP), one


def test_an_address_that_is_none_is_for_a_person() -> None:
    """Nothing but the config or the environment can mend it."""
    for one in ADDRESS:
        assert type(verdict_of_exception(one.__new__(one), sent=False)) is Misconfigured, one


def test_what_is_inside_decides() -> None:
    """One library wraps what the other wrapped: the kernel's own words are found and told."""
    refused = ConnectionRefusedError(111, "Connection refused")
    broken = urllib3.exceptions.ProtocolError("Connection broken at /media?access_token=tok", refused)
    found = verdict_of_exception(requests.exceptions.ConnectionError(broken), sent=None)
    assert found.cause.message == "ConnectionRefusedError: Connection refused"


def test_an_untrusted_certificate_has_its_own_advice() -> None:
    """It is not the network that must be mended."""
    error = requests.exceptions.SSLError(ssl.SSLCertVerificationError(1, "verify failed"))
    assert verdict_of_exception(error, sent=False).cause.advice == "CERTIFICATE"


def test_a_circle_of_causes_ends() -> None:
    """Exceptions that name each other are walked once."""
    first, second = OSError("first"), OSError("second")
    first.__cause__, second.__cause__ = second, first
    assert verdict_of_exception(first, sent=True).cause.code == "no_answer"
