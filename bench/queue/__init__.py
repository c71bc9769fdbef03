"""How fast a queue gives campaigns out, to many runners at once."""
