import re
import threading

import pytest
import sqlalchemy as sa
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from lem.archive import identities, log
from lem.archive.queue.tables import METADATA
from lem.archive.refused import Refused
from lem.archive.schema import IDENTITY, INVITATION, KEY, NONCE, TOKEN
from lem.submit import manifest


def proof(archive, key: Ed25519PrivateKey) -> tuple[bytes, bytes]:
    public = manifest.raw_public(key)
    message = manifest.enrol_message(archive.database.setting("archive"), public)
    return public, key.sign(message)


def enrol(archive, key, secret=None, policy="open", name="me") -> str:
    public, signed = proof(archive, key)
    with archive.database.writing() as c:
        return identities.enrol(c, public, signed, secret, name, policy)


def refusal(action) -> str:
    with pytest.raises(Refused) as caught:
        action()
    return caught.value.reason


def test_an_invitation_enrols_one_key_once(archive) -> None:
    with archive.database.writing() as c:
        secret = identities.invite(c, "Lab 3")
    first, second = Ed25519PrivateKey.generate(), Ed25519PrivateKey.generate()
    key = enrol(archive, first, secret, "invitation", name="another name")
    assert enrol(archive, first, secret, "invitation") == key
    assert refusal(lambda: enrol(archive, second, secret, "invitation")) == "invitation_unknown"
    assert refusal(lambda: enrol(archive, second, "guess", "invitation")) == "invitation_unknown"
    assert refusal(lambda: enrol(archive, second, None, "invitation")) == "invitation_needed"
    with archive.database.reading() as c:
        row = c.execute(sa.select(IDENTITY)).one()
        assert (row.name, row.enrolled_by) == ("Lab 3", "invitation")
        assert c.scalar(sa.select(INVITATION.c.identity_id)) == row.id
        assert [e.kind for e in log.entries(c)] == ["key_enrolled"]


def test_an_invitation_expires(archive) -> None:
    with archive.database.writing() as c:
        secret = identities.invite(c, "late", valid_s=-1)
    key = Ed25519PrivateKey.generate()
    assert refusal(lambda: enrol(archive, key, secret, "open")) == "invitation_unknown"


def test_two_at_once_use_one_invitation_once(archive) -> None:
    with archive.database.writing() as c:
        secret = identities.invite(c, "both")
    done: list[str] = []

    def go() -> None:
        try:
            done.append(enrol(archive, Ed25519PrivateKey.generate(), secret, "invitation"))
        except Refused as e:
            done.append(e.reason)

    threads = [threading.Thread(target=go) for _ in range(4)]
    for t in threads:
        t.start()
    for t in threads:
        t.join(60)
    assert sorted(len(d) for d in done) == [18, 18, 18, 64]


def test_nobody_enrols_anothers_key(archive) -> None:
    mine, other = Ed25519PrivateKey.generate(), Ed25519PrivateKey.generate()
    public, _ = proof(archive, mine)
    _, signed = proof(archive, other)

    def steal() -> None:
        with archive.database.writing() as c:
            identities.enrol(c, public, signed, None, "thief", "open")

    assert refusal(steal) == "bad_signature"


@pytest.mark.parametrize("name", ["", "  ", "x" * 81, "a\nb", "a\x00b", "\u202egnp"])
def test_names_can_be_shown(archive, name: str) -> None:
    assert refusal(lambda: enrol(archive, Ed25519PrivateKey.generate(), name=name)) == "bad_name"


def test_a_nonce_is_for_one_key_and_one_use(archive) -> None:
    mine = enrol(archive, Ed25519PrivateKey.generate())
    other = enrol(archive, Ed25519PrivateKey.generate())
    with archive.database.writing() as c:
        made = identities.nonce(c, mine)
        assert not identities.nonce_is_there(c, made.nonce, other)
        with pytest.raises(Refused):
            identities.use_nonce(c, made.nonce, other)
        assert identities.nonce_is_there(c, made.nonce, mine)
        identities.use_nonce(c, made.nonce, mine)
        with pytest.raises(Refused) as caught:
            identities.use_nonce(c, made.nonce, mine)
        assert caught.value.reason == "nonce_unknown"
        late = identities.nonce(c, mine).nonce
        c.execute(NONCE.update().values(expires_at=1.0))
        with pytest.raises(Refused):
            identities.use_nonce(c, late, mine)


