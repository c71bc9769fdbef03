"""The archive: records from anyone as an evidence base. Database, ingest, summaries, public log,
queries. It knows nothing of HTTP; ``lem/server`` does."""
