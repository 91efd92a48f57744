"""Whose certificates are believed."""

from __future__ import annotations

import shutil
import ssl
from collections.abc import Callable
from pathlib import Path

import pytest
import requests

from dingwatch.dingtalk import Host, TrustStore, system_store_for_all, trust
from dingwatch.model import NotReached
from tests.dingtalk.peers import CERTIFICATE, Calls, Server, Wire
from tests.dingtalk.verdicts import verdict

Serve = Callable[..., Server]
HASHED = "ce275665.0"
"""The name under which OpenSSL finds the test's certificate in a directory (`openssl x509 -hash`)."""


@pytest.fixture
def peer(serve: Serve) -> Server:
    """A server whose certificate no public authority gave."""

    def answer(wire: Wire, _head: bytes, _body: bytes) -> None:
        wire.answer({"processQueryKey": "key"})

    return serve(answer, tls=True)


@pytest.fixture
def bare(monkeypatch: pytest.MonkeyPatch) -> pytest.MonkeyPatch:
    """An environment that names no certificates."""
    for name in (*trust.BUNDLE_VARIABLES, "SSL_CERT_FILE", "SSL_CERT_DIR"):
        monkeypatch.delenv(name, raising=False)
    return monkeypatch


def test_the_companys_ca_in_the_system_store_is_believed(
    bare: pytest.MonkeyPatch, peer: Server, calls: Calls, tmp_path: Path
) -> None:
    """Nothing has to be set for dingwatch that the other programs of the machine do not need."""
    shutil.copy(CERTIFICATE, tmp_path / HASHED)
    bare.setenv("SSL_CERT_DIR", str(tmp_path))
    with calls.client(peer.url) as client:
        client.fetch_token(Host.API)
        client.fetch_token(Host.OAPI)
        assert client.trust is TrustStore.SYSTEM
    assert peer.connections == 1


def test_a_certificate_file_of_the_environment_is_believed(
    bare: pytest.MonkeyPatch, peer: Server, calls: Calls
) -> None:
    """SSL_CERT_FILE is what OpenSSL itself reads."""
    bare.setenv("SSL_CERT_FILE", str(CERTIFICATE))
    with calls.client(peer.url) as client:
        client.fetch_token(Host.API)
        assert client.trust is TrustStore.SYSTEM


@pytest.mark.parametrize("name", trust.BUNDLE_VARIABLES)
def test_a_bundle_wins(bare: pytest.MonkeyPatch, peer: Server, calls: Calls, name: str) -> None:
    """REQUESTS_CA_BUNDLE counts alone, for and against."""
    bare.setenv(name, str(CERTIFICATE))
    bare.setenv("SSL_CERT_FILE", requests.utils.DEFAULT_CA_BUNDLE_PATH)
    with calls.client(peer.url) as client:
        client.fetch_token(Host.API)
        assert client.trust is TrustStore.BUNDLE
    bare.setenv(name, requests.utils.DEFAULT_CA_BUNDLE_PATH)
    bare.setenv("SSL_CERT_FILE", str(CERTIFICATE))
    with calls.client(peer.url) as client:
        found = verdict(lambda: client.fetch_token(Host.API))
    assert (type(found), found.cause.advice) == (NotReached, "CERTIFICATE")


def test_who_is_in_no_store_is_not_believed(bare: pytest.MonkeyPatch, peer: Server, calls: Calls) -> None:
    """The system's store does not mean everybody."""
    del bare
    with calls.client(peer.url) as client:
        found = verdict(lambda: client.fetch_token(Host.API))
    assert (type(found), found.cause.advice) == (NotReached, "CERTIFICATE")
    assert peer.requests == []


def test_another_name_than_the_certificates_is_not_believed(
    bare: pytest.MonkeyPatch, peer: Server, calls: Calls
) -> None:
    """The certificate is for localhost and 127.0.0.1, not for another way to write that."""
    bare.setenv("SSL_CERT_FILE", str(CERTIFICATE))
    with calls.client(peer.url.replace("localhost", "127.1")) as client:
        found = verdict(lambda: client.fetch_token(Host.API))
    assert (type(found), found.cause.advice) == (NotReached, "CERTIFICATE")


def test_without_a_store_certifis_list_counts(
    bare: pytest.MonkeyPatch, peer: Server, calls: Calls, tmp_path: Path
) -> None:
    """A small container has none; public authorities are believed there all the same."""
    bare.setenv("SSL_CERT_DIR", str(tmp_path))
    bare.setenv("SSL_CERT_FILE", str(tmp_path / "none"))
    bare.setattr(trust, "SYSTEM_FILES", (str(tmp_path / "none"), str(tmp_path)[:0]))
    with calls.client(peer.url) as client:
        assert client.trust is TrustStore.CERTIFI
        assert type(verdict(lambda: client.fetch_token(Host.API))) is NotReached


def test_other_packages_believe_the_system_store_for_a_while(bare: pytest.MonkeyPatch, peer: Server) -> None:
    """The Stream client asks by requests, which knows certifi's list alone."""
    bare.setenv("SSL_CERT_FILE", str(CERTIFICATE))
    usual = ssl.SSLContext
    with system_store_for_all({}):
        assert requests.get(f"{peer.url}/gettoken", timeout=20).json()["errcode"] == 0
    assert ssl.SSLContext is usual
    with pytest.raises(requests.exceptions.SSLError):
        requests.get(f"{peer.url}/gettoken", timeout=20)
