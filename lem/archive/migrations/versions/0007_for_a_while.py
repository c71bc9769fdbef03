"""What a runner declines for a while; campaigns that say the same"""

import sqlalchemy as sa
from alembic import op

revision = "0007"
down_revision = "0006"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.add_column("declined", sa.Column("until", sa.Float(), nullable=True))
    op.add_column("queued", sa.Column("meaning", sa.Text(), nullable=True))
    op.create_index("ix_queued_meaning", "queued", ["meaning"])
