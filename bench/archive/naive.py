"""What the leaderboard's question costs where it is put to the runs themselves."""

import time

import numpy as np
import sqlalchemy as sa

from bench.archive.load import METRICS, TIERS
from lem.archive.database import Database
from lem.archive.schema import CONFIG, RUN
from lem.archive.synthetic.invented import BOARDS, ENGINES


def ask(database: Database, count: int, seed: int = 1) -> list[float]:
    """Seconds of each of so many questions: mean and scatter over a configuration's runs, by a
    GROUP BY, filtered by tier and a column, the best 50."""
    draw = np.random.default_rng((seed, 9))
    taken: list[float] = []
    for _ in range(count):
        metric = RUN.c[str(draw.choice(METRICS))]
        mean = sa.func.avg(metric)
        where = [RUN.c.counted, RUN.c.tier >= 1 + int(draw.integers(len(TIERS)))]
        where.append(
            CONFIG.c.backend == str(draw.choice(list(ENGINES)))
            if draw.integers(2)
            else CONFIG.c.device_model == str(draw.choice(list(BOARDS)))
        )
        query = (
            sa.select(RUN.c.config_id, sa.func.count(), mean, sa.func.avg(metric * metric))
            .join(CONFIG, RUN.c.config_id == CONFIG.c.id)
            .where(*where)
            .group_by(RUN.c.config_id)
            .order_by(mean)
            .limit(50)
        )
        start = time.perf_counter()
        with database.reading() as connection:
            connection.execute(query).all()
        taken.append(time.perf_counter() - start)
    return taken
