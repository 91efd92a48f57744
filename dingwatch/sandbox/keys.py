"""Ids that clients must not take apart: keys of messages, media and uploads."""

import base64
import secrets

_PLUS_AND_SLASH = b"\xfb\xff"  # base64 writes these 16 bits as "+/"


def opaque_key(size: int) -> str:
    """Random text of base64 that holds `+`, `/` and, unless `size` is 1, 4, 7, …, `=`.

    Every key has all of them, so that a client which forgets to escape one in an address fails at once, and
    not with one file in ten.
    """
    return base64.b64encode(_PLUS_AND_SLASH + secrets.token_bytes(size)).decode("ascii")
