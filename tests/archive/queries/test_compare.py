import hashlib
import math
import random

import pytest

from lem.archive import summaries
from lem.archive.queries.attribute import AttributeQuestion, attribute
from lem.archive.queries.compare import CompareQuestion, compare
from lem.archive.queries.configurations import configuration
from lem.archive.queries.ratios import across
from lem.archive.queries.spread import previous_of
from lem.archive.refused import Refused
from lem.archive.schema import BLOB, CAMPAIGN, CONFIG, IDENTITY, RUN
from lem.errors import BadInput
from lem.stats import carry_over, ratios
from tests import archive_queries, records
from tests.archive.queries.test_leaderboard import ask as board

ENERGY = "energy_per_output_token_j"


def gpu_board(n: int) -> dict:
    return {**records.gpu(), "uuid": "board-" + f"{n:032x}"}


def campaign(
    archive,
    submitter,
    means,
    *,
    blocks=6,
    board_of=lambda arm: 0,
    seed=1,
    nll=None,
    nll_tokens={},  # noqa: B006
    lock=None,
    drift=0.05,
):
    """``means``: batch size → joules per token."""
    chance = random.Random(seed)
    made, table = [], {}
    for block in range(blocks):
        shared = math.exp(chance.gauss(0, drift))
        for arm, (batch, mean) in enumerate(means.items()):
            value = mean * shared * math.exp(chance.gauss(0, 0.003))
            experiment_id = hashlib.sha256(b"%d" % batch).hexdigest()
            table.setdefault(experiment_id, {})[block] = value
            made.append(
                records.record(
                    arm_id=experiment_id,
                    raw_experiment=records.experiment(batch),
                    block=block,
                    energy={"gpu": value},
                    gpus=[gpu_board(board_of(arm))],
                    semantics=4,
                    nll=None if nll is None else nll[batch],
                    nll_tokens=None if nll is None else nll_tokens.get(batch, 100),
                    started=records.START.replace(hour=12 + block, minute=arm),
                )
            )
    return archive_queries.submitted(archive, made, submitter=submitter, lock=lock), table


def ids_of(archive) -> dict[int, str]:
    """Batch size → configuration."""
    with archive.database.reading() as c:
        rows = c.execute(CONFIG.select()).all()
    return {r.experiment["engine"]["max_batch_size"]: r.hash for r in rows}


def ask(archive, configurations, **fields):
    question = CompareQuestion(id=configurations, **fields)
    with archive.database.reading() as c:
        return compare(c, archive.packs, question)


def test_within_a_campaign_ratios_are_of_blocks(archive) -> None:
    _, table = campaign(archive, 0, {1: 1.0, 2: 0.8, 4: 0.99})
    ids = ids_of(archive)
    found = ask(archive, [ids[1], ids[2], ids[4]])
    names = {b: hashlib.sha256(b"%d" % b).hexdigest() for b in (1, 2, 4)}
    wanted = ratios(table, names[1], comparisons=2)
    by_batch = {r.configuration.max_batch_size: r for r in found.rows}
    assert by_batch[1].ratio is None
    for batch in (2, 4):
        ratio, reference = by_batch[batch].ratio, wanted[names[batch]]
        assert ratio.basis == "within campaign" and ratio.blocks == 6 and ratio.comparisons == 2
        assert (ratio.ratio, ratio.low, ratio.high) == pytest.approx(
            (reference.ratio, reference.low, reference.high)
        )
    assert by_batch[2].ratio.verdict == "less"
    assert by_batch[2].ratio.words.startswith("20")
    assert "GPU energy per output token" in by_batch[2].ratio.words
    assert by_batch[4].ratio.verdict in ("same", "less")
    assert found.differing == ["engine.max_batch_size"]
    assert by_batch[4].settings == {"engine.max_batch_size": 4}
    assert by_batch[2].figures[0].metric == ENERGY


def test_a_baseline_can_be_named(archive) -> None:
    campaign(archive, 0, {1: 1.0, 2: 0.8})
    ids = ids_of(archive)
    found = ask(archive, [ids[1], ids[2]], baseline=ids[2])
    assert found.baseline == ids[2]
    assert found.rows[0].ratio.ratio == pytest.approx(1.25, rel=0.02)
    assert found.rows[0].ratio.verdict == "more"


