"""A runner's folder: what it remembers, what it removes, and what a person has had."""

import os
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from lem.contract.queue import Claimed, Person
from lem.errors import EnvironmentFault
from lem.runner.home import Begun, Home, used_bytes
from lem.runner.ledger import Ledger
from lem.runner.policy import Policy, Quotas, Total

QUEUED = "q" + "1" * 20
ALICE, BOB = "p" + "a" * 20, "p" + "b" * 20


def claimed(
    fence: int = 1, begun: bool = False, queued: str = QUEUED, owner: str = "ab" * 8
) -> Claimed:
    return Claimed(
        queued=queued, fence=fence, lease_s=30, owner=owner, campaign="x", begun=begun,
        person=Person(id=ALICE, name="Alice"),
    )  # fmt: skip


@pytest.fixture
def home(tmp_path: Path) -> Home:
    one = Home(tmp_path / "data")
    with one.alone():
        pass
    return one


def claim(home: Home, one: Claimed) -> Begun:
    """As a job does once all that others have done is here."""
    begun, _ = home.claimed(one)
    begun = begun.model_copy(update={"whole": True})
    home.keep(begun)
    return begun


def with_folder(home: Home, queued: str = QUEUED, size: int = 10) -> Path:
    folder = home.campaign(queued)
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "x").write_bytes(b"x" * size)
    return folder


def test_a_runner_keeps_its_id(home: Home) -> None:
    assert home.instance() == Home(home.root).instance()


def test_one_runner_a_folder(home: Home) -> None:
    with home.alone(), pytest.raises(EnvironmentFault, match="another runner"), home.alone():
        pass


@pytest.mark.parametrize(
    ("fence", "begun", "goes_on"),
    [
        (2, True, True),  # nobody else had it in between
        (2, False, True),
        (3, False, True),  # somebody had it, and submitted nothing
        (3, True, False),
    ],
)
def test_a_folder_goes_on_where_nobody_else_has_gone_on(
    home: Home, fence: int, begun: bool, goes_on: bool
) -> None:
    claim(home, claimed())
    folder = with_folder(home)
    assert home.claimed(claimed(fence, begun))[1] is goes_on
    assert folder.exists() is goes_on


@pytest.mark.parametrize(
    ("others", "goes_on"),
    [
        (0, True),  # the answers to two claims were lost
        (2, False),  # another had it, then the answer to a claim of this runner was lost
        (3, False),
    ],
)
def test_an_answer_that_was_lost_costs_no_block(home: Home, others: int, goes_on: bool) -> None:
    claim(home, claimed())
    folder = with_folder(home)
    one = claimed(4, True).model_copy(update={"others_fence": others})
    assert home.claimed(one)[1] is goes_on and folder.exists() is goes_on


def test_what_was_given_back_for_a_while_goes_on_where_it_was(home: Home) -> None:
    begun = claim(home, claimed())
    folder = with_folder(home)
    home.ended(begun, "later")
    assert home.open_begun() == []
    assert home.claimed(claimed(2, True))[1] is True and folder.exists()


def test_what_others_did_is_fetched_again_where_that_was_broken_off(home: Home) -> None:
    home.claimed(claimed(3, True))  # and killed before it was here
    assert home.claimed(claimed(4, True))[1] is False


def test_another_campaign_under_the_same_id_is_not_gone_on_with(home: Home) -> None:
    claim(home, claimed())
    folder = with_folder(home)
    assert home.claimed(claimed(2, owner="cd" * 8))[1] is False
    assert not folder.exists()


def test_time_and_energy_are_not_given_anew(home: Home) -> None:
    begun, _ = home.claimed(claimed())
    home.keep(begun.model_copy(update={"spent_s": 100.0, "spent_kwh": 0.5}))
    again, _ = home.claimed(claimed(5, True))
    assert (again.spent_s, again.spent_kwh) == (100.0, 0.5)


def test_what_is_over_goes_after_some_days_and_earlier_where_there_is_no_room(home: Home) -> None:
    begun, _ = home.claimed(claimed())
    folder = with_folder(home, size=2_000_000)
    home.ended(begun, "done")
    assert home.tidy(Policy()) == [] and folder.exists() and not home.open_begun()
    assert home.tidy(Policy(max_disk_gb=0.001)) == [QUEUED] and not folder.exists()
    begun, _ = home.claimed(claimed())
    home.ended(begun, "done")
    assert home.tidy(Policy(keep_days=0)) == [QUEUED]
    assert home.every_begun() == []


