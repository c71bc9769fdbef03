"""SGLang: ``backend`` is the plugin, ``server`` drives its own server."""