def test_across_campaigns_both_uncertainties_enter(archive) -> None:
    campaign(archive, 0, {1: 1.0}, seed=3, drift=0.002)
    campaign(archive, 1, {2: 0.5}, seed=4, drift=0.002)
    ids = ids_of(archive)
    found = ask(archive, [ids[1], ids[2]])
    ratio = found.rows[1].ratio
    assert ratio.basis == "across campaigns" and ratio.blocks is None and ratio.campaign is None
    own, base = found.rows[1].figures[0], found.rows[0].figures[0]
    half = math.hypot(*(math.log(f.value / (f.value - f.uncertainty)) for f in (own, base)))
    assert ratio.ratio == pytest.approx(own.value / base.value)
    assert ratio.low == pytest.approx(ratio.ratio * math.exp(-half))
    assert ratio.high == pytest.approx(ratio.ratio * math.exp(half))
    assert ratio.verdict == "less" and "different campaigns" in ratio.words


def test_the_same_ratio_elsewhere_is_shown_and_not_averaged(archive) -> None:
    campaign(archive, 0, {1: 1.0, 2: 0.8}, blocks=6, seed=1)
    campaign(archive, 1, {1: 2.0, 2: 1.0}, blocks=4, seed=2)
    ids = ids_of(archive)
    ratio = ask(archive, [ids[1], ids[2]]).rows[1].ratio
    assert ratio.ratio == pytest.approx(0.8, rel=0.01) and ratio.blocks == 6
    (other,) = ratio.elsewhere
    assert other.ratio == pytest.approx(0.5, rel=0.01) and other.blocks == 4
    assert other.campaign != ratio.campaign


def test_arms_on_different_boards_carry_the_boards_gains(archive) -> None:
    """Without the records nobody knows how the energy was spread, so there is no interval."""
    campaign(archive, 0, {1: 1.0, 2: 0.8}, board_of=lambda arm: arm)
    ids = ids_of(archive)
    assert ask(archive, [ids[1], ids[2]]).rows[1].ratio.low is not None
    with archive.database.writing() as c:
        c.execute(BLOB.delete())
    ratio = ask(archive, [ids[1], ids[2]]).rows[1].ratio
    assert ratio.low is None and "boards" in ratio.reason and ratio.verdict == "cannot_tell"


def test_worse_answers_are_said_beside_a_saving(archive) -> None:
    campaign(archive, 0, {1: 1.0, 2: 0.8}, nll={1: 2.0, 2: 2.5})
    ids = ids_of(archive)
    ratio = ask(archive, [ids[1], ids[2]]).rows[1].ratio
    assert ratio.verdict == "less" and ratio.words.endswith("its NLL per token is 25 % higher")


def test_estimated_and_measured_are_never_compared(archive) -> None:
    campaign(archive, 0, {1: 1.0})
    archive_queries.submitted(archive, [records.record(semantics=4)], submitter=3)
    with archive.database.reading() as c:
        hashes = [r.hash for r in c.execute(CONFIG.select())]
    with pytest.raises(Refused) as refused:
        ask(archive, hashes)
    assert refused.value.reason == "not_comparable" and "estimated" in str(refused.value)


@pytest.mark.parametrize("ids", [["0" * 64] * 2, ["0" * 64, "1" * 64]])
def test_what_is_not_there_is_404(archive, ids) -> None:
    with pytest.raises(Refused) as refused:
        ask(archive, ids)
    assert refused.value.status == 404


def test_sizes_are_bounded() -> None:
    for items in ([("id", "0" * 64)], [("id", f"{n:064x}") for n in range(21)], [("id", "../x")]):
        with pytest.raises(BadInput):
            CompareQuestion.from_query(items)


def test_a_figure_without_uncertainty_gives_no_interval(archive) -> None:
    campaign(archive, 0, {1: 1.0}, blocks=2)
    campaign(archive, 1, {2: 0.5}, blocks=2)
    first = board(archive).rows
    estimate = across(first[0].figure, first[1].figure, 1)
    assert estimate.low is None and "at least 3 blocks" in estimate.reason


