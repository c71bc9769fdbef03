"""A server that somebody else started: ``backend`` is the plugin, ``server`` what it is asked."""
