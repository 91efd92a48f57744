"""The revisions, one for each schema; alembic reads the files, and nothing imports this."""
