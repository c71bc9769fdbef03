"""Signatures and the one spelling of what is signed."""

import hashlib
import json

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from hypothesis import given
from hypothesis import strategies as st

from lem.contract.submission import Content, Manifest, Submitted
from lem.errors import BadInput
from lem.submit import manifest as m
from tests.submit.given import SALT

KEY = Ed25519PrivateKey.from_private_bytes(bytes(range(32)))
OTHER = Ed25519PrivateKey.from_private_bytes(bytes(32))
PUBLIC = m.raw_public(KEY)


def content(*runs: Submitted) -> Content:
    default = (
        Submitted(block=0, arm_id="a", attempt=0, record="1" * 64, trace="2" * 64),
        Submitted(block=0, arm_id="a", attempt=1, failure="3" * 64),
    )
    return Content(
        campaign="c" * 64,
        lock="d" * 64,
        board_salt=SALT,
        runs=list(runs or default),
        lem_version="0.1.0",
    )


def manifest(**changes: object) -> Manifest:
    raw: dict[str, object] = {
        "archive": "a" * 64,
        "key": m.key_id(PUBLIC),
        "nonce": "n" * 22,
        "signed_at": "2026-05-04T12:00:00.000+00:00",
        "content": content(),
    }
    return Manifest(**{**raw, **changes})  # type: ignore[arg-type]


def test_the_examples_of_rfc_8785() -> None:
    # Section 3.2.2 and 3.2.3, appendix B.
    source = (
        '{"numbers": [333333333.33333329, 1E30, 4.50, 2e-3, 0.000000000000000000000000001],'
        ' "string": "\\u20ac$\\u000F\\u000aA\'\\u0042\\u0022\\u005c\\\\\\"\\/",'
        ' "literals": [null, true, false]}'
    )
    made = m.canonical(json.loads(source))
    assert made.decode() == (
        '{"literals":[null,true,false],"numbers":[333333333.3333333,1e+30,4.5,0.002,1e-27],'
        '"string":"€$\\u000f\\nA\'B\\"\\\\\\\\\\"/"}'
    )
    keys = ["€", "\r", "\ufb33", "1", "😀", "\x80", "ö"]
    ordered = ["\r", "1", "\x80", "ö", "€", "😀", "\ufb33"]
    assert list(json.loads(m.canonical(dict.fromkeys(keys)))) == ordered
    numbers = {
        "a": 9.999999999999997e22,
        "b": -0.0,
        "c": 5e-324,
        "d": 1e21,
        "e": 1e-7,
        "f": 123456.0,
    }
    assert m.canonical(numbers) == (
        b'{"a":9.999999999999997e+22,"b":0,"c":5e-324,"d":1e+21,"e":1e-7,"f":123456}'
    )


@pytest.mark.parametrize("value", [2**53, -(2**53), float("nan"), float("inf"), "\ud800"])
def test_what_has_no_canonical_form_is_refused(value: object) -> None:
    with pytest.raises(BadInput, match="no canonical form"):
        m.canonical({"a": value})


def test_a_signature_is_ed25519_of_the_canonical_bytes() -> None:
    data, signature = m.sign(manifest(), KEY)
    KEY.public_key().verify(signature, data)
    assert data == m.canonical(json.loads(data))
    assert m.verify(data, signature, PUBLIC) == manifest()
    assert json.loads(data)["key"] == hashlib.sha256(PUBLIC).hexdigest()


def test_a_manifest_of_another_key_is_not_signed() -> None:
    with pytest.raises(BadInput, match="another key"):
        m.sign(manifest(), OTHER)


@given(st.data())
def test_any_changed_byte_is_refused(data: st.DataObject) -> None:
    made, signature = m.sign(manifest(), KEY)
    every = made + signature
    at = data.draw(st.integers(0, len(every) - 1))
    changed = bytearray(every)
    changed[at] ^= data.draw(st.integers(1, 255))
    with pytest.raises(BadInput):
        m.verify(bytes(changed[: len(made)]), bytes(changed[len(made) :]), PUBLIC)


