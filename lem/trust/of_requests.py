"""To come."""

from lem.trust.case import Check

CHECKS: tuple[Check, ...] = ()
