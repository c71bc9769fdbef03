import pytest
import sqlalchemy as sa
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from lem.archive import identities, ingest, log, rebuild
from lem.archive.ingest import receipt
from lem.archive.queue.tables import METADATA
from lem.archive.refused import Refused
from lem.archive.retract import retract
from lem.archive.schema import BLOB, BOARD_SET, CONFIG, CONFIG_SUMMARY, FACET, RUN
from lem.submit import manifest
from tests.archive_submissions import Submitter, campaign, part_of

ARMS = [[0.10, 0.11, 0.12], [0.20, 0.21, 0.22]]


def count(archive, table) -> int:
    with archive.database.reading() as c:
        return int(c.scalar(sa.select(sa.func.count()).select_from(table)))


def test_only_hashes_are_left(archive, tmp_path) -> None:
    me = Submitter(archive)
    whole = me.bundle(campaign(tmp_path / "c", ARMS))
    sent = [me.send(part_of(whole, numbers)) for numbers in ([0, 1, 2], [3, 4, 5])]
    assert count(archive, FACET) > 0
    taken = retract(archive.database, archive.packs, *me.retraction(sent[0].campaign))
    assert taken == 2
    for table in (RUN, BLOB, CONFIG, CONFIG_SUMMARY, FACET, BOARD_SET):
        assert count(archive, table) == 0
    assert not list(archive.packs.every())
    with archive.database.reading() as c:
        last = log.entries(c)[-1]
        assert last.payload == {
            "campaign": sent[0].campaign,
            "submissions": [s.submission for s in sent],
        }
        rows = [str(c.execute(sa.select(t)).all()) for t in METADATA.tables.values()]
    told = ["Test 80GB", "board-", whole.content.runs[0].record, "batch 1"]
    assert not [word for word in told for text in rows if word in text]
    after = receipt(archive.database, sent[0].submission)
    assert (after.campaign_state, after.checks) == ("retracted", "retracted")
    assert rebuild.differences(archive.database) == []


def test_nothing_of_it_comes_again(archive, tmp_path) -> None:
    me = Submitter(archive)
    whole = me.bundle(campaign(tmp_path / "c", ARMS))
    made = me.send(part_of(whole, [0, 1]))
    retract(archive.database, archive.packs, *me.retraction(made.campaign))
    again = me.send(part_of(whole, [0, 1]))
    assert again.already_there and again.campaign_state == "retracted"
    with pytest.raises(Refused) as caught:
        me.send(part_of(whole, [2, 3]))
    assert caught.value.reason == "campaign_retracted"
    assert retract(archive.database, archive.packs, *me.retraction(made.campaign)) == 0
    assert count(archive, RUN) == 0


def test_nobody_else_takes_it_back(archive, tmp_path) -> None:
    me, other = Submitter(archive), Submitter(archive, "other")
    made = me.push(campaign(tmp_path / "c", ARMS))

    def refusal(*signed) -> str:
        with pytest.raises(Refused) as caught:
            retract(archive.database, archive.packs, *signed)
        return caught.value.reason

    assert refusal(*other.retraction(made.campaign)) == "campaign_unknown"
    key, campaign_id, nonce, signature = me.retraction(made.campaign)
    assert refusal(key, "f" * 64, nonce, signature) == "bad_signature"
    assert refusal(other.key_id, campaign_id, nonce, signature) == "bad_signature"
    assert refusal(key, campaign_id, me.nonce(), signature) == "bad_signature"
    assert retract(archive.database, archive.packs, key, campaign_id, nonce, signature) == 1
    assert refusal(key, campaign_id, nonce, signature) == "nonce_unknown"
    assert count(archive, RUN) == 0


def test_a_replaced_keys_campaigns_are_taken_back_by_the_new_one(archive, tmp_path) -> None:
    old = Submitter(archive)
    made = old.push(campaign(tmp_path / "c", ARMS))
    new = Submitter.__new__(Submitter)
    new.__dict__.update(old.__dict__)
    new.key = Ed25519PrivateKey.generate()
    public, nonce = manifest.raw_public(new.key), old.nonce()
    message = manifest.rotate_message(old.archive_id, old.key_id, public, nonce)
    with archive.database.writing() as c:
        new.key_id = identities.rotate(
            c, old.key_id, public, nonce, old.key.sign(message), new.key.sign(message)
        )
    assert retract(archive.database, archive.packs, *new.retraction(made.campaign)) == 1


def test_what_was_left_by_a_crash_is_swept(archive, tmp_path, monkeypatch) -> None:
    me = Submitter(archive)
    made = me.push(campaign(tmp_path / "c", ARMS))
    monkeypatch.setattr(archive.packs, "delete", lambda sha: None)
    retract(archive.database, archive.packs, *me.retraction(made.campaign))
    assert list(archive.packs.every()) == [made.submission]
    monkeypatch.setattr("lem.archive.packs.time.time", lambda: 4e9)
    assert ingest.sweep(archive.database, archive.packs) == 1
    assert not list(archive.packs.every())
