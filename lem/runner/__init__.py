"""A machine at others' disposal: claims queued campaigns from a server and runs them."""
