"""One cluster for the tests of a file."""

from collections.abc import Iterator

import pytest
from clusters import testbed
from clusters.testbed import SlurmCluster


@pytest.fixture(scope="module")
def cluster() -> Iterator[SlurmCluster]:
    with testbed.slurm() as found:
        yield found
