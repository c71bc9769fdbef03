"""The tables of an archive, for SQLite and PostgreSQL alike.

What was signed lies outside, byte for byte, in packs (``packs.py``). All but identities, keys,
people and the log can be made anew from it (``rebuild.py``). The queue's: ``queue/tables.py``.
"""

import sqlalchemy as sa
from sqlalchemy.dialects.postgresql import JSONB

from lem.trust import tiers as trust

METADATA = sa.MetaData(
    naming_convention={
        "ix": "ix_%(table_name)s_%(column_0_N_name)s",
        "uq": "uq_%(table_name)s_%(column_0_N_name)s",
        "fk": "fk_%(table_name)s_%(column_0_name)s",
        "pk": "pk_%(table_name)s",
    }
)

# SQLite counts rowids only where the key is INTEGER.
BIG = sa.BigInteger().with_variant(sa.Integer(), "sqlite")
JSON = sa.JSON().with_variant(JSONB(), "postgresql")

TIERS = {number: tier.name for number, tier in trust.TIERS.items()}
SELF_REPORTED, RECOMPUTED, REPLICATED = TIERS

SETTING = sa.Table(
    "setting",
    METADATA,
    sa.Column("name", sa.Text, primary_key=True),
    sa.Column("value", sa.Text, nullable=False),
)
"""``archive`` (64 hex digits, random), ``board_salt`` (32), ``data_version`` (raised by every
change that a reader can see), ``states`` (random names of the last versions, newest first)."""

IDENTITY = sa.Table(
    "identity",
    METADATA,
    sa.Column("id", BIG, primary_key=True),
    sa.Column("name", sa.Text, nullable=False),
    sa.Column("enrolled_by", sa.Text, nullable=False),
    sa.Column("created_at", sa.Text, nullable=False),
)
"""``enrolled_by``: ``invitation`` (someone vouched that it is one of its own), ``open``,
``imported``. Only the first counts towards a replication."""

KEY = sa.Table(
    "key",
    METADATA,
    sa.Column("id", sa.Text, primary_key=True),
    sa.Column("identity_id", sa.ForeignKey("identity.id"), nullable=False, index=True),
    sa.Column("public_key", sa.LargeBinary, nullable=False),
    sa.Column("created_at", sa.Text, nullable=False),
    sa.Column("revoked_at", sa.Text),
    sa.Column("replaced_by", sa.Text),
)
"""``id``: SHA-256 of the raw public key."""

INVITATION = sa.Table(
    "invitation",
    METADATA,
    sa.Column("hash", sa.Text, primary_key=True),
    sa.Column("name", sa.Text, nullable=False),
    sa.Column("created_at", sa.Text, nullable=False),
    sa.Column("expires_at", sa.Text, nullable=False),
    sa.Column("used_at", sa.Text),
    sa.Column("identity_id", sa.ForeignKey("identity.id")),
    sa.Column("person_id", sa.ForeignKey("person.id")),
)
"""Good for one key or for one person, once: whose it became."""

PERSON = sa.Table(
    "person",
    METADATA,
    sa.Column("id", BIG, primary_key=True),
    sa.Column("handle", sa.Text, nullable=False, unique=True),
    sa.Column("name", sa.Text, nullable=False),
    sa.Column("enrolled_by", sa.Text, nullable=False),
    sa.Column("created_at", sa.Text, nullable=False),
    sa.Column("disabled_at", sa.Text),
)
"""``handle``: p and 20 hex digits, public. ``enrolled_by``: ``open``, ``invitation``, ``admin``."""

TOKEN = sa.Table(
    "token",
    METADATA,
    sa.Column("hash", sa.Text, primary_key=True),
    sa.Column("handle", sa.Text, nullable=False, unique=True),
    sa.Column("role", sa.Text, nullable=False),
    sa.Column("name", sa.Text, nullable=False),
    sa.Column("identity_id", sa.ForeignKey("identity.id")),
    sa.Column("person_id", sa.ForeignKey("person.id"), index=True),
    sa.Column("queued_id", sa.Text),
    sa.Column("created_at", sa.Text, nullable=False),
    sa.Column("expires_at", sa.Text),
    sa.Column("revoked_at", sa.Text),
    sa.Column("used_on", sa.Text),
)
"""Bearer tokens, by SHA-256 of 256 random bits. ``handle``: t and 20 hex digits, by which one can
be listed and revoked without its secret. Roles: ``admin``, ``runner``, ``submitter``, ``owner``;
the last of ``queued_id`` alone. ``used_on``: the last day; no time is kept."""

