"""Pages of the platform: what is asked of it and what runs now. Nothing here is kept by a state of
the archive, and a static site has none of it."""
