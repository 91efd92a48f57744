"""The APIs, a module per family of paths. A new module is added here and nowhere else."""

from dingwatch.sandbox.apis import contacts, media, oauth, robot_groups, robot_persons
from dingwatch.sandbox.gateway import Api

APIS: tuple[Api, ...] = (
    *oauth.APIS,
    *media.APIS,
    *robot_groups.APIS,
    *robot_persons.APIS,
    *contacts.APIS,
)