def test_nobody_can_use_up_the_nonces_of_anothers_key(archive, monkeypatch) -> None:
    """Asking needs no signature and keys are public: there is always one for the holder."""
    monkeypatch.setattr(identities, "MAX_NONCES", 3)
    key = enrol(archive, Ed25519PrivateKey.generate())
    with archive.database.writing() as c:
        for _ in range(20):
            identities.nonce(c, key)
        mine = identities.nonce(c, key).nonce
        identities.nonce(c, key)
        assert c.scalar(sa.select(sa.func.count()).select_from(NONCE)) == 3
        identities.use_nonce(c, mine, key)


def test_nonces_are_bounded_and_swept(archive) -> None:
    key = enrol(archive, Ed25519PrivateKey.generate())
    with archive.database.writing() as c:
        identities.nonce(c, key)
        c.execute(NONCE.update().values(expires_at=1.0))
        identities.nonce(c, key)
        assert c.scalar(sa.select(sa.func.count()).select_from(NONCE)) == 1
        with pytest.raises(Refused):
            identities.nonce(c, "0" * 64)


def test_a_key_gives_its_place_to_another(archive) -> None:
    old, new = Ed25519PrivateKey.generate(), Ed25519PrivateKey.generate()
    key = enrol(archive, old)
    name = archive.database.setting("archive")
    with archive.database.writing() as c:
        nonce = identities.nonce(c, key).nonce
    public = manifest.raw_public(new)
    message = manifest.rotate_message(name, key, public, nonce)

    def rotate(by_old: bytes, by_new: bytes) -> str:
        with archive.database.writing() as c:
            return identities.rotate(c, key, public, nonce, by_old, by_new)

    assert refusal(lambda: rotate(old.sign(message), old.sign(message))) == "bad_signature"
    assert refusal(lambda: rotate(new.sign(message), new.sign(message))) == "bad_signature"
    replaced = rotate(old.sign(message), new.sign(message))
    assert refusal(lambda: rotate(old.sign(message), new.sign(message))) == "key_revoked"
    assert refusal(lambda: enrol(archive, old)) == "key_revoked"
    with archive.database.reading() as c:
        rows = {r.id: r for r in c.execute(sa.select(KEY))}
        assert rows[key].identity_id == rows[replaced].identity_id
        assert rows[key].replaced_by == replaced and rows[replaced].revoked_at is None
        kinds = [e.kind for e in log.entries(c)]
    assert kinds == ["key_enrolled", "key_replaced"]


def test_a_key_revokes_itself_and_an_admin_any(archive) -> None:
    mine = Ed25519PrivateKey.generate()
    key = enrol(archive, mine)
    other = enrol(archive, Ed25519PrivateKey.generate())
    with archive.database.writing() as c:
        nonce = identities.nonce(c, key).nonce
        message = manifest.revoke_message(archive.database.setting("archive"), key, nonce)
        with pytest.raises(Refused):
            identities.revoke(c, other, nonce, mine.sign(message))
        identities.revoke(c, key, nonce, mine.sign(message))
        identities.revoke_by_admin(c, other)
        identities.revoke_by_admin(c, other)
        for gone in (key, other):
            with pytest.raises(Refused) as caught:
                identities.nonce(c, gone)
            assert caught.value.reason == "key_revoked"
        assert [e.kind for e in log.entries(c, 2)] == ["key_revoked", "key_revoked"]


def test_tokens_grant_their_role_until_they_end(archive) -> None:
    with archive.database.writing() as c:
        admin = identities.issue_token(c, "admin", "me")
        late = identities.issue_token(c, "runner", "late", valid_s=-1)
        grant = identities.role_of(c, admin)
        assert grant is not None
        assert grant[:6] == ("admin", "me", None, None, None, None)
        assert grant.token_hash == identities.hash_of(admin)
        assert re.fullmatch("t[0-9a-f]{20}", grant.token)
        assert identities.role_of(c, late) is None
        assert identities.role_of(c, identities.hash_of(admin)) is None
        assert identities.role_of(c, "\ud800" + admin) is None
        assert identities.revoke_token(c, "me") == 1
        assert identities.role_of(c, admin) is None


def test_no_secret_is_in_the_database(archive) -> None:
    with archive.database.writing() as c:
        told = [identities.invite(c, "x"), identities.issue_token(c, "admin", "x")]
        rows = [str(c.execute(sa.select(t)).all()) for t in METADATA.tables.values()]
        assert c.scalar(sa.select(sa.func.count()).select_from(TOKEN)) == 1
    assert all(len(secret) == 43 and secret not in text for secret in told for text in rows)