NONCE = sa.Table(
    "nonce",
    METADATA,
    sa.Column("nonce", sa.Text, primary_key=True),
    sa.Column("key_id", sa.Text, nullable=False),
    sa.Column("expires_at", sa.Float, nullable=False, index=True),
)
"""Deleted by the submission that uses it. Times as seconds since the epoch."""

CAMPAIGN = sa.Table(
    "campaign",
    METADATA,
    sa.Column("id", BIG, primary_key=True),
    sa.Column("identity_id", sa.ForeignKey("identity.id"), nullable=False),
    sa.Column("owner", sa.Text, nullable=False),
    sa.Column("name", sa.Text, nullable=False),
    sa.Column("lock", sa.LargeBinary, nullable=False),
    sa.Column("board_salt", sa.Text, nullable=False),
    sa.Column("state", sa.Text, nullable=False),
    sa.Column("missing", sa.Text, nullable=False, server_default=""),
    sa.Column("created_at", sa.Text, nullable=False),
    sa.Column("queued", sa.Text),
    sa.UniqueConstraint("identity_id", "owner"),
)
"""``identity_id``: who sent the first of it. ``owner``: ``Content.campaign``. ``lock``: the newest,
gzip. ``state``: ``open``, ``complete``, ``rejected``, ``retracted``; only ``complete`` ones count.
``queued``: its id in the queue, where it came from there; others may have sent parts of it then."""

SUBMISSION = sa.Table(
    "submission",
    METADATA,
    sa.Column("id", BIG, primary_key=True),
    sa.Column("content_sha256", sa.Text, nullable=False, unique=True),
    sa.Column("campaign_id", sa.ForeignKey("campaign.id"), nullable=False, index=True),
    sa.Column("identity_id", sa.ForeignKey("identity.id"), nullable=False),
    sa.Column("key_id", sa.ForeignKey("key.id"), nullable=False),
    sa.Column("manifest", sa.LargeBinary),
    sa.Column("signature", sa.LargeBinary),
    sa.Column("schema_version", sa.Integer, nullable=False),
    sa.Column("semantics_version", sa.Integer, nullable=False),
    sa.Column("received_at", sa.Text, nullable=False),
    sa.Column("runs", sa.Integer, nullable=False),
    sa.Column("bytes", BIG, nullable=False),
    sa.Column("outcomes", sa.LargeBinary),
    sa.Column("traits", sa.LargeBinary),
    sa.Column("checks", sa.Text, nullable=False),
    sa.Column("lease_until", sa.Float, nullable=False, server_default="0"),
    sa.Column("tries", sa.Integer, nullable=False, server_default="0"),
    sa.Column("log_seq", BIG, nullable=False),
    sa.Index("ix_submission_checks", "checks", "lease_until"),
)
"""``manifest``: the exact signed bytes. ``outcomes``: what the plan needs of its attempts (gzip
JSON); ``traits``: what is held against other runs of the campaign, once it was checked. ``checks``:
``pending``, ``passed``, ``held``, ``rejected``, ``retracted`` (then manifest, signature, outcomes
and traits are null and its pack is deleted). ``lease_until``: who checks it now has until then;
``tries``: how often that was begun."""

BLOB = sa.Table(
    "blob",
    METADATA,
    sa.Column("submission_id", sa.ForeignKey("submission.id"), primary_key=True),
    sa.Column("sha256", sa.LargeBinary(32), primary_key=True),
    sa.Column("offset", BIG, nullable=False),
    sa.Column("length", BIG, nullable=False),
    sa.Column("kind", sa.Text, nullable=False),
    sa.Index("ix_blob_sha256", "sha256"),
)
"""Where in its submission's pack a file lies. ``kind``: ``lock``, ``record``, ``trace``,
``responses``, ``failure``."""

