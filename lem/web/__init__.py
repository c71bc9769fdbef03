"""What every outlet of the public face shares: templates, strings, built assets, rendering."""