@pytest.mark.parametrize(
    "spelling",
    [
        lambda raw: json.dumps(raw).encode(),
        lambda raw: m.canonical(raw) + b"\n",
        lambda raw: m.canonical(raw).replace(
            b'{"archive"', b'{"archive":"' + b"b" * 64 + b'","archive"'
        ),
        lambda raw: m.canonical({k: v for k, v in raw.items() if k != "schema_version"}),
        lambda raw: m.canonical({**raw, "tier": 3}),
        lambda raw: m.canonical({**raw, "schema_version": 2}),
        lambda raw: b"[" * 100_000,
        lambda raw: b" " * (m.MAX_MANIFEST_BYTES + 1),
    ],
)
def test_another_spelling_is_refused_even_if_it_is_signed(spelling: object) -> None:
    data = spelling(manifest().model_dump(mode="json"))  # type: ignore[operator]
    with pytest.raises(BadInput):
        m.verify(data, KEY.sign(data), PUBLIC)


def test_signatures_of_other_lengths_and_keys_are_refused() -> None:
    data, signature = m.sign(manifest(), KEY)
    for wrong in (b"", signature[:-1], signature + b"\0", OTHER.sign(data)):
        with pytest.raises(BadInput, match="signature"):
            m.verify(data, wrong, PUBLIC)
    with pytest.raises(BadInput, match="another key"):
        m.verify(data, signature, m.raw_public(OTHER))
    with pytest.raises(BadInput, match="32 bytes"):
        m.verify(data, signature, PUBLIC + b"\0")


RUN = Submitted(block=1, arm_id="a", attempt=0, record="1" * 64, trace="2" * 64)


@pytest.mark.parametrize(
    "runs",
    [
        [RUN, RUN],
        [RUN, RUN.model_copy(update={"block": 0})],
        [RUN.model_copy(update={"attempt": 10}), RUN.model_copy(update={"attempt": 9})],
        [RUN.model_copy(update={"failure": "3" * 64})],
        [RUN.model_copy(update={"record": None})],
        [RUN.model_copy(update={"record": None, "trace": None})],
    ],
)
def test_runs_are_in_order_each_once_and_whole(runs: list[Submitted]) -> None:
    made = manifest(content=content(*runs))
    with pytest.raises(BadInput):
        m.sign(made, KEY)
    data = m.canonical(made)
    with pytest.raises(BadInput):
        m.verify(data, KEY.sign(data), PUBLIC)


def test_the_same_content_is_the_same_submission_whatever_the_nonce() -> None:
    assert m.content_sha256(manifest().content) == m.content_sha256(
        manifest(nonce="x" * 22).content
    )
    other = content().model_copy(update={"lock": "e" * 64})
    assert m.content_sha256(other) != m.content_sha256(content())


def test_messages_are_bound_to_archive_key_and_purpose() -> None:
    key, new = m.key_id(PUBLIC), m.raw_public(OTHER)
    messages = [
        m.enrol_message("a" * 64, PUBLIC),
        m.rotate_message("a" * 64, key, new, "n"),
        m.revoke_message("a" * 64, key, "n"),
        m.retract_message("a" * 64, key, "n"),
    ]
    assert len({*messages, m.enrol_message("b" * 64, PUBLIC)}) == 5
    assert messages[2] == (
        b'{"archive":"' + b"a" * 64 + b'","key":"' + key.encode() + b'","nonce":"n",'
        b'"purpose":"revoke"}'
    )


@pytest.mark.parametrize("text", ["", "AA", "AA==\n", "AB==", "?A==", "AAA="])
def test_base64_has_one_spelling(text: str) -> None:
    assert m.from_base64("AA==", 1) == b"\0"
    with pytest.raises(BadInput):
        m.from_base64(text, 1)
