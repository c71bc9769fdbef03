"""All checks of a run, in the order in which their findings are shown."""

from lem.trust import of_environment, of_meters, of_power, of_requests, of_windows
from lem.trust.case import Case, Check

CHECKS: tuple[Check, ...] = (
    *of_meters.CHECKS,
    *of_power.CHECKS,
    *of_windows.CHECKS,
    *of_requests.CHECKS,
    *of_environment.CHECKS,
)


def findings(case: Case) -> list[tuple[str, str]]:
    """Names of the rules that object, each once, with what was found first."""
    found: dict[str, str] = {}
    for check in CHECKS:
        for rule, detail in check(case):
            found.setdefault(rule, detail)
    return list(found.items())
