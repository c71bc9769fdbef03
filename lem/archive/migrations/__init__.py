"""The history of the archive's tables, one file a step (Alembic)."""