FINGERPRINT = sa.Table(
    "fingerprint",
    METADATA,
    sa.Column("sha256", sa.LargeBinary(32), primary_key=True),
    sa.Column("submission_id", sa.ForeignKey("submission.id"), primary_key=True),
    sa.Column("number", sa.Integer, nullable=False),
    sa.Index("ix_fingerprint_submission_id", "submission_id"),
)
"""By what a run's readings are known again, whoever sends them, however they are packed: of series
of its trace (``lem/trust/traits.py``) once it was checked; once it was retracted, of its files too.
They outlast a retraction. ``number``: its place in the manifest."""

CONFIG = sa.Table(
    "config",
    METADATA,
    sa.Column("id", BIG, primary_key=True),
    sa.Column("hash", sa.Text, nullable=False, unique=True),
    sa.Column("experiment_id", sa.Text, nullable=False, index=True),
    sa.Column("device_model", sa.Text, nullable=False),
    sa.Column("device_count", sa.Integer, nullable=False),
    sa.Column("meter_class", sa.Text, nullable=False),
    sa.Column("semantics_version", sa.Integer, nullable=False),
    sa.Column("energy_class", sa.Text, nullable=False),
    sa.Column("model", sa.Text, nullable=False),
    sa.Column("model_content", sa.Text, nullable=False),
    sa.Column("weights", sa.Text, nullable=False),
    sa.Column("backend", sa.Text, nullable=False),
    sa.Column("engine_version", sa.Text, nullable=False),
    sa.Column("dtype", sa.Text, nullable=False),
    sa.Column("quantization", sa.Text, nullable=False),
    sa.Column("max_batch_size", sa.Integer),
    sa.Column("tensor_parallel_size", sa.Integer),
    sa.Column("arrival", sa.Text, nullable=False),
    sa.Column("load", sa.Float),
    sa.Column("dataset", sa.Text, nullable=False),
    sa.Column("input_tokens", sa.Integer),
    sa.Column("output_tokens", sa.Integer),
    sa.Column("experiment", JSON, nullable=False),
    sa.Column("best_tier", sa.SmallInteger, nullable=False, server_default="0"),
    sa.Column("disagrees", sa.Boolean, nullable=False, server_default=sa.false()),
    sa.Column("last_at", sa.Text),
    sa.Index("ix_config_class", "energy_class", "best_tier"),
    sa.Index(
        "ix_config_experiment",
        "experiment",
        postgresql_using="gin",
        postgresql_ops={"experiment": "jsonb_path_ops"},
    ).ddl_if(dialect="postgresql"),
)
"""``hash``: SHA-256 of the canonical JSON of the natural key: experiment_id, device_model,
device_count, meter_class, semantics_version, energy_class. ``energy_class``: the device class that
its figures are of (``gpu`` where GPUs were used, ``cpu``, …, ``estimated``; ``none`` without
energy). ``device_model``: with the power limit in force, where it is not the usual one.
``meter_class``: how it was read (``nvml``, ``nvml (power)``, ``rapl``, ``estimate``). Texts are
empty and numbers null where an experiment says nothing. ``load``: clients of a closed loop, or
requests per second. ``best_tier``: 0 where nothing of it counts. ``disagrees``: a replication
contradicts another."""

HEADLINE = (
    "energy_per_output_token_j",
    "energy_per_total_token_j",
    "energy_per_request_j",
    "energy_above_idle_per_output_token_j",
    "mean_power_w",
    "output_throughput_tokens_per_s",
    "ttft_p50_s",
    "ttft_p99_s",
    "itl_p50_s",
    "itl_p99_s",
    "e2e_latency_p50_s",
    "nll_per_token",
)
"""The metrics that runs have columns for and configurations have summaries of. Energy and power are
those of the configuration's energy class. Every other figure of a run is in its record."""

WITH_UNCERTAINTY = HEADLINE[:5]
"""Those whose runs state an expanded uncertainty (k = 2), in the column ``<metric>_u``."""

