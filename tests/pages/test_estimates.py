"""What pages of estimates say of where their figures are from."""

import re
from typing import Any

import pytest
import sqlalchemy as sa

from lem.archive.queries import assumed
from lem.archive.queries.assumed import Assumed
from lem.archive.queries.attribute import AttributeQuestion, attribute
from lem.archive.queries.compare import CompareQuestion, compare
from lem.archive.queries.results import ResultsQuestion, results
from lem.archive.refused import Refused
from lem.archive.schema import CAMPAIGN, RUN
from lem.charts.model import Target
from lem.contract.record import MeterInfo, Record
from lem.contract.spec import Measurement
from lem.meters.estimate import RELATIVE_UNCERTAINTY
from lem.pages.assumed import sentence
from lem.pages.page import Params, Query, Reader
from lem.pages.registry import kinds
from lem.web import rendering
from lem.web.addresses import LiveLinks
from lem.web.rendering import Site
from lem.web.strings import catalogue
from tests import records
from tests.archive.conftest import archive, new_archive, postgres
from tests.pages.campaigns import campaign

__all__ = ["archive", "new_archive", "postgres"]
JOULES = {1: 2.0, 2: 1.2, 4: 0.5}
OF_METERS = re.compile(r"\bmeters?\b|\breadings?\b|\bmeasurements?\b|\bmeasured\b", re.IGNORECASE)
TRUE = (
    "not measured", "Nothing is measured in this archive yet", "No meter saw", "no meter saw",
    "not of measured energy", "measured energies may have another", "Raw readings",
    "Kind of meter estimate",
)  # fmt: skip
"""What may be said of meters beside estimates."""


def shown(archive: Any, name: str, params: Params | None = None, query: Query = ()) -> str:
    """The words of a page's content."""
    with archive.database.reading() as connection:
        page = kinds()[name].build(Reader(connection, archive.packs), params or {}, query)
    target = Target(name, dict(params or {}))
    html = rendering.page(page.shown(target), Site(LiveLinks()))
    main = re.sub(r"<svg.*?</svg>", " ", html.split("<main")[1].split("</main>")[0], flags=re.S)
    return re.sub(r"\s+", " ", re.sub(r"<[^>]+>", " ", main))


def runs_and_configurations(archive: Any) -> tuple[list[str], list[str]]:
    with archive.database.reading() as connection:
        rows = results(connection, ResultsQuestion()).rows
    return [r.id for r in rows], [r.configuration for r in rows]


def test_pages_of_estimates_speak_of_no_meter(archive: Any) -> None:
    name = campaign(archive, JOULES, energy_class="estimated", nll=dict.fromkeys(JOULES, 2.5))
    runs, configurations = runs_and_configurations(archive)
    ids = [("id", one[:16]) for one in dict.fromkeys(configurations)]
    for page, params, query in (
        ("home", {}, ()),
        ("stories", {}, ()),
        ("attribution", {"campaign": name}, ()),
        ("compare", {}, ids),
        ("everyday", {}, ()),
        ("result", {"id": runs[0]}, ()),
        ("configuration", {"id": configurations[0][:16]}, ()),
    ):
        said = shown(archive, page, params, query)
        for allowed in TRUE:
            said = said.replace(allowed, "")
        wrong = [said[max(0, m.start() - 50) : m.end() + 50] for m in OF_METERS.finditer(said)]
        assert not wrong, (page, wrong)


def test_measured_pages_have_no_word_of_estimates(archive: Any) -> None:
    campaign(archive, JOULES)
    runs, configurations = runs_and_configurations(archive)
    for page, id in (("result", runs[0]), ("configuration", configurations[0][:16])):
        said = shown(archive, page, {"id": id})
        assert "Estimated, not measured" not in said and "assumed" not in said
    assert "of the meter and of the scatter" in said


def with_meter(relative: float | None, **measurement: Any) -> Record:
    one = records.record(energy={"estimated": 1.0}, gpus=[])
    raw = one.model_dump()
    raw["measurement"] = {
        k: v for k, v in raw["measurement"].items() if k != "watts_per_busy_core"
    } | measurement
    raw["meters"] = [
        MeterInfo(
            meter="estimate",
            device="processes",
            device_class="estimated",
            quantity="cpu_time_ns",
            unit="ns",
            description="",
            relative_uncertainty=relative,
        ).model_dump()
    ]
    return Record.model_validate(raw)


