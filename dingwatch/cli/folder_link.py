"""`dingwatch folder-link`: make and revoke links to the page of one folder."""

from __future__ import annotations

import secrets
import socket
from dataclasses import replace
from functools import partial
from typing import Final

import click

from dingwatch.cli.context import Session, command, option
from dingwatch.cli.ledger_access import find_scope, ledger_exists, open_store, read_clock, write
from dingwatch.cli.options import complete_folders
from dingwatch.config.values import Http, TcpAddress
from dingwatch.ledger import Store
from dingwatch.ledger.folder_links import add_link, revoke_links
from dingwatch.texts import Cli

TOKEN_BYTES: Final = 24
_ANY: Final = frozenset({"0.0.0.0", "::"})  # noqa: S104 (nothing listens here)


@command()
@click.argument("folder", metavar="FOLDER", shell_complete=complete_folders)
@option(Cli.OPT_REVOKE, "--revoke", is_flag=True)
def folder_link(session: Session, *, folder: str, revoke: bool) -> int:
    """Print a new link to the page of a folder, or revoke all links to it."""
    session.require_folder(folder)
    return _revoke(session, folder) if revoke else _make(session, folder)


def _make(session: Session, name: str) -> int:
    http = session.config.http
    if http is None:
        session.fail(Cli.LINK_NEEDS_HTTP)
    token = secrets.token_urlsafe(TOKEN_BYTES)
    root = next(one.root for one in session.folders if one.name == name)
    with open_store(session, writes=True) as store:
        targets = _targets(session, store, name)
        write(session, partial(add_link, store, root, name, targets, token, read_clock(store)))
    click.echo(address_of(http, token, session.config.node or socket.getfqdn()))
    click.echo(session.render(Cli.LINK_MADE, name=name), err=True)
    return 0


def _revoke(session: Session, name: str) -> int:
    count = 0
    if ledger_exists(session):
        with open_store(session, writes=True) as store:
            count = write(session, partial(revoke_links, store, _targets(session, store, name)))
    click.echo(session.render(Cli.LINKS_REVOKED, name=name, count=count))
    return 0


def _targets(session: Session, store: Store, name: str) -> list[int]:
    """Return the ids of a folder and of the former targets of its path; none before it was first watched."""
    scope = find_scope(session, store, replace(session.in_force, folders=tuple(session.folders)))
    return scope.targets(scope.ids[name]) if name in scope.ids else []


def address_of(http: Http, token: str, host: str) -> str:
    """Return the address of a folder's page; `host` is this machine's name."""
    name = next(iter(http.hosts), host)
    listen = http.listen
    if not isinstance(listen, TcpAddress):  # a proxy listens for it, which has a name at best
        return f"http://{name}/f/{token}"
    shown = TcpAddress(name, listen.port) if listen.host in _ANY else listen
    return f"http://{shown}/f/{token}"