def grid(archive, effects, *, drop=None):
    """A campaign over batch size × dtype."""
    arms, made = [], []
    chance = random.Random(4)
    for batch in (1, 2):
        for dtype in ("float16", "float32"):
            raw = records.experiment(batch)
            raw["engine"] = {"max_batch_size": batch, "dtype": dtype}
            arm_id = hashlib.sha256(f"{batch}{dtype}".encode()).hexdigest()
            settings = {"engine.max_batch_size": batch, "engine.dtype": dtype}
            if (batch, dtype) == drop:
                continue
            arms.append(
                {
                    "arm_id": arm_id,
                    "label": f"{batch} {dtype}",
                    "settings": settings,
                    "experiment": raw,
                }
            )
            for block in range(5):
                value = math.exp(
                    effects[0] * (batch == 2)
                    + effects[1] * (dtype == "float32")
                    + chance.gauss(0, 0.002)
                )
                made.append(
                    records.record(
                        arm_id=arm_id,
                        raw_experiment=raw,
                        block=block,
                        energy={"gpu": value},
                        gpus=[gpu_board(0)],
                        semantics=4,
                    )
                )
    lock = records.lock(arms, blocks=5)
    o = archive_queries.submitted(archive, made, lock=lock)
    with archive.database.reading() as c:
        owner = c.execute(CAMPAIGN.select().where(CAMPAIGN.c.id == o.campaign_id)).one().owner
    return f"{owner}-{o.identity_id}"


def test_attribution_splits_the_variance_of_a_grid(archive) -> None:
    """Two effects of a and b (logarithms, without interaction) have the shares a² and b²."""
    name = grid(archive, (0.3, 0.1))
    with archive.database.reading() as c:
        found = attribute(c, archive.packs, name, AttributeQuestion())
        throughput = AttributeQuestion(metric="output_throughput_tokens_per_s")
        assert not attribute(c, archive.packs, name, throughput).told_apart
        part = AttributeQuestion(only="engine.dtype=float16")
        assert [f.path for f in attribute(c, archive.packs, name, part).factors] == [
            "engine.max_batch_size"
        ]
    shares = {tuple(s.paths): s.share for s in found.shares}
    assert shares["engine.max_batch_size",] == pytest.approx(0.9, abs=0.01)
    assert shares["engine.dtype",] == pytest.approx(0.1, abs=0.01)
    assert found.spread == pytest.approx(math.exp(0.4), rel=0.01)
    assert found.energy_class == "gpu" and found.blocks == 5 and found.told_apart
    assert "NVIDIA Test 80GB" in found.hardware


def test_attribution_refuses_what_is_no_grid(archive) -> None:
    name = grid(archive, (0.3, 0.1), drop=(2, "float32"))
    with archive.database.reading() as c:
        with pytest.raises(Refused, match="not every combination was run"):
            attribute(c, archive.packs, name, AttributeQuestion())
        with pytest.raises(Refused) as refused:
            attribute(c, archive.packs, "0" * 64 + "-1", AttributeQuestion())
    assert refused.value.status == 404


def names(lock_batches):
    arms = [
        {
            "arm_id": hashlib.sha256(b"%d" % b).hexdigest(),
            "label": f"batch {b}",
            "settings": {},
            "experiment": records.experiment(b),
        }
        for b in lock_batches
    ]
    return records.lock(arms, blocks=6)


def test_ratios_to_a_shared_baseline_are_held_to_less(archive) -> None:
    """Absolute energies 8 % apart, from boards' gains: the ratios show who really agrees."""
    lock = names((1, 2))
    for who, (base, own) in enumerate([(1.0, 0.8), (1.08, 0.8 * 1.08), (1.0, 0.8 * 1.08)]):
        o, _ = campaign(
            archive,
            who,
            {1: base, 2: own},
            lock=lock,
            seed=who,
            drift=0.002,
            board_of=lambda arm, who=who: who,
        )
        with archive.database.writing() as c:
            invited = IDENTITY.update().where(IDENTITY.c.id == o.identity_id)
            c.execute(invited.values(enrolled_by="invitation"))
    ids = ids_of(archive)
    with archive.database.reading() as c:
        found = configuration(c, ids[2]).ratio_replications
        assert configuration(c, ids[1]).ratio_replications == []
    assert {r.baseline for r in found} == {ids[1]} and {r.margin for r in found} == {0.03}
    by = {(r.submitter_a[-1], r.submitter_b[-1]): r for r in found}
    assert {k: r.verdict for k, r in by.items()} == {
        ("0", "1"): "agrees",
        ("0", "2"): "disagrees",
        ("1", "2"): "disagrees",
    }
    assert by["0", "2"].ratio == pytest.approx(1 / 1.08, rel=0.005)


def test_ratios_of_runs_on_different_boards_are_not_held_against_each_other(archive) -> None:
    lock = names((1, 2))
    for who in range(2):
        campaign(archive, who, {1: 1.0, 2: 0.8}, lock=lock, board_of=lambda arm, w=who: 2 * w + arm)
    with archive.database.reading() as c:
        assert configuration(c, ids_of(archive)[2]).ratio_replications == []