def test_the_numbers_are_those_of_the_record() -> None:
    of = assumed.stated(with_meter(0.3, watts_per_busy_core=7.5))
    assert of == Assumed(7.5, 0.3)
    assert "an assumed 7.5 W for each busy core" in sentence(of) and "±30 %" in sentence(of)


def test_what_a_record_does_not_state_is_not_said() -> None:
    assert assumed.stated(with_meter(0.5)) is None
    of = assumed.stated(with_meter(None, watts_per_busy_core=7.5))
    assert of == Assumed(7.5, None)
    assert "7.5 W" in sentence(of) and "%" not in sentence(of)
    assert not re.search(r"\d", sentence(None))


def test_the_box_of_a_run_and_of_a_configuration_says_what_was_assumed(
    archive: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    campaign(archive, JOULES, energy_class="estimated")
    runs, configurations = runs_and_configurations(archive)
    places = (("result", runs[0]), ("configuration", configurations[0][:16]))
    for page, id in places:
        assert "× an assumed 10 W for each busy core." in shown(archive, page, {"id": id})
    monkeypatch.setattr(assumed, "stated", lambda record: None)
    for page, id in places:
        assert catalogue()["estimate.unstated"] in shown(archive, page, {"id": id})
    stated = Assumed(7.5, 0.3)
    monkeypatch.setattr(assumed, "stated", lambda record: stated)
    for page, id in places:
        assert sentence(stated) in shown(archive, page, {"id": id})


def test_campaigns_that_assume_different_powers_have_no_number_together(
    archive: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    for submitter in (0, 1):
        campaign(archive, JOULES, energy_class="estimated", submitter=submitter)
    _, configurations = runs_and_configurations(archive)
    with archive.database.writing() as connection:
        other, one = connection.scalars(sa.select(CAMPAIGN.c.id).order_by(CAMPAIGN.c.id.desc()))
        some = (RUN.c.campaign_id == other) & (RUN.c.block == 1)
        connection.execute(RUN.update().where(some).values(campaign_id=one, block=9))
    watts = iter((10.0, 12.0))
    monkeypatch.setattr(assumed, "stated", lambda record: Assumed(next(watts), 0.5))
    with archive.database.reading() as connection:
        found = assumed.of_configuration(connection, archive.packs, configurations[0], 1)
    assert found is None and next(watts, None) is None


def test_the_method_has_the_numbers_of_the_code(archive: Any) -> None:
    said = shown(archive, "method")
    watts = Measurement.model_fields["watts_per_busy_core"].default
    assert f"{watts:g} W unless a campaign sets another" in said
    assert f"±{100 * RELATIVE_UNCERTAINTY:g} % (k = 2)" in said and "{{" not in said


def test_estimates_are_not_compared_by_what_they_cannot_know(archive: Any) -> None:
    name = campaign(archive, JOULES, energy_class="estimated")
    _, configurations = runs_and_configurations(archive)
    metric = "energy_above_idle_per_output_token_j"
    with archive.database.writing() as c:
        c.execute(RUN.update().values({metric: 1.0}))
    with archive.database.reading() as c:
        ids = list(dict.fromkeys(configurations))
        with pytest.raises(Refused, match="no power at rest"):
            compare(c, archive.packs, CompareQuestion(id=ids, metric=metric))
        with pytest.raises(Refused, match="no power at rest"):
            attribute(c, archive.packs, name, AttributeQuestion(metric=metric))


def test_the_explorer_offers_no_metric_that_estimates_cannot_tell(archive: Any) -> None:
    campaign(archive, JOULES, energy_class="estimated", nll=dict.fromkeys(JOULES, 2.5))

    def offered(query: Query) -> list[str]:
        with archive.database.reading() as connection:
            page = kinds()["explore"].build(Reader(connection, archive.packs), {}, query)
        return list(page.context["metrics"])

    above_idle = "energy_above_idle_per_output_token_j"
    assert "energy_per_output_token_j" in offered(())
    assert above_idle not in offered(())
    assert above_idle in offered([("metric", above_idle)])
    campaign(archive, JOULES, energy_class="gpu", submitter=1)
    assert above_idle in offered(())
    assert above_idle not in offered([("class", "estimated")])