def test_models_go_by_when_they_were_used_and_never_under_a_campaign(home: Home) -> None:
    for age, name in ((3, "a"), (2, "b"), (1, "c")):
        folder = home.cache / "models" / name
        folder.mkdir(parents=True)
        (folder / "weights").write_bytes(b"x" * 1_000_000)
        os.utime(folder, (1e9 - age, 1e9 - age))
    home.used_models({"a/vllm"})
    small = Policy(max_disk_gb=0.0015)
    begun, _ = home.claimed(claimed())
    assert home.tidy(small) == []
    home.ended(begun, "elsewhere")
    assert home.tidy(small)[-2:] == ["models/b", "models/c"]
    assert (home.cache / "models" / "a").exists()


def test_a_link_is_neither_followed_nor_counted(home: Home, tmp_path: Path) -> None:
    (tmp_path / "large").write_bytes(b"x" * 10**6)
    home.campaign(QUEUED).symlink_to(tmp_path)
    assert used_bytes(home.root / "campaigns") < 10**5
    home.remove(QUEUED)
    assert (tmp_path / "large").exists() and not home.campaign(QUEUED).is_symlink()


NOW = datetime(2026, 11, 27, 12, tzinfo=UTC)
LIMITS = Quotas(campaigns=2, hours=1.0, kwh=0.5)


def test_quotas_are_of_a_person_and_of_a_day(tmp_path: Path) -> None:
    ledger = Ledger(tmp_path / "ledger.json")
    for n in range(2):
        ledger.pay(ALICE, f"q{n:020d}", 60, 0.01, NOW)
    third = f"q{2:020d}"
    assert "2 campaigns" in str(ledger.refusal(ALICE, third, LIMITS, NOW))
    assert ledger.refusal(ALICE, f"q{1:020d}", LIMITS, NOW) is None  # it was counted already
    assert ledger.refusal(BOB, third, LIMITS, NOW) is None
    assert ledger.refusal(ALICE, third, LIMITS, NOW + timedelta(hours=25)) is None
    again_s = ledger.again_in_s(ALICE, NOW + timedelta(hours=1))
    assert again_s == 23 * 3600 and ledger.again_in_s(BOB, NOW) > 0
    later = NOW + timedelta(hours=1, seconds=again_s)
    assert ledger.refusal(ALICE, third, LIMITS, later) is None


def test_hours_and_energy_add_up_over_restarts(tmp_path: Path) -> None:
    path = tmp_path / "ledger.json"
    for hour in range(3):
        Ledger(path).pay(ALICE, QUEUED, 1300, 0.1, NOW + timedelta(hours=hour))
    now = NOW + timedelta(hours=3)
    assert "1.1 hours" in str(Ledger(path).refusal(ALICE, QUEUED, LIMITS, now))
    assert Ledger(path).refusal(ALICE, QUEUED, Quotas(hours=None, kwh=None), now) is None
    Ledger(path).pay(ALICE, QUEUED, 0, 0.3, now)
    only_kwh = Quotas(campaigns=None, hours=None, kwh=0.5)
    said = str(Ledger(path).refusal(ALICE, QUEUED, only_kwh, now))
    assert said.startswith("counted as up to 0.60 kWh (an upper bound, not a measurement) for this")
    assert Ledger(path).refusal(ALICE, QUEUED, only_kwh, now + timedelta(hours=25)) is None


def test_all_people_together_have_a_quota_too(tmp_path: Path) -> None:
    """However many people a server says that there are."""
    ledger = Ledger(tmp_path / "ledger.json")
    total = Quotas().total
    assert total.hours is not None and total.kwh is not None
    for n in range(16):
        assert ledger.exhausted(total, NOW) is None
        ledger.pay(f"p{n:020x}", f"q{n:020d}", 3600, 0.1, NOW + timedelta(minutes=n))
    assert "16.0 hours" in str(ledger.exhausted(total, NOW))
    assert ledger.exhausted(Total(hours=None), NOW) is None
    said = str(ledger.exhausted(Total(hours=None, kwh=1.5), NOW))
    assert said.startswith("counted as up to 1.60 kWh (an upper bound, not a measurement) within")
    assert ledger.again_in_s(None, NOW + timedelta(hours=1)) == 23 * 3600
    assert ledger.exhausted(total, NOW + timedelta(hours=24, seconds=1)) is None


def test_a_ledger_that_cannot_be_read_is_begun_anew(tmp_path: Path) -> None:
    path = tmp_path / "ledger.json"
    path.write_text("{")
    Ledger(path).pay(ALICE, QUEUED, 1, 0, NOW)
    assert Ledger(path).refusal(BOB, QUEUED, LIMITS, NOW) is None
