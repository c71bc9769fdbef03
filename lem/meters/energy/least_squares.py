"""Least squares with priors, small and without a library: it runs where there may be none. Pure."""

from __future__ import annotations

import math
from collections.abc import Sequence
from operator import mul

Row = Sequence[float]


def cholesky(
    xs: Sequence[float], variances: Sequence[float], walk: float, timing: float
) -> list[list[float]]:
    """Of the ticks' covariance: independent errors, and noise that adds up from the edge on."""
    factor: list[list[float]] = []
    for i in range(len(xs)):
        row: list[float] = []
        for j in range(i + 1):
            entry = walk * xs[j] + (timing * variances[i] if i == j else 0.0)
            entry -= sum(map(mul, row, factor[j] if j < i else row))
            row.append(math.sqrt(max(entry, 1e-18)) if i == j else entry / factor[j][j])
        factor.append(row)
    return factor


def forward(factor: Sequence[Row], values: Sequence[float]) -> list[float]:
    """What the values are in units in which their errors are independent and 1."""
    out: list[float] = []
    for row, value in zip(factor, values, strict=True):
        out.append((value - sum(map(mul, row, out))) / row[-1])
    return out


def fit(
    columns: Sequence[Row], ys: Row, precisions: Sequence[float]
) -> tuple[list[float], list[list[float]], float] | None:
    """Coefficients with Gaussian priors of mean 0: their mean, covariance, and the logarithm of how
    likely the values are (up to what all shapes have in common). None where they are not told
    apart at all."""
    n = len(columns)
    matrix = [[0.0] * n for _ in range(n)]
    for i in range(n):
        for j in range(i + 1):
            matrix[i][j] = matrix[j][i] = sum(map(mul, columns[i], columns[j]))
        matrix[i][i] += precisions[i]
    right = [sum(map(mul, c, ys)) for c in columns]
    inverse, log_determinant = _inverse(matrix)
    if inverse is None:
        return None
    mean = [sum(map(mul, row, right)) for row in inverse]
    misfit = sum(map(mul, ys, ys)) - sum(map(mul, mean, right))
    log_prior = sum(math.log(p) for p in precisions if p > 0)
    return mean, inverse, 0.5 * (log_prior - log_determinant - misfit)


def _inverse(matrix: list[list[float]]) -> tuple[list[list[float]] | None, float]:
    """Of a small symmetric positive matrix, with the logarithm of its determinant (Gauss-Jordan,
    scaled to a unit diagonal)."""
    n = len(matrix)
    scale = [math.sqrt(matrix[i][i]) for i in range(n)]
    if not all(s > 0 for s in scale):
        return None, 0.0
    work = [
        [matrix[i][j] / scale[i] / scale[j] for j in range(n)] + [float(i == j) for j in range(n)]
        for i in range(n)
    ]
    log_determinant = 2 * sum(math.log(s) for s in scale)
    for k in range(n):
        pivot = work[k][k]
        if pivot < 1e-13:
            return None, 0.0
        log_determinant += math.log(pivot)
        work[k] = [v / pivot for v in work[k]]
        for i in range(n):
            if i != k and work[i][k]:
                by = work[i][k]
                work[i] = [a - by * b for a, b in zip(work[i], work[k], strict=True)]
    return [
        [work[i][n + j] / scale[i] / scale[j] for j in range(n)] for i in range(n)
    ], log_determinant
