"""How fast the pages are, in a server and in a browser: ``python -m bench pages``."""
