"""vLLM: ``backend`` is the plugin; ``offline`` drives the engine itself, ``server`` its server."""
