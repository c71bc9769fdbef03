"""The first tables"""

import sqlalchemy as sa
from alembic import op

revision = "0001"
down_revision = None
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_table(
        "board_set",
        sa.Column("id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=False),
        sa.Column("boards", sa.Text(), nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_board_set")),
        sa.UniqueConstraint("boards", name=op.f("uq_board_set_boards")),
    )
    op.create_table(
        "config",
        sa.Column("id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=False),
        sa.Column("hash", sa.Text(), nullable=False),
        sa.Column("experiment_id", sa.Text(), nullable=False),
        sa.Column("device_model", sa.Text(), nullable=False),
        sa.Column("device_count", sa.Integer(), nullable=False),
        sa.Column("meter_class", sa.Text(), nullable=False),
        sa.Column("semantics_version", sa.Integer(), nullable=False),
        sa.Column("energy_class", sa.Text(), nullable=False),
        sa.Column("model", sa.Text(), nullable=False),
        sa.Column("model_content", sa.Text(), nullable=False),
        sa.Column("weights", sa.Text(), nullable=False),
        sa.Column("backend", sa.Text(), nullable=False),
        sa.Column("engine_version", sa.Text(), nullable=False),
        sa.Column("dtype", sa.Text(), nullable=False),
        sa.Column("quantization", sa.Text(), nullable=False),
        sa.Column("max_batch_size", sa.Integer(), nullable=True),
        sa.Column("tensor_parallel_size", sa.Integer(), nullable=True),
        sa.Column("arrival", sa.Text(), nullable=False),
        sa.Column("load", sa.Float(), nullable=True),
        sa.Column("dataset", sa.Text(), nullable=False),
        sa.Column("input_tokens", sa.Integer(), nullable=True),
        sa.Column("output_tokens", sa.Integer(), nullable=True),
        sa.Column("experiment", sa.JSON(), nullable=False),
        sa.Column("best_tier", sa.SmallInteger(), server_default="0", nullable=False),
        sa.Column("disagrees", sa.Boolean(), server_default=sa.false(), nullable=False),
        sa.Column("last_at", sa.Text(), nullable=True),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_config")),
        sa.UniqueConstraint("hash", name=op.f("uq_config_hash")),
    )
    op.create_index("ix_config_class", "config", ["energy_class", "best_tier"], unique=False)
    op.create_index(op.f("ix_config_experiment_id"), "config", ["experiment_id"], unique=False)
    op.create_table(
        "external",
        sa.Column("id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=False),
        sa.Column("source", sa.Text(), nullable=False),
        sa.Column("url", sa.Text(), nullable=False),
        sa.Column("licence", sa.Text(), nullable=False),
        sa.Column("published", sa.Text(), nullable=False),
        sa.Column("model", sa.Text(), nullable=False),
        sa.Column("device_model", sa.Text(), nullable=False),
        sa.Column("metric", sa.Text(), nullable=False),
        sa.Column("value", sa.Float(), nullable=False),
        sa.Column("note", sa.Text(), server_default="", nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_external")),
        sa.UniqueConstraint(
            "source",
            "model",
            "device_model",
            "metric",
            "note",
            name=op.f("uq_external_source_model_device_model_metric_note"),
        ),
    )
    op.create_table(
        "facet",
        sa.Column("energy_class", sa.Text(), nullable=False),
        sa.Column("tier", sa.SmallInteger(), nullable=False),
        sa.Column("dimension", sa.Text(), nullable=False),
        sa.Column("value", sa.Text(), nullable=False),
        sa.Column("configurations", sa.Integer(), nullable=False),
        sa.PrimaryKeyConstraint(
            "energy_class", "tier", "dimension", "value", name=op.f("pk_facet")
        ),
    )
    op.create_table(
        "identity",
        sa.Column("id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=False),
        sa.Column("name", sa.Text(), nullable=False),
        sa.Column("enrolled_by", sa.Text(), nullable=False),
        sa.Column("created_at", sa.Text(), nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_identity")),
    )
    op.create_table(
        "log",
        sa.Column(
            "seq",
            sa.BigInteger().with_variant(sa.Integer(), "sqlite"),
            autoincrement=False,
            nullable=False,
        ),
        sa.Column("at", sa.Text(), nullable=False),
        sa.Column("kind", sa.Text(), nullable=False),
        sa.Column("payload", sa.Text(), nullable=False),
        sa.Column("previous", sa.Text(), nullable=False),
        sa.Column("hash", sa.Text(), nullable=False),
        sa.PrimaryKeyConstraint("seq", name=op.f("pk_log")),
        sa.UniqueConstraint("hash", name=op.f("uq_log_hash")),
    )
    op.create_table(
        "nonce",
        sa.Column("nonce", sa.Text(), nullable=False),
        sa.Column("key_id", sa.Text(), nullable=False),
        sa.Column("expires_at", sa.Float(), nullable=False),
        sa.PrimaryKeyConstraint("nonce", name=op.f("pk_nonce")),
    )
    op.create_index(op.f("ix_nonce_expires_at"), "nonce", ["expires_at"], unique=False)
    op.create_table(
        "setting",
        sa.Column("name", sa.Text(), nullable=False),
        sa.Column("value", sa.Text(), nullable=False),
        sa.PrimaryKeyConstraint("name", name=op.f("pk_setting")),
    )
    op.create_table(
        "campaign",
        sa.Column("id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=False),
        sa.Column(
            "identity_id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=False
        ),
        sa.Column("owner", sa.Text(), nullable=False),
        sa.Column("name", sa.Text(), nullable=False),
        sa.Column("lock", sa.LargeBinary(), nullable=False),
        sa.Column("board_salt", sa.Text(), nullable=False),
        sa.Column("state", sa.Text(), nullable=False),
        sa.Column("missing", sa.Text(), server_default="", nullable=False),
        sa.Column("created_at", sa.Text(), nullable=False),
        sa.ForeignKeyConstraint(
            ["identity_id"], ["identity.id"], name=op.f("fk_campaign_identity_id")
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_campaign")),
        sa.UniqueConstraint("identity_id", "owner", name=op.f("uq_campaign_identity_id_owner")),
    )
    op.create_table(
        "config_summary",
        sa.Column(
            "config_id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=False
        ),
        sa.Column("tier", sa.SmallInteger(), nullable=False),
        sa.Column("metric", sa.SmallInteger(), nullable=False),
        sa.Column("n", sa.Integer(), nullable=False),
        sa.Column("submitters", sa.Integer(), nullable=False),
        sa.Column("mean", sa.Float(), nullable=False),
        sa.Column("m2_within", sa.Float(), nullable=False),
        sa.Column("m2_between", sa.Float(), nullable=False),
        sa.Column("best", sa.Float(), nullable=False),
        sa.Column("last", sa.Float(), nullable=False),
        sa.Column("expanded", sa.Float(), nullable=True),
        sa.Column("why_none", sa.SmallInteger(), server_default="0", nullable=False),
        sa.ForeignKeyConstraint(
            ["config_id"], ["config.id"], name=op.f("fk_config_summary_config_id")
        ),
        sa.PrimaryKeyConstraint("config_id", "tier", "metric", name=op.f("pk_config_summary")),
    )
    op.create_index(
        "ix_config_summary_metric", "config_summary", ["metric", "tier", "mean"], unique=False
    )
    op.create_table(
        "invitation",
        sa.Column("hash", sa.Text(), nullable=False),
        sa.Column("name", sa.Text(), nullable=False),
        sa.Column("created_at", sa.Text(), nullable=False),
        sa.Column("expires_at", sa.Text(), nullable=False),
        sa.Column("used_at", sa.Text(), nullable=True),
        sa.Column(
            "identity_id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=True
        ),
        sa.ForeignKeyConstraint(
            ["identity_id"], ["identity.id"], name=op.f("fk_invitation_identity_id")
        ),
        sa.PrimaryKeyConstraint("hash", name=op.f("pk_invitation")),
    )
    op.create_table(
        "key",
        sa.Column("id", sa.Text(), nullable=False),
        sa.Column(
            "identity_id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=False
        ),
        sa.Column("public_key", sa.LargeBinary(), nullable=False),
        sa.Column("created_at", sa.Text(), nullable=False),
        sa.Column("revoked_at", sa.Text(), nullable=True),
        sa.Column("replaced_by", sa.Text(), nullable=True),
        sa.ForeignKeyConstraint(["identity_id"], ["identity.id"], name=op.f("fk_key_identity_id")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_key")),
    )
    op.create_index(op.f("ix_key_identity_id"), "key", ["identity_id"], unique=False)
    op.create_table(
        "replication",
        sa.Column("id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=False),
        sa.Column(
            "config_id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=False
        ),
        sa.Column(
            "identity_a", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=False
        ),
        sa.Column(
            "identity_b", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=False
        ),
        sa.Column("ratio", sa.Float(), nullable=False),
        sa.Column("low", sa.Float(), nullable=True),
        sa.Column("high", sa.Float(), nullable=True),
        sa.Column("verdict", sa.Text(), nullable=False),
        sa.ForeignKeyConstraint(
            ["config_id"], ["config.id"], name=op.f("fk_replication_config_id")
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_replication")),
    )
    op.create_index(op.f("ix_replication_config_id"), "replication", ["config_id"], unique=False)
    op.create_table(
        "token",
        sa.Column("hash", sa.Text(), nullable=False),
        sa.Column("role", sa.Text(), nullable=False),
        sa.Column("name", sa.Text(), nullable=False),
        sa.Column(
            "identity_id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=True
        ),
        sa.Column("created_at", sa.Text(), nullable=False),
        sa.Column("expires_at", sa.Text(), nullable=True),
        sa.Column("revoked_at", sa.Text(), nullable=True),
        sa.ForeignKeyConstraint(
            ["identity_id"], ["identity.id"], name=op.f("fk_token_identity_id")
        ),
        sa.PrimaryKeyConstraint("hash", name=op.f("pk_token")),
    )
    op.create_table(
        "submission",
        sa.Column("id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=False),
        sa.Column("content_sha256", sa.Text(), nullable=False),
        sa.Column(
            "campaign_id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=False
        ),
        sa.Column(
            "identity_id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=False
        ),
        sa.Column("key_id", sa.Text(), nullable=False),
        sa.Column("manifest", sa.LargeBinary(), nullable=True),
        sa.Column("signature", sa.LargeBinary(), nullable=True),
        sa.Column("schema_version", sa.Integer(), nullable=False),
        sa.Column("semantics_version", sa.Integer(), nullable=False),
        sa.Column("received_at", sa.Text(), nullable=False),
        sa.Column("runs", sa.Integer(), nullable=False),
        sa.Column("bytes", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=False),
        sa.Column("outcomes", sa.LargeBinary(), nullable=True),
        sa.Column("traits", sa.LargeBinary(), nullable=True),
        sa.Column("checks", sa.Text(), nullable=False),
        sa.Column("lease_until", sa.Float(), server_default="0", nullable=False),
        sa.Column("tries", sa.Integer(), server_default="0", nullable=False),
        sa.Column("log_seq", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=False),
        sa.ForeignKeyConstraint(
            ["campaign_id"], ["campaign.id"], name=op.f("fk_submission_campaign_id")
        ),
        sa.ForeignKeyConstraint(
            ["identity_id"], ["identity.id"], name=op.f("fk_submission_identity_id")
        ),
        sa.ForeignKeyConstraint(["key_id"], ["key.id"], name=op.f("fk_submission_key_id")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_submission")),
        sa.UniqueConstraint("content_sha256", name=op.f("uq_submission_content_sha256")),
    )
    op.create_index(op.f("ix_submission_campaign_id"), "submission", ["campaign_id"], unique=False)
    op.create_index("ix_submission_checks", "submission", ["checks", "lease_until"], unique=False)
    op.create_table(
        "blob",
        sa.Column(
            "submission_id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=False
        ),
        sa.Column("sha256", sa.LargeBinary(length=32), nullable=False),
        sa.Column("offset", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=False),
        sa.Column("length", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=False),
        sa.Column("kind", sa.Text(), nullable=False),
        sa.ForeignKeyConstraint(
            ["submission_id"], ["submission.id"], name=op.f("fk_blob_submission_id")
        ),
        sa.PrimaryKeyConstraint("submission_id", "sha256", name=op.f("pk_blob")),
    )
    op.create_index("ix_blob_sha256", "blob", ["sha256"], unique=False)
    op.create_table(
        "finding",
        sa.Column("id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=False),
        sa.Column(
            "submission_id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=False
        ),
        sa.Column("run_id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=True),
        sa.Column("rule", sa.Text(), nullable=False),
        sa.Column("consequence", sa.Text(), nullable=False),
        sa.Column("detail", sa.Text(), nullable=False),
        sa.ForeignKeyConstraint(
            ["submission_id"], ["submission.id"], name=op.f("fk_finding_submission_id")
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_finding")),
    )
    op.create_index(op.f("ix_finding_run_id"), "finding", ["run_id"], unique=False)
    op.create_index(op.f("ix_finding_submission_id"), "finding", ["submission_id"], unique=False)
    op.create_table(
        "run",
        sa.Column("id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=False),
        sa.Column(
            "config_id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=False
        ),
        sa.Column(
            "identity_id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=False
        ),
        sa.Column(
            "campaign_id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=False
        ),
        sa.Column(
            "submission_id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=False
        ),
        sa.Column("number", sa.Integer(), nullable=False),
        sa.Column("block", sa.Integer(), nullable=False),
        sa.Column("arm", sa.Integer(), nullable=False),
        sa.Column("attempt", sa.Integer(), nullable=False),
        sa.Column("started_at", sa.Float(), nullable=False),
        sa.Column(
            "board_set_id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=False
        ),
        sa.Column("tier", sa.SmallInteger(), nullable=False),
        sa.Column("counted", sa.Boolean(), nullable=False),
        sa.Column("flags", sa.Text(), nullable=False),
        sa.Column("energy_per_output_token_j", sa.Float(), nullable=True),
        sa.Column("energy_per_total_token_j", sa.Float(), nullable=True),
        sa.Column("energy_per_request_j", sa.Float(), nullable=True),
        sa.Column("energy_above_idle_per_output_token_j", sa.Float(), nullable=True),
        sa.Column("mean_power_w", sa.Float(), nullable=True),
        sa.Column("output_throughput_tokens_per_s", sa.Float(), nullable=True),
        sa.Column("ttft_p50_s", sa.Float(), nullable=True),
        sa.Column("ttft_p99_s", sa.Float(), nullable=True),
        sa.Column("itl_p50_s", sa.Float(), nullable=True),
        sa.Column("itl_p99_s", sa.Float(), nullable=True),
        sa.Column("e2e_latency_p50_s", sa.Float(), nullable=True),
        sa.Column("nll_per_token", sa.Float(), nullable=True),
        sa.Column("energy_per_output_token_j_u", sa.Float(), nullable=True),
        sa.Column("energy_per_total_token_j_u", sa.Float(), nullable=True),
        sa.Column("energy_per_request_j_u", sa.Float(), nullable=True),
        sa.Column("energy_above_idle_per_output_token_j_u", sa.Float(), nullable=True),
        sa.Column("mean_power_w_u", sa.Float(), nullable=True),
        sa.ForeignKeyConstraint(
            ["board_set_id"], ["board_set.id"], name=op.f("fk_run_board_set_id")
        ),
        sa.ForeignKeyConstraint(["campaign_id"], ["campaign.id"], name=op.f("fk_run_campaign_id")),
        sa.ForeignKeyConstraint(["config_id"], ["config.id"], name=op.f("fk_run_config_id")),
        sa.ForeignKeyConstraint(["identity_id"], ["identity.id"], name=op.f("fk_run_identity_id")),
        sa.ForeignKeyConstraint(
            ["submission_id"], ["submission.id"], name=op.f("fk_run_submission_id")
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_run")),
        sa.UniqueConstraint(
            "campaign_id",
            "block",
            "arm",
            "attempt",
            name=op.f("uq_run_campaign_id_block_arm_attempt"),
        ),
    )
    op.create_index("ix_run_config_id", "run", ["config_id", "id"], unique=False)
    op.create_index("ix_run_submission_id", "run", ["submission_id"], unique=False)
