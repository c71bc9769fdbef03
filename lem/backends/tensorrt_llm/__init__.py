"""TensorRT-LLM: ``backend`` is the plugin, ``server`` drives its own server."""
