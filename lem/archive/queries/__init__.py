"""What can be asked of an archive: each function takes a connection for reading and a question, and
gives an answer. Both are pydantic models, which are the API's description too. Nothing here knows
of HTTP, and nothing here writes."""
