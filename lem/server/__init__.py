"""The archive over HTTP: ``app`` puts it together, ``routes/`` has one file per resource,
``running`` serves it, ``checker`` is the process beside it that judges what was submitted."""
