"""Why an archive refuses something: every code once, with its meaning and HTTP status."""

from typing import NamedTuple

from lem.archive.refused import Refused


class Reason(NamedTuple):
    name: str
    status: int
    meaning: str


_TABLE = (
    Reason("too_large", 413, "the submission, or what is packed in it, is larger than allowed"),
    Reason("bad_submission", 422, "it is not a submission as lem writes it"),
    Reason("bad_record", 422, "a record is not what its schema says: keys, types, limits, numbers"),
    Reason("bad_failure", 422, "a failure's document is not what its schema says"),
    Reason("bad_lock", 422, "the campaign's lock is not what its schema says"),
    Reason("newer_schema", 422, "a document is of a newer schema than this server reads"),
    Reason("newer_semantics", 422, "metrics of a newer meaning than this server knows"),
    Reason("not_private", 422, "a board's identifier, a path, an address or a secret is there"),
    Reason("synthetic_refused", 422, "made-up records: only a demonstration archive takes them"),
    Reason("wrong_archive", 422, "the manifest is meant for another archive"),
    Reason("key_unknown", 403, "the key that signs is not enrolled here"),
    Reason("key_revoked", 403, "the key that signs was revoked or replaced"),
    Reason("bad_signature", 403, "the signature is not of these bytes by this key"),
    Reason("nonce_unknown", 409, "the nonce is not known here, was used, or has expired"),
    Reason("experiment_differs", 422, "experiment_id is not the hash of the record's experiment"),
    Reason("wrong_place", 422, "a document is of another block, arm or attempt than it is sent as"),
    Reason("arm_unknown", 422, "an arm is not in the lock, or is another experiment there"),
    Reason("lock_differs", 409, "the campaign's lock says something else than when it was begun"),
    Reason("attempt_differs", 409, "this attempt was submitted before, with other bytes"),
    Reason("attempt_known", 409, "this attempt was submitted before, in another submission"),
    Reason("already_submitted", 409, "files of it are in another submission: they are replayed"),
    Reason("campaign_retracted", 409, "the campaign was taken back by its submitter"),
    Reason("campaign_rejected", 409, "the campaign was rejected: what it says cannot be so"),
    Reason("not_yours_alone", 409, "others have run blocks of this campaign: it is theirs as well"),
    Reason("campaign_unknown", 404, "there is no such campaign of this submitter"),
    Reason("submission_unknown", 404, "there is no such submission"),
    Reason("invitation_needed", 403, "this archive enrols keys by invitation only"),
    Reason("invitation_unknown", 403, "the invitation is not known here, was used, or has expired"),
    Reason("bad_name", 422, "a name is empty, too long, or has control characters"),
    Reason("token_unknown", 401, "the token is not valid here"),
    Reason("person_unknown", 404, "there is no such person"),
    Reason("no_session", 403, "a token of this role opens no session"),
    Reason("too_many_tokens", 409, "there are too many tokens: revoke one first"),
    Reason("runner_unknown", 404, "there is no such runner of this token"),
    Reason("runner_disabled", 403, "whoever runs this archive has disabled this runner"),
    Reason("too_many_runners", 409, "this token has as many runners as one may have"),
    Reason("not_the_runners_key", 403, "the key that signs is not of this runner's submitter"),
    Reason("lease_lost", 409, "the lease has run out, was given up, or the campaign has ended"),
    Reason("consent_needed", 422, "what is queued here is archived: say archive: true"),
    Reason("too_many_campaigns", 409, "this person has queued too many campaigns"),
    Reason("queue_full", 409, "too many campaigns wait; try again later"),
    Reason("not_expressible", 422, "the measured experiments cannot be left out by exclude"),
    Reason("queued_unknown", 404, "no such campaign was queued here"),
    Reason("not_yours", 403, "this campaign was queued by somebody else"),
    Reason("not_begun", 404, "nothing of this campaign was submitted yet"),
    Reason("not_handed_over", 409, "only the runner that began this campaign can go on with it"),
    Reason("key_known", 409, "this key is enrolled already"),
    Reason("pack_missing", 503, "what was submitted is not on this server's disk"),
    Reason("external_differs", 409, "this published figure is there already, with other values"),
    Reason("busy", 503, "another change took too long; try again"),
)

REASONS = {r.name: r for r in _TABLE}


def refused(name: str, message: str = "", hint: str | None = None) -> Refused:
    """The error for a reason of the table; its meaning is the message where none is given."""
    reason = REASONS[name]
    return Refused(name, message or reason.meaning, reason.status, hint)
