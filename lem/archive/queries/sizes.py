"""How large a model is, as its name says: no record states how many parameters it has."""

import re
from collections.abc import Collection

SIZES = (
    "below 1B",
    "1B to 4B",
    "4B to 15B",
    "15B to 40B",
    "40B to 100B",
    "100B and more",
    "not said",
)
"""Classes of billions of parameters; the lower end belongs to it."""
NAME = "model_size"
_ENDS = (1, 4, 15, 40, 100)
_PARAMETERS = re.compile(
    r"(?<![A-Za-z0-9.])(?:([0-9]{1,3})[xX])?([0-9]{1,4}(?:\.[0-9]{1,3})?)([BbMm])(?![A-Za-z0-9])"
)


def size_of(model: object) -> str:
    """The class of ``org/Name-8x7B-Instruct``: of the largest number of parameters in its name,
    ``8x7B`` taken as 56 billion. A name may leave experts out or say what is wrong."""
    name = str(model).rpartition("/")[2]
    said = [
        int(experts or 1) * float(number) / (1 if unit in "Bb" else 1000)
        for experts, number, unit in _PARAMETERS.findall(name)
    ]
    if not said or max(said) == 0:
        return SIZES[-1]
    return SIZES[sum(max(said) >= end for end in _ENDS)]


def is_one_of(sizes: Collection[str], model: object) -> bool:
    return size_of(model) in sizes
