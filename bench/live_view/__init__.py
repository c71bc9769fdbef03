"""How the live view keeps up: frames and memory of a browser that watches."""