BOARD_SET = sa.Table(
    "board_set",
    METADATA,
    sa.Column("id", BIG, primary_key=True),
    sa.Column("boards", sa.Text, nullable=False, unique=True),
)
"""``boards``: salted hashes, sorted, joined by commas, after the salt and a colon; empty for runs
without GPUs."""

RUN = sa.Table(
    "run",
    METADATA,
    sa.Column("id", BIG, primary_key=True),
    sa.Column("config_id", sa.ForeignKey("config.id"), nullable=False),
    sa.Column("identity_id", sa.ForeignKey("identity.id"), nullable=False),
    sa.Column("campaign_id", sa.ForeignKey("campaign.id"), nullable=False),
    sa.Column("submission_id", sa.ForeignKey("submission.id"), nullable=False),
    sa.Column("number", sa.Integer, nullable=False),
    sa.Column("block", sa.Integer, nullable=False),
    sa.Column("arm", sa.Integer, nullable=False),
    sa.Column("attempt", sa.Integer, nullable=False),
    sa.Column("started_at", sa.Float, nullable=False),
    sa.Column("board_set_id", sa.ForeignKey("board_set.id"), nullable=False),
    sa.Column("tier", sa.SmallInteger, nullable=False),
    sa.Column("counted", sa.Boolean, nullable=False),
    sa.Column("flags", sa.Text, nullable=False),
    *(sa.Column(name, sa.Float) for name in HEADLINE),
    *(sa.Column(f"{name}_u", sa.Float) for name in WITH_UNCERTAINTY),
    sa.UniqueConstraint("campaign_id", "block", "arm", "attempt"),
    sa.Index("ix_run_config_id", "config_id", "id"),
    sa.Index("ix_run_submission_id", "submission_id"),
)
"""``number``: its place in the manifest's ``content.runs``. ``arm``: place in the lock's arms.
``started_at``: seconds since the epoch. ``counted``: whether it enters figures: its campaign is
complete and the rules of ``lem/stores/counted.py`` let it. ``flags``: joined by commas."""

CONFIG_SUMMARY = sa.Table(
    "config_summary",
    METADATA,
    sa.Column("config_id", sa.ForeignKey("config.id"), primary_key=True),
    sa.Column("tier", sa.SmallInteger, primary_key=True),
    sa.Column("metric", sa.SmallInteger, primary_key=True),
    sa.Column("n", sa.Integer, nullable=False),
    sa.Column("submitters", sa.Integer, nullable=False),
    sa.Column("mean", sa.Float, nullable=False),
    sa.Column("m2_within", sa.Float, nullable=False),
    sa.Column("m2_between", sa.Float, nullable=False),
    sa.Column("best", sa.Float, nullable=False),
    sa.Column("last", sa.Float, nullable=False),
    sa.Column("expanded", sa.Float),
    sa.Column("why_none", sa.SmallInteger, nullable=False, server_default="0"),
    sa.Index("ix_config_summary_metric", "metric", "tier", "mean"),
)
"""Of the counted runs of at least this tier. ``metric``: place in ``HEADLINE``. ``mean``: each
submitter counts once, so that many runs of one cannot outweigh the others. ``m2_within``: squared
deviations of runs from their submitter's mean; ``m2_between``: of submitters' means from ``mean``.
``best``: the best run's. ``last``: the newest run's. ``expanded``: U (k = 2) of ``mean``
(``figures.py`` says how); null without one, and ``why_none`` says why."""

FACET = sa.Table(
    "facet",
    METADATA,
    sa.Column("energy_class", sa.Text, primary_key=True),
    sa.Column("tier", sa.SmallInteger, primary_key=True),
    sa.Column("dimension", sa.Text, primary_key=True),
    sa.Column("value", sa.Text, primary_key=True),
    sa.Column("configurations", sa.Integer, nullable=False),
)
"""How many configurations of this class, with counted runs of at least this tier, have this value.
Numbers are written as JSON writes them; a missing one is the empty text."""

DIMENSIONS = (
    "model",
    "backend",
    "engine_version",
    "device_model",
    "device_count",
    "meter_class",
    "dtype",
    "quantization",
    "max_batch_size",
    "tensor_parallel_size",
    "arrival",
    "load",
    "dataset",
    "input_tokens",
    "output_tokens",
    "weights",
)
"""Columns of ``config`` that are counted in facets and can be filtered by their own name."""

