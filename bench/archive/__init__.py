"""How fast an archive answers and takes in: ``python -m bench archive``."""
