"""The APIs, a module per family of paths. A new module is added here and nowhere else."""

from dingwatch.sandbox.apis import (
    contacts,
    conversation_files,
    entries,
    legacy_chats,
    media,
    oauth,
    objects,
    robot_groups,
    robot_persons,
    spaces,
    storage,
    stream_gateway,
    webhooks,
)
from dingwatch.sandbox.gateway import Api

APIS: tuple[Api, ...] = (
    *oauth.APIS,
    *media.APIS,
    *robot_groups.APIS,
    *robot_persons.APIS,
    *contacts.APIS,
    *legacy_chats.APIS,
    *webhooks.APIS,
    *stream_gateway.APIS,
    *spaces.APIS,
    *storage.APIS,
    *objects.APIS,
    *entries.APIS,
    *conversation_files.APIS,
)
