"""The day on which a token was used last; who joined by an invitation"""

import sqlalchemy as sa
from alembic import op

revision = "0006"
down_revision = "0005"
branch_labels = None
depends_on = None

BIG = sa.BigInteger().with_variant(sa.Integer(), "sqlite")


def upgrade() -> None:
    op.add_column("token", sa.Column("used_on", sa.Text(), nullable=True))
    with op.batch_alter_table("invitation") as table:
        table.add_column(sa.Column("person_id", BIG, nullable=True))
        table.create_foreign_key(op.f("fk_invitation_person_id"), "person", ["person_id"], ["id"])
