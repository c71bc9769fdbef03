"""What a static site's explorer answers from; that it answers alike is tested in web/tests."""

import json

from lem.archive import bulk
from lem.archive.queries.explore_index import explore_index
from lem.archive.queries.sizes import NAME, size_of
from lem.archive.schema import DIMENSIONS, HEADLINE
from tests import archive_queries, archive_rows


def test_every_configuration_with_counted_runs_is_there_with_its_figures(archive) -> None:
    known = archive_queries.filled(archive)
    with archive.database.reading() as c:
        index = json.loads(json.dumps(explore_index(c), allow_nan=False))
    ids = sorted(h for h in known.configurations() if known.best_tier(h))
    assert index["ids"] == [h[:16] for h in ids]
    assert index["tier"] == [known.best_tier(h) for h in ids]
    sizes = index["dimensions"].pop(NAME)
    models = [known.configurations()[h].model for h in ids]
    assert [sizes["values"][code] for code in sizes["codes"]] == list(map(size_of, models))
    assert set(index["metrics"]) == set(HEADLINE) and set(index["dimensions"]) == set(DIMENSIONS)
    for name, column in index["dimensions"].items():
        values = [column["values"][code] for code in column["codes"]]
        assert values == [getattr(known.configurations()[h], name) for h in ids]
    for metric in HEADLINE:
        before: dict[str, float | None] = {}
        for tier, figures in enumerate(index["metrics"][metric]["tiers"], 1):
            there = [h for h in ids if known.best_tier(h) >= tier]
            wanted = {h: known.mean(h, metric, tier) for h in there}
            if figures is None:
                found = {h: before[h] for h in there}
            else:
                assert {len(column) for column in figures.values()} == {len(there)}
                found = dict(zip(there, figures["mean"], strict=True))
                certain = zip(figures["expanded"], figures["mean"], figures["why"], strict=True)
                assert all((u is None and m is not None) == bool(why) for u, m, why in certain)
            assert {h: v and round(v, 9) for h, v in found.items()} == {
                h: v and round(v, 9) for h, v in wanted.items()
            }
            before = found


def test_settings_that_differ_can_be_chosen_by(archive) -> None:
    known = archive_queries.filled(archive)
    with archive.database.reading() as c:
        paths = explore_index(c)["paths"]
    ids = sorted(h for h in known.configurations() if known.best_tier(h))
    configs = [known.configurations()[h] for h in ids]
    assert "backend" not in paths
    for name in ("enable_prefix_caching", "name", "share"):
        column = paths[f"args.{name}"]
        values = [column["values"][code] for code in column["codes"]]
        wanted = [c.experiment["args"][name] for c in configs]
        assert values == wanted and [type(v) for v in values] == [type(v) for v in wanted]


def test_tiers_with_the_same_figures_are_written_once(archive) -> None:
    with archive.database.writing() as c:
        o = archive_rows.origin(c, 0)
    what = archive_rows.config(0)
    rows = [archive_rows.run(o, what, b, 1.0 + b / 100, tier=3) for b in range(4)]
    bulk.merge(archive.database, rows)
    with archive.database.reading() as c:
        tiers = explore_index(c)["metrics"]["mean_power_w"]["tiers"]
    assert tiers[0]["runs"] == [4] and tiers[1:] == [None, None]
