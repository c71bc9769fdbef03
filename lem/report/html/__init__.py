"""A campaign folder as one HTML file that needs nothing else: ``lem results report``."""
