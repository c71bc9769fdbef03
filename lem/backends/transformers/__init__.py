"""Hugging Face transformers: ``backend`` is the plugin."""
