"""Speed and size of lem itself. Run with ``python -m bench`` (``make bench``)."""
