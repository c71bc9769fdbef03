"""Alembic's way in. The connection comes from ``Database.migrate``, in a transaction that is the
only one that writes: a step is taken whole or not at all, by one process."""

from alembic import context

from lem.archive.queue import tables

context.configure(
    connection=context.config.attributes["connection"], target_metadata=tables.METADATA
)
context.run_migrations()
