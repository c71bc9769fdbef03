"""When each row of the board changed, so that readers need only those"""

import sqlalchemy as sa
from alembic import op

from lem.archive import board

revision = "0004"
down_revision = "0003"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.add_column(
        "board",
        sa.Column(
            "changed",
            sa.BigInteger().with_variant(sa.Integer(), "sqlite"),
            nullable=False,
            server_default="0",
        ),
    )
    with op.batch_alter_table("board") as table:
        table.alter_column("changed", server_default=None)
    op.create_index("ix_board_changed", "board", ["changed"])
    if op.get_bind().scalar(sa.text("SELECT count(*) FROM setting WHERE name = 'data_version'")):
        board.refresh(op.get_bind())
