"""Whose certificates are believed: a bundle of one's own, the system's store, or else certifi's.

A company whose proxy decrypts traffic puts its CA into the system's store, as its other programs need it
there. requests alone knows only certifi's list.
"""

from __future__ import annotations

import os
import re
import ssl
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from enum import StrEnum
from typing import Final

import truststore

BUNDLE_VARIABLES: Final = ("REQUESTS_CA_BUNDLE", "CURL_CA_BUNDLE")
"""requests reads them in its Session alone, which is not used here. They win over the system's store."""
SYSTEM_FILES: Final = (
    "/etc/ssl/certs/ca-certificates.crt",
    "/etc/ssl/cert.pem",
    "/etc/ssl/ca-bundle.pem",
    "/etc/pki/tls/cert.pem",
    "/etc/pki/ca-trust/extracted/pem/tls-ca-bundle.pem",
)
"""Paths of the distributions' certificate stores; a Python that was built elsewhere looks in other places."""
_HASHED: Final = re.compile(r"[0-9a-f]{8}\.\d")
"""The name under which OpenSSL looks for a CA in a directory."""


class TrustStore(StrEnum):
    """The sources of certificates."""

    BUNDLE = "bundle"
    SYSTEM = "system"
    CERTIFI = "certifi"


def bundle(environ: Mapping[str, str]) -> str | None:
    """Return the file or directory that the environment names; None if it names none."""
    return next((path for name in BUNDLE_VARIABLES if (path := environ.get(name))), None)


def choose_store(environ: Mapping[str, str]) -> TrustStore:
    """Return the store that counts; small containers have none of the system's."""
    if bundle(environ) is not None:
        return TrustStore.BUNDLE
    return TrustStore.SYSTEM if _has_system_store() else TrustStore.CERTIFI


def _has_system_store() -> bool:
    # OpenSSL and truststore both honour SSL_CERT_FILE and SSL_CERT_DIR.
    defaults = ssl.get_default_verify_paths()
    directory = defaults.capath if defaults.capath and os.path.isdir(defaults.capath) else None
    hashed = directory is not None and any(map(_HASHED.fullmatch, os.listdir(directory)))
    files = (defaults.cafile, *SYSTEM_FILES)
    return hashed or any(_holds_certificates(path or "") for path in files)


def _holds_certificates(path: str) -> bool:
    try:
        return os.path.getsize(path) > 0
    except OSError:
        return False


def system_context() -> ssl.SSLContext:
    """Return a context that believes the system's store; it is read when the context is first used.

    truststore takes a lock for each handshake: contexts that are shared would let a host that is slow to
    answer hold up all others.
    """
    return truststore.SSLContext(ssl.PROTOCOL_TLS_CLIENT)


@contextmanager
def system_store_for_all(environ: Mapping[str, str]) -> Iterator[None]:
    """Have packages that make contexts of their own believe the system's store too, if it counts."""
    if choose_store(environ) is not TrustStore.SYSTEM:
        yield
        return
    truststore.inject_into_ssl()
    try:
        yield
    finally:
        truststore.extract_from_ssl()
