"""Keys of servers that a campaign names by an environment variable."""

from collections.abc import Iterable, Mapping

from lem.contract.job import KEY_VARIABLE
from lem.contract.spec import Experiment

ARGUMENT = "api_key_env"


def keys(experiments: Iterable[Experiment], environ: Mapping[str, str]) -> dict[str, str]:
    """Variable → value, for an agent that is to speak to such a server; what is not set is left
    out, and the agent says so. The value is in no document: launchers hand it over by file."""
    found = {}
    for experiment in experiments:
        name = experiment.args.get(ARGUMENT)
        if experiment.backend != "openai" or not isinstance(name, str):
            continue
        if KEY_VARIABLE.fullmatch(name) and name in environ:
            found[name] = environ[name]
    return found
