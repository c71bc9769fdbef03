"""llama.cpp through ``xllamacpp``: ``backend`` is the plugin, ``server`` drives its own server."""
