"""What runs inside the container: one job in, one record or failure out."""
