"""Simulated campaigns, to see whether the intervals of ``lem.stats`` cover what they claim.

``make coverage`` runs the whole study (minutes on one core), writes docs/coverage.md and
docs/coverage.svg, and fails where a cell falls short.
"""
