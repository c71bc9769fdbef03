"""What an archive may believe of a run: recomputed from its raw files, plausible, replicated. Pure:
no database, no network, so that anyone can come to the same result."""
