"""How well the client for served engines measures, and what it costs."""
