"""The tables of the queue: campaigns that wait or run, who runs them, how each claim of one ended.

People and their tokens are in ``lem/archive/schema.py``. Nothing of this can be made anew from what
was submitted, and none of it is in a dump.
"""

import sqlalchemy as sa

from lem.archive.schema import BIG, JSON, METADATA

__all__ = ["CLAIM", "DECLINED", "METADATA", "QUEUED", "RUNNER", "SESSION"]

SESSION = sa.Table(
    "session",
    METADATA,
    sa.Column("hash", sa.Text, primary_key=True),
    sa.Column("token_hash", sa.ForeignKey("token.hash"), nullable=False, index=True),
    sa.Column("created_at", sa.Text, nullable=False),
    sa.Column("expires_at", sa.Float, nullable=False, index=True),
)
"""Browsers that are signed in, by SHA-256 of what their cookie says; each may do what its token
may, for as long as that is valid."""

RUNNER = sa.Table(
    "runner",
    METADATA,
    sa.Column("id", BIG, primary_key=True),
    sa.Column("handle", sa.Text, nullable=False, unique=True),
    sa.Column("token_hash", sa.ForeignKey("token.hash"), nullable=False),
    sa.Column("instance", sa.Text, nullable=False),
    sa.Column("name", sa.Text, nullable=False),
    sa.Column("hello", sa.Text, nullable=False),
    sa.Column("registered_at", sa.Text, nullable=False),
    sa.Column("seen_at", sa.Float, nullable=False),
    sa.Column("doing", sa.Text, nullable=False, server_default=""),
    sa.Column("disabled_at", sa.Text),
    sa.UniqueConstraint("token_hash", "instance"),
)
"""``handle``: r and 20 hex digits. ``instance``: random, of the runner's folder. ``hello``: what it
said of itself last (``lem/contract/queue.py``). Times as seconds are of the epoch, by the database
server's clock where there is one."""

QUEUED = sa.Table(
    "queued",
    METADATA,
    sa.Column("seq", BIG, primary_key=True),
    sa.Column("turn", BIG, nullable=False),
    sa.Column("id", sa.Text, nullable=False, unique=True),
    sa.Column("person_id", sa.ForeignKey("person.id"), nullable=False, index=True),
    sa.Column("owner", sa.Text, nullable=False),
    sa.Column("campaign", sa.Text, nullable=False, unique=True),
    sa.Column("name", sa.Text, nullable=False),
    sa.Column("yaml", sa.Text, nullable=False),
    sa.Column("experiments", sa.Integer, nullable=False),
    sa.Column("wanted", JSON, nullable=False),
    sa.Column("archived", sa.Boolean, nullable=False),
    sa.Column("state", sa.Text, nullable=False),
    sa.Column("reason", sa.Text, nullable=False, server_default=""),
    sa.Column("created_at", sa.Text, nullable=False),
    sa.Column("began_at", sa.Text),
    sa.Column("ended_at", sa.Text),
    sa.Column("fence", BIG, nullable=False, server_default="0"),
    sa.Column("lease_until", sa.Float, nullable=False, server_default="0"),
    sa.Column("runner_id", sa.ForeignKey("runner.id"), index=True),
    sa.Column("tries", sa.Integer, nullable=False, server_default="0"),
    sa.Column("cancel_at", sa.Text),
    sa.Column("device_models", sa.Text),
    sa.Column("meaning", sa.Text, index=True),
    sa.Index("ix_queued_state", "state", "turn", "seq"),
)
"""``seq``: the order in which they came; ``turn``: in which they are given out, lowest first
(``adding.py`` says how it is made). ``id``: q and 20 hex digits. ``owner``: ``Lock.owner``;
``campaign``: what is made of it with the archive's salt, ``Content.campaign`` of whatever is
submitted of it. ``wanted``: models, backends and so on, for lists. ``archived``: whether what is
measured may be published. ``state``: ``queued``, ``running``, ``done``, ``failed``, ``cancelled``.
``fence``: the last claim's number. ``runner_id``: who holds the lease, or held the last one.
``tries``: claims since blocks of it were submitted last. ``cancel_at``: when somebody wanted it to
end. ``device_models``: on which it was begun, once blocks of it were submitted; the runner's handle
where experiments are chosen as it goes, since nobody else can go on with it. ``meaning``: SHA-256
of what its file says (``Lock.campaign_digest``)."""

CLAIM = sa.Table(
    "claim",
    METADATA,
    sa.Column("queued_seq", sa.ForeignKey("queued.seq"), primary_key=True),
    sa.Column("fence", BIG, primary_key=True, autoincrement=False),
    sa.Column("runner_id", sa.ForeignKey("runner.id"), nullable=False, index=True),
    sa.Column("at", sa.Text, nullable=False),
    sa.Column("ended_at", sa.Text),
    sa.Column("outcome", sa.Text),
    sa.Column("reason", sa.Text, nullable=False, server_default=""),
)
"""Each claim of a campaign. ``outcome``: that of ``Finish``, or ``lost`` where the lease ran out;
null while it lasts."""

DECLINED = sa.Table(
    "declined",
    METADATA,
    sa.Column("queued_seq", sa.ForeignKey("queued.seq"), primary_key=True),
    sa.Column("runner_id", sa.ForeignKey("runner.id"), primary_key=True),
    sa.Column("outcome", sa.Text, nullable=False),
    sa.Column("reason", sa.Text, nullable=False, server_default=""),
    sa.Column("at", sa.Text, nullable=False),
    sa.Column("until", sa.Float),
)
"""What is not offered to a runner again. ``outcome``: ``declined``, ``unfit``, ``failed``;
``later``: not before ``until``."""
