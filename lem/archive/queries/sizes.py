"""How large a model is, as its name says: no record states how many parameters it has."""

import re
from collections.abc import Collection
from functools import lru_cache

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
    r"(?<![A-Za-z0-9.])(?<![0-9]_)(?:([0-9]{1,3})[xX])?"
    r"([0-9]{1,4}(?:\.[0-9]{1,3})?)([BbMmT])(?![A-Za-z0-9])"
)
_BILLIONS = {"b": 1.0, "m": 0.001, "t": 1000.0}


@lru_cache(maxsize=50_000)
def size_of(model: object) -> str:
    """The class of ``org/Name-8x7B-Instruct``, where ``8x7B`` is 56 billion: of the first number of
    billions in its name, which tokens that it was trained on may follow; of millions where there
    are none. A name may leave experts out or say what is wrong."""
    found = _PARAMETERS.findall(str(model).rpartition("/")[2])
    found.sort(key=lambda one: one[2] in "Mm")  # the order stays the name's otherwise
    for experts, number, unit in found[:1]:
        billions = int(experts or 1) * float(number) * _BILLIONS[unit.lower()]
        if billions > 0:
            return SIZES[sum(billions >= end for end in _ENDS)]
    return SIZES[-1]


def is_one_of(sizes: Collection[str], model: object) -> bool:
    return size_of(model) in sizes
