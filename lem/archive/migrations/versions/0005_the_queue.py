"""People, sessions, runners and the queue; tokens that can be told apart without their secrets"""

import secrets

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import postgresql

revision = "0005"
down_revision = "0004"
branch_labels = None
depends_on = None

BIG = sa.BigInteger().with_variant(sa.Integer(), "sqlite")


def upgrade() -> None:
    op.create_table(
        "person",
        sa.Column("id", BIG, nullable=False),
        sa.Column("handle", sa.Text(), nullable=False),
        sa.Column("name", sa.Text(), nullable=False),
        sa.Column("enrolled_by", sa.Text(), nullable=False),
        sa.Column("created_at", sa.Text(), nullable=False),
        sa.Column("disabled_at", sa.Text(), nullable=True),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_person")),
        sa.UniqueConstraint("handle", name=op.f("uq_person_handle")),
    )
    _tokens()
    op.create_table(
        "session",
        sa.Column("hash", sa.Text(), nullable=False),
        sa.Column("token_hash", sa.Text(), nullable=False),
        sa.Column("created_at", sa.Text(), nullable=False),
        sa.Column("expires_at", sa.Float(), nullable=False),
        sa.ForeignKeyConstraint(["token_hash"], ["token.hash"], name=op.f("fk_session_token_hash")),
        sa.PrimaryKeyConstraint("hash", name=op.f("pk_session")),
    )
    op.create_index("ix_session_token_hash", "session", ["token_hash"])
    op.create_index("ix_session_expires_at", "session", ["expires_at"])
    op.create_table(
        "runner",
        sa.Column("id", BIG, nullable=False),
        sa.Column("handle", sa.Text(), nullable=False),
        sa.Column("token_hash", sa.Text(), nullable=False),
        sa.Column("instance", sa.Text(), nullable=False),
        sa.Column("name", sa.Text(), nullable=False),
        sa.Column("hello", sa.Text(), nullable=False),
        sa.Column("registered_at", sa.Text(), nullable=False),
        sa.Column("seen_at", sa.Float(), nullable=False),
        sa.Column("doing", sa.Text(), server_default="", nullable=False),
        sa.Column("disabled_at", sa.Text(), nullable=True),
        sa.ForeignKeyConstraint(["token_hash"], ["token.hash"], name=op.f("fk_runner_token_hash")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_runner")),
        sa.UniqueConstraint("handle", name=op.f("uq_runner_handle")),
        sa.UniqueConstraint("token_hash", "instance", name=op.f("uq_runner_token_hash_instance")),
    )
    _queue()


def _tokens() -> None:
    op.add_column("token", sa.Column("handle", sa.Text(), nullable=True))
    token = sa.table("token", sa.column("hash", sa.Text), sa.column("handle", sa.Text))
    bind = op.get_bind()
    for digest in bind.scalars(sa.select(token.c.hash)).all():
        handle = f"t{secrets.token_hex(10)}"
        bind.execute(token.update().where(token.c.hash == digest).values(handle=handle))
    with op.batch_alter_table("token") as table:
        table.alter_column("handle", existing_type=sa.Text(), nullable=False)
        table.add_column(sa.Column("person_id", BIG, nullable=True))
        table.add_column(sa.Column("queued_id", sa.Text(), nullable=True))
        table.create_unique_constraint(op.f("uq_token_handle"), ["handle"])
        table.create_foreign_key(op.f("fk_token_person_id"), "person", ["person_id"], ["id"])
    op.create_index("ix_token_person_id", "token", ["person_id"])


def _queue() -> None:
    op.add_column("campaign", sa.Column("queued", sa.Text(), nullable=True))
    op.create_table(
        "queued",
        sa.Column("seq", BIG, nullable=False),
        sa.Column("turn", BIG, nullable=False),
        sa.Column("id", sa.Text(), nullable=False),
        sa.Column("person_id", BIG, nullable=False),
        sa.Column("owner", sa.Text(), nullable=False),
        sa.Column("campaign", sa.Text(), nullable=False),
        sa.Column("name", sa.Text(), nullable=False),
        sa.Column("yaml", sa.Text(), nullable=False),
        sa.Column("experiments", sa.Integer(), nullable=False),
        sa.Column(
            "wanted",
            sa.JSON().with_variant(postgresql.JSONB(), "postgresql"),
            nullable=False,
        ),
        sa.Column("archived", sa.Boolean(), nullable=False),
        sa.Column("state", sa.Text(), nullable=False),
        sa.Column("reason", sa.Text(), server_default="", nullable=False),
        sa.Column("created_at", sa.Text(), nullable=False),
        sa.Column("began_at", sa.Text(), nullable=True),
        sa.Column("ended_at", sa.Text(), nullable=True),
        sa.Column("fence", BIG, server_default="0", nullable=False),
        sa.Column("lease_until", sa.Float(), server_default="0", nullable=False),
        sa.Column("runner_id", BIG, nullable=True),
        sa.Column("tries", sa.Integer(), server_default="0", nullable=False),
        sa.Column("cancel_at", sa.Text(), nullable=True),
        sa.Column("device_models", sa.Text(), nullable=True),
        sa.ForeignKeyConstraint(["person_id"], ["person.id"], name=op.f("fk_queued_person_id")),
        sa.ForeignKeyConstraint(["runner_id"], ["runner.id"], name=op.f("fk_queued_runner_id")),
        sa.PrimaryKeyConstraint("seq", name=op.f("pk_queued")),
        sa.UniqueConstraint("id", name=op.f("uq_queued_id")),
        sa.UniqueConstraint("campaign", name=op.f("uq_queued_campaign")),
    )
    op.create_index("ix_queued_person_id", "queued", ["person_id"])
    op.create_index("ix_queued_runner_id", "queued", ["runner_id"])
    op.create_index("ix_queued_state", "queued", ["state", "turn", "seq"])
    op.create_table(
        "claim",
        sa.Column("queued_seq", BIG, nullable=False),
        sa.Column("fence", BIG, autoincrement=False, nullable=False),
        sa.Column("runner_id", BIG, nullable=False),
        sa.Column("at", sa.Text(), nullable=False),
        sa.Column("ended_at", sa.Text(), nullable=True),
        sa.Column("outcome", sa.Text(), nullable=True),
        sa.Column("reason", sa.Text(), server_default="", nullable=False),
        sa.ForeignKeyConstraint(["queued_seq"], ["queued.seq"], name=op.f("fk_claim_queued_seq")),
        sa.ForeignKeyConstraint(["runner_id"], ["runner.id"], name=op.f("fk_claim_runner_id")),
        sa.PrimaryKeyConstraint("queued_seq", "fence", name=op.f("pk_claim")),
    )
    op.create_index("ix_claim_runner_id", "claim", ["runner_id"])
    op.create_table(
        "declined",
        sa.Column("queued_seq", BIG, nullable=False),
        sa.Column("runner_id", BIG, nullable=False),
        sa.Column("outcome", sa.Text(), nullable=False),
        sa.Column("reason", sa.Text(), server_default="", nullable=False),
        sa.Column("at", sa.Text(), nullable=False),
        sa.ForeignKeyConstraint(
            ["queued_seq"], ["queued.seq"], name=op.f("fk_declined_queued_seq")
        ),
        sa.ForeignKeyConstraint(["runner_id"], ["runner.id"], name=op.f("fk_declined_runner_id")),
        sa.PrimaryKeyConstraint("queued_seq", "runner_id", name=op.f("pk_declined")),
    )