def test_ratios_are_of_runs_as_well_known_as_the_figures(archive) -> None:
    """Self-reported runs do not enter beside figures that were recomputed."""
    campaign(archive, 0, {1: 1.0, 2: 0.8})
    with archive.database.writing() as c:
        c.execute(RUN.update().where(RUN.c.block == 0).values(tier=1))
        summaries.refresh(c, None)
    ids = ids_of(archive)
    ratio = ask(archive, [ids[1], ids[2]]).rows[1].ratio
    assert ratio.blocks == 5
    assert ask(archive, [ids[1], ids[2]], tier="self-reported").rows[1].ratio.blocks == 6


def test_likelihoods_of_other_tokens_are_no_share_of_anything(archive) -> None:
    lock = names((1, 2))
    lock.arms[1].settings["engine.max_batch_size"] = 2
    lock.arms[0].settings["engine.max_batch_size"] = 1
    nll = {1: 2.0, 2: 2.5}
    o, _ = campaign(archive, 0, {1: 1.0, 2: 0.8}, lock=lock, nll=nll, nll_tokens={2: 90})
    with archive.database.reading() as c:
        owner = c.execute(CAMPAIGN.select().where(CAMPAIGN.c.id == o.campaign_id)).one().owner
        with pytest.raises(Refused, match="same tokens"):
            question = AttributeQuestion(metric="nll_per_token")
            attribute(c, archive.packs, f"{owner}-{o.identity_id}", question)


def spread(archive, *, off=0.0, together=True, gains=(0.0, 0.03, -0.02, 0.01)):
    """Four boards, three blocks each; blocks that ran ``together`` began at the same time. On the
    second board the second configuration takes more by ``off``."""
    chance = random.Random(5)
    made, table, on = [], {}, {}
    for block in range(12):
        board = block % 4
        on[block] = str(board)
        shared = math.exp(chance.gauss(0, 0.05)) * (1 + gains[board])
        for arm in chance.sample(range(2), 2):
            value = (1.0, 0.8)[arm] * shared * math.exp(chance.gauss(0, 0.003))
            value *= 1 + off * (arm == 1 and board == 1)
            experiment_id = hashlib.sha256(b"%d" % arm).hexdigest()
            table.setdefault(experiment_id, {})[block] = value
            hour = block // 4 if together else block
            made.append(
                records.record(
                    arm_id=experiment_id,
                    raw_experiment=records.experiment(arm + 1),
                    block=block,
                    energy={"gpu": value},
                    gpus=[gpu_board(board)],
                    semantics=4,
                    started=records.START.replace(hour=8 + hour, minute=10 * len(made) % 20),
                )
            )
    archive_queries.submitted(archive, made)
    first, second = (hashlib.sha256(b"%d" % arm).hexdigest() for arm in range(2))
    return {0: table[first], 1: table[second]}, on


@pytest.mark.parametrize("off", [0.0, 0.06])
def test_blocks_on_several_boards_give_the_interval_of_their_campaign(archive, off) -> None:
    table, on = spread(archive, off=off)
    ids = ids_of(archive)
    ratio = ask(archive, [ids[1], ids[2]]).rows[1].ratio
    expected = ratios(table, 0, boards=on)[1]
    assert (expected.method == "boards") is (off > 0)
    assert (ratio.low, ratio.high) == pytest.approx((expected.low, expected.high))


def test_what_ran_before_is_what_ran_before_on_the_same_board(archive) -> None:
    spread(archive)
    with archive.database.reading() as c:
        (campaign_id,) = c.scalars(CAMPAIGN.select().with_only_columns(CAMPAIGN.c.id))
        assert previous_of(c, [campaign_id]) == {campaign_id: {b: b - 4 for b in range(4, 12)}}


def test_on_one_set_of_boards_the_block_before_is_the_block_before(archive) -> None:
    campaign(archive, 0, {1: 1.0, 2: 0.8})
    with archive.database.reading() as c:
        (campaign_id,) = c.scalars(CAMPAIGN.select().with_only_columns(CAMPAIGN.c.id))
        assert previous_of(c, [campaign_id]) == {campaign_id: None}


def test_carry_over_is_sought_on_the_same_board(archive, monkeypatch) -> None:
    given = []

    def seen(*args, previous=None, **options):
        given.append(previous)
        return carry_over(*args, previous=previous, **options)

    monkeypatch.setattr("lem.archive.queries.ratios.carry_over", seen)
    spread(archive)
    ids = ids_of(archive)
    ask(archive, [ids[1], ids[2]])
    assert given == [{b: b - 4 for b in range(4, 12)}]
