"""The board; experiments that can be searched by what is in them"""

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import postgresql

revision = "0002"
down_revision = "0001"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_table(
        "board",
        sa.Column(
            "config_id",
            sa.BigInteger().with_variant(sa.Integer(), "sqlite"),
            autoincrement=False,
            nullable=False,
        ),
        sa.Column("hash", sa.Text(), nullable=False),
        sa.Column("energy_class", sa.Text(), nullable=False),
        sa.Column("semantics_version", sa.Integer(), nullable=False),
        sa.Column("tier", sa.SmallInteger(), nullable=False),
        sa.Column("last_at", sa.Text(), nullable=True),
        sa.Column("runs", sa.Integer(), nullable=False),
        sa.Column("submitters", sa.Integer(), nullable=False),
        sa.Column("model", sa.Text(), nullable=True),
        sa.Column("backend", sa.Text(), nullable=True),
        sa.Column("engine_version", sa.Text(), nullable=True),
        sa.Column("device_model", sa.Text(), nullable=True),
        sa.Column("device_count", sa.Integer(), nullable=True),
        sa.Column("meter_class", sa.Text(), nullable=True),
        sa.Column("dtype", sa.Text(), nullable=True),
        sa.Column("quantization", sa.Text(), nullable=True),
        sa.Column("max_batch_size", sa.Integer(), nullable=True),
        sa.Column("tensor_parallel_size", sa.Integer(), nullable=True),
        sa.Column("arrival", sa.Text(), nullable=True),
        sa.Column("load", sa.Float(), nullable=True),
        sa.Column("dataset", sa.Text(), nullable=True),
        sa.Column("input_tokens", sa.Integer(), nullable=True),
        sa.Column("output_tokens", sa.Integer(), nullable=True),
        sa.Column("weights", sa.Text(), nullable=True),
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
        sa.Column("output_throughput_tokens_per_s_u", sa.Float(), nullable=True),
        sa.Column("ttft_p50_s_u", sa.Float(), nullable=True),
        sa.Column("ttft_p99_s_u", sa.Float(), nullable=True),
        sa.Column("itl_p50_s_u", sa.Float(), nullable=True),
        sa.Column("itl_p99_s_u", sa.Float(), nullable=True),
        sa.Column("e2e_latency_p50_s_u", sa.Float(), nullable=True),
        sa.Column("nll_per_token_u", sa.Float(), nullable=True),
        sa.ForeignKeyConstraint(["config_id"], ["config.id"], name=op.f("fk_board_config_id")),
        sa.PrimaryKeyConstraint("config_id", name=op.f("pk_board")),
    )
    if op.get_bind().dialect.name == "postgresql":
        op.alter_column(
            "config",
            "experiment",
            type_=postgresql.JSONB(),
            postgresql_using="experiment::jsonb",
        )
        op.create_index(
            "ix_config_experiment",
            "config",
            ["experiment"],
            postgresql_using="gin",
            postgresql_ops={"experiment": "jsonb_path_ops"},
        )
