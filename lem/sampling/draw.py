"""Points drawn beforehand, by hashing and exact arithmetic: the same on every machine and with
every version of every library."""

import hashlib
import warnings
from collections.abc import Iterator
from typing import Literal

from lem.sampling.space import Point, Space

BITS = 30
"""Of a coordinate of a Sobol point."""
CHUNK = 64


def draw(space: Space, kind: Literal["random", "sobol"], seed: int) -> Iterator[Point]:
    """Points without end. A point may come again, above all where there are few.

    ``random``: each coordinate uniform and independent. ``sobol``: the points of a Sobol sequence,
    which fill the space more evenly, shifted at random digit by digit (I. M. Sobol, USSR Comp.
    Math. 7 (1967) 86; P. L'Ecuyer, C. Lemieux, in Modeling Uncertainty (2002) 419).
    """
    # Coordinates go by name, so that one axis more leaves the others as they are.
    names = [
        "model",
        "backend",
        *dict.fromkeys(a for axes in space.backends.values() for a in axes),
    ]
    backends = sorted(space.backends)
    for row in _random(names, seed) if kind == "random" else _sobol(names, seed):
        u = dict(zip(names, row, strict=True))
        backend = backends[int(u["backend"] * len(backends))]
        axes = space.backends[backend]
        values = {name: axis.at(u[name]) for name, axis in axes.items()}
        yield Point(int(u["model"] * space.models), backend, values)


def hashed(*parts: object) -> int:
    """53 random bits from these parts."""
    text = "/".join(map(str, parts)).encode()
    return int.from_bytes(hashlib.sha256(text).digest()[:8], "big") >> 11


def _random(names: list[str], seed: int) -> Iterator[list[float]]:
    n = 0
    while True:
        yield [hashed("random", seed, n, name) / 2**53 for name in names]
        n += 1


def _sobol(names: list[str], seed: int) -> Iterator[list[float]]:
    from scipy.stats.qmc import Sobol

    shift = [hashed("sobol", seed, name) >> (53 - BITS) for name in names]
    engine = Sobol(len(names), scramble=False, bits=BITS)
    while True:
        with warnings.catch_warnings():
            # SciPy warns of numbers of points that are no power of two; here one is drawn after
            # the other.
            warnings.simplefilter("ignore", UserWarning)
            rows = engine.random(CHUNK)
        for row in rows:
            yield [
                (round(u * 2**BITS) ^ s) / 2**BITS for u, s in zip(row.tolist(), shift, strict=True)
            ]
