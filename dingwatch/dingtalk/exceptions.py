"""Every exception class of requests and urllib3, by when it is raised: before a request leaves, or after.

A test walks both libraries and fails when a release brings a class that stands in none of the tuples.
"""

from __future__ import annotations

from typing import Final

import requests
import urllib3

ADDRESS: Final = (
    requests.exceptions.InvalidURL,
    requests.exceptions.MissingSchema,
    requests.exceptions.InvalidSchema,
    requests.exceptions.InvalidProxyURL,
    requests.exceptions.URLRequired,
    urllib3.exceptions.LocationParseError,
    urllib3.exceptions.LocationValueError,
    urllib3.exceptions.ProxySchemeUnknown,
    urllib3.exceptions.ProxySchemeUnsupported,
    urllib3.exceptions.URLSchemeUnknown,
)
"""Raised for an address, of DingTalk or of a proxy, that is none."""

BEFORE: Final = (
    requests.exceptions.ConnectTimeout,
    requests.exceptions.SSLError,
    requests.exceptions.ProxyError,
    requests.exceptions.InvalidHeader,
    urllib3.exceptions.ConnectTimeoutError,
    urllib3.exceptions.NewConnectionError,
    urllib3.exceptions.NameResolutionError,
    urllib3.exceptions.SSLError,
    urllib3.exceptions.ProxyError,
    urllib3.exceptions.PoolError,
    urllib3.exceptions.EmptyPoolError,
    urllib3.exceptions.FullPoolError,
    urllib3.exceptions.ClosedPoolError,
    urllib3.exceptions.TimeoutStateError,
)
"""Raised as a rule before a request leaves. TLS may break later too, so `begun` is asked first."""

AFTER: Final = (
    requests.exceptions.RequestException,
    requests.exceptions.HTTPError,
    requests.exceptions.ConnectionError,
    requests.exceptions.Timeout,
    requests.exceptions.ReadTimeout,
    requests.exceptions.ChunkedEncodingError,
    requests.exceptions.ContentDecodingError,
    requests.exceptions.InvalidJSONError,
    requests.exceptions.JSONDecodeError,
    requests.exceptions.RetryError,
    requests.exceptions.StreamConsumedError,
    requests.exceptions.TooManyRedirects,
    requests.exceptions.UnrewindableBodyError,
    urllib3.exceptions.HTTPError,
    urllib3.exceptions.RequestError,
    urllib3.exceptions.ResponseError,
    urllib3.exceptions.MaxRetryError,
    urllib3.exceptions.HostChangedError,
    urllib3.exceptions.ProtocolError,
    urllib3.exceptions.TimeoutError,
    urllib3.exceptions.ReadTimeoutError,
    urllib3.exceptions.IncompleteRead,
    urllib3.exceptions.InvalidChunkLength,
    urllib3.exceptions.InvalidHeader,
    urllib3.exceptions.HeaderParsingError,
    urllib3.exceptions.DecodeError,
    urllib3.exceptions.BodyNotHttplibCompatible,
    urllib3.exceptions.ResponseNotChunked,
    urllib3.exceptions.UnrewindableBodyError,
)
"""Raised when the request may have left, or around what was raised (then what is inside decides)."""

_KNOWN: Final = frozenset((*ADDRESS, *BEFORE, *AFTER))


def is_one_of(error: BaseException, group: tuple[type[BaseException], ...]) -> bool:
    """Judge by the nearest class that stands in a tuple above.

    `isinstance` would not do: to urllib3 a ReadTimeoutError is a PoolError too.
    """
    return next((kind for kind in type(error).__mro__ if kind in _KNOWN), None) in group
