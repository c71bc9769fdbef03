"""What it costs a server to show a running campaign to many at once, and how late they see it."""
