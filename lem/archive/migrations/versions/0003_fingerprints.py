"""By what a run's readings are known again"""

import sqlalchemy as sa
from alembic import op

revision = "0003"
down_revision = "0002"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_table(
        "fingerprint",
        sa.Column("sha256", sa.LargeBinary(length=32), nullable=False),
        sa.Column(
            "submission_id",
            sa.BigInteger().with_variant(sa.Integer(), "sqlite"),
            nullable=False,
        ),
        sa.Column("number", sa.Integer(), nullable=False),
        sa.ForeignKeyConstraint(
            ["submission_id"], ["submission.id"], name=op.f("fk_fingerprint_submission_id")
        ),
        sa.PrimaryKeyConstraint("sha256", "submission_id", name=op.f("pk_fingerprint")),
    )
    op.create_index("ix_fingerprint_submission_id", "fingerprint", ["submission_id"])
