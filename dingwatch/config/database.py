"""The address of a ledger in PostgreSQL, and its password, which comes from one source of several.

The address is a URL as SQLAlchemy reads it, which is not imported here: a config file is checked without it.
"""

from __future__ import annotations

import ipaddress
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Final
from urllib.parse import parse_qs, parse_qsl, quote, unquote, urlencode

from dingwatch.config import secret
from dingwatch.config.findings import Finding, KeyPath
from dingwatch.texts import Problems

ENVIRONMENT: Final = "DINGWATCH_LEDGER_PASSWORD"
CREDENTIAL: Final = "ledger_password"
"""The name of the systemd credential."""
KEY: Final[KeyPath] = ("ledger",)
MASK: Final = "***"
SCHEME: Final = "postgresql+psycopg://"
PATTERN: Final = (
    r"postgresql\+psycopg://"
    r"(?:[^:/?#@\s]*(?::[^/?#@\s]*)?@)?"
    r"(?:[^:/?#@\s\[\]]+|\[[0-9A-Fa-f:.]+\])?(?::[0-9]{1,5})?"
    r"(?:/[^/?#\s]*)?(?:\?[^#\s]*)?"
)
"""All of an address: user and password, host and port, database, and parameters of libpq."""
_ADDRESS: Final = re.compile(PATTERN)
_USER: Final = re.compile(r"(?<=://)[^:/?#@\s]*(?::([^/?#@\s]*))?@")
_SECRET_PARAMETERS: Final = re.compile(r"(?<=[?&])((?:ssl)?password=)[^&#]*")


def is_address(url: str) -> bool:
    """Return whether a text is the address of a database that the ledger supports."""
    return _ADDRESS.fullmatch(url) is not None


def hide_password(url: str) -> str:
    """Return an address for people to see, also one that is none."""
    hidden = _SECRET_PARAMETERS.sub(rf"\1{MASK}", url)
    return re.sub(r"(?<=://)([^/@]*):[^@]*@", rf"\1:{MASK}@", hidden)


def strip_password(url: str) -> str:
    """Return an address without its password, as it may be typed again."""
    bare, question, query = re.sub(r"(?<=://)([^:/?#@\s]*):[^/?#@\s]*@", r"\1@", url).partition("?")
    kept = [one for one in query.split("&") if one.partition("=")[0] not in {"password", "sslpassword"}]
    return f"{bare}{question}{'&'.join(kept)}" if any(kept) else bare


def describe_address(url: str) -> str:
    """Return where a ledger is, without the password and the parameters of libpq."""
    place = _USER.sub("", url).removeprefix(SCHEME).partition("?")[0]
    host, _, name = place.partition("/")
    hosts = [host] if host else _parameters(url).get("host", [])
    return f"postgresql://{','.join(hosts)}/{name}"


def _parameters(url: str) -> Mapping[str, list[str]]:
    return parse_qs(url.partition("?")[2], keep_blank_values=True)


def has_password(url: str) -> bool:
    """Return whether an address itself contains a password."""
    return password_of(url) != ""


def password_of(url: str) -> str:
    """Return the password that an address contains, or an empty text."""
    user, named = _USER.search(url), _parameters(url).get("password", [""])
    return unquote(user[1]) if user and user[1] else named[0]


def libpq_uri(url: str) -> str:
    """Return an address without its password as the programs of PostgreSQL read it, such as `pg_dump`."""
    user = _USER.search(url)
    name = user[0][:-1].partition(":")[0] if user else ""
    place, _, written = _USER.sub("", url).removeprefix(SCHEME).partition("?")
    host, _, database = place.partition("/")
    pairs = parse_qsl(written, keep_blank_values=True)
    several = [value for key, value in pairs if key == "host" and not value.startswith("/")]
    # SQLAlchemy takes several hosts as `host=a:5432&host=b:5432`, libpq before the name of the database.
    rest = [(key, value) for key, value in pairs if key != "password" and not (several and key == "host")]
    hosts = ",".join(filter(None, [host, *several]))
    query = urlencode(rest, safe="/:", quote_via=quote)
    return f"postgresql://{name}{'@' if name else ''}{hosts}/{database}{'?' if query else ''}{query}"


def is_local(url: str) -> bool:
    """Return whether a connection stays on this machine: on a unix socket, or on a loopback address."""
    place = _USER.sub("", url).removeprefix(SCHEME).partition("?")[0].partition("/")[0]
    given = [place, *_parameters(url).get("host", []), *_parameters(url).get("hostaddr", [])]
    return all(map(_is_local_host, filter(None, given)))


def _is_local_host(place: str) -> bool:
    host = place.rpartition(":")[0] if re.search(r":[0-9]+$", place) and not place.endswith("]") else place
    host = host.strip("[]")
    try:
        return host.startswith("/") or host == "localhost" or ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False


def is_verified(url: str) -> bool:
    """Return whether libpq checks that the server is the one that the address names."""
    return _parameters(url).get("sslmode", [""])[0] == "verify-full"


def passfile(url: str) -> Path | None:
    """Return libpq's file of passwords that an address names."""
    named = _parameters(url).get("passfile")
    return Path(named[0]) if named else None


@dataclass(frozen=True, slots=True)
class Sources:
    """The sources of the password that are set."""

    url: str
    environment: str | None
    credential: Path | None

    @classmethod
    def of(cls, url: str, environ: Mapping[str, str]) -> Sources:
        """Return what an address and an environment have."""
        return cls(url, environ.get(ENVIRONMENT) or None, secret.credential(environ, CREDENTIAL))

    @property
    def names(self) -> list[str]:
        """Their names as people know them."""
        named = {
            "ledger": has_password(self.url),
            "passfile": passfile(self.url) is not None,
            f"${ENVIRONMENT}": self.environment is not None,
            f"$CREDENTIALS_DIRECTORY/{CREDENTIAL}": self.credential is not None,
        }
        return [name for name, given in named.items() if given]


def resolve(sources: Sources, *, needed: bool) -> tuple[str, list[Finding]]:
    """Return the address with its password, or what is wrong with the sources of that.

    With `needed` it must be readable; a command may lack it, and asks the running service.
    """
    names = sources.names
    if len(names) > 1:
        return sources.url, [Finding(KEY, Problems.LEDGER_PASSWORD_TWICE, {"places": ", ".join(names)})]
    if sources.credential is not None:
        password, wrong = secret.read_password(sources.credential, KEY)
    elif sources.environment is not None:
        password, wrong = secret.clean(sources.environment), []
    else:
        return sources.url, list(_check_passfile(sources.url)) if needed else []
    if wrong:
        return sources.url, wrong if needed else []
    return _with_password(sources.url, password), []


def _check_passfile(url: str) -> Iterator[Finding]:
    """Yield why libpq would not read a file of passwords; it then only says that it has no password."""
    path = passfile(url)
    if path is None:
        return
    try:
        with path.open("rb") as file:
            command = secret.exposure(path, file.fileno())
    except OSError as error:
        yield Finding(KEY, Problems.SECRET_UNREADABLE, {"path": path, "reason": error.strerror})
    else:
        yield from secret.report_exposure(path, command, KEY)


def _with_password(url: str, password: str) -> str:
    written = quote(password, safe="")
    head, _, rest = url.partition("://")
    user, at, place = rest.rpartition("@") if _USER.search(url) else ("", "", rest)
    return f"{head}://{user.partition(':')[0]}:{written}@{place}" if at else f"{head}://:{written}@{rest}"