BOARD = sa.Table(
    "board",
    METADATA,
    sa.Column("config_id", sa.ForeignKey("config.id"), primary_key=True, autoincrement=False),
    sa.Column("hash", sa.Text, nullable=False),
    sa.Column("energy_class", sa.Text, nullable=False),
    sa.Column("semantics_version", sa.Integer, nullable=False),
    sa.Column("tier", sa.SmallInteger, nullable=False),
    sa.Column("last_at", sa.Text),
    sa.Column("runs", sa.Integer, nullable=False),
    sa.Column("submitters", sa.Integer, nullable=False),
    *(sa.Column(name, CONFIG.c[name].type) for name in DIMENSIONS),
    *(sa.Column(name, sa.Float) for name in HEADLINE),
    *(sa.Column(f"{name}_u", sa.Float) for name in HEADLINE),
    sa.Column("changed", BIG, nullable=False, index=True),
)
"""Configurations that have counted runs, with the figures of their best tier: ``config`` and
``config_summary`` in one narrow row, so that one scan of it answers a question about all of them.
``board.py`` makes it of those two, and nothing else writes it. ``tier``: ``config.best_tier``.
``<metric>_u``: U, null without one. ``changed``: the ``data_version`` from which on the row is as
it is, so that readers who keep the board in memory read only what is new (``columns.py``)."""

FINDING = sa.Table(
    "finding",
    METADATA,
    sa.Column("id", BIG, primary_key=True),
    sa.Column("submission_id", sa.ForeignKey("submission.id"), nullable=False, index=True),
    sa.Column("run_id", BIG, index=True),
    sa.Column("rule", sa.Text, nullable=False),
    sa.Column("consequence", sa.Text, nullable=False),
    sa.Column("detail", sa.Text, nullable=False),
)

REPLICATION = sa.Table(
    "replication",
    METADATA,
    sa.Column("id", BIG, primary_key=True),
    sa.Column("config_id", sa.ForeignKey("config.id"), nullable=False, index=True),
    sa.Column("identity_a", BIG, nullable=False),
    sa.Column("identity_b", BIG, nullable=False),
    sa.Column("ratio", sa.Float, nullable=False),
    sa.Column("low", sa.Float),
    sa.Column("high", sa.Float),
    sa.Column("verdict", sa.Text, nullable=False),
)
"""Pairs of submitters of one configuration. ``verdict``: ``agrees`` (equivalent by TOST),
``disagrees`` (shown to differ by more than the margin), ``cannot_tell``, ``same_boards``,
``boards_unknown``, ``not_invited`` (``lem/trust/replication.py``)."""

LOG = sa.Table(
    "log",
    METADATA,
    sa.Column("seq", BIG, primary_key=True, autoincrement=False),
    sa.Column("at", sa.Text, nullable=False),
    sa.Column("kind", sa.Text, nullable=False),
    sa.Column("payload", sa.Text, nullable=False),
    sa.Column("previous", sa.Text, nullable=False),
    sa.Column("hash", sa.Text, nullable=False, unique=True),
)
"""Append-only. ``payload``: canonical JSON. ``hash``: SHA-256 of the canonical JSON of seq, at,
kind, payload (as an object) and previous; the first entry's ``previous`` is 64 zeros."""

EXTERNAL = sa.Table(
    "external",
    METADATA,
    sa.Column("id", BIG, primary_key=True),
    sa.Column("source", sa.Text, nullable=False),
    sa.Column("url", sa.Text, nullable=False),
    sa.Column("licence", sa.Text, nullable=False),
    sa.Column("published", sa.Text, nullable=False),
    sa.Column("model", sa.Text, nullable=False),
    sa.Column("device_model", sa.Text, nullable=False),
    sa.Column("metric", sa.Text, nullable=False),
    sa.Column("value", sa.Float, nullable=False),
    sa.Column("note", sa.Text, nullable=False, server_default=""),
    sa.UniqueConstraint("source", "model", "device_model", "metric", "note"),
)
"""Figures that others published: without interval, never ranked with what is measured here."""
