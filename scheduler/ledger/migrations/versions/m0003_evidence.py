"""Evidence: each try, what became of a letter that was taken, who must not be written to."""

import sqlalchemy as sa
from alembic import op

revision = "0003"
down_revision = "0002"
INSTANT = sa.DateTime(timezone=True)


def upgrade() -> None:
    """Add the tables and columns; stop links prove themselves now and are not stored."""
    with op.batch_alter_table("enrolment") as enrolment:
        enrolment.drop_column("stop_token")
    with op.batch_alter_table("delivery") as delivery:
        delivery.add_column(sa.Column("looks", sa.Integer, nullable=False, server_default="0"))
        delivery.add_column(sa.Column("looked_at", INSTANT))
        delivery.add_column(sa.Column("fate", sa.String(20)))
        delivery.create_index("ix_delivery_reference", ["reference"])
    op.create_table(
        "attempt",
        sa.Column("id", sa.Integer, primary_key=True),
        sa.Column("delivery_id", sa.String(32), nullable=False, index=True),
        sa.Column("fence", sa.Integer, nullable=False),
        sa.Column("began_at", INSTANT, nullable=False),
        sa.Column("ended_at", INSTANT, nullable=False),
        sa.Column("result", sa.String(10), nullable=False),
        sa.Column("reason", sa.Text, nullable=False),
    )
    op.create_table(
        "event",
        sa.Column("id", sa.String(100), primary_key=True),
        sa.Column("delivery_id", sa.String(32), index=True),
        sa.Column("kind", sa.String(40), nullable=False),
        sa.Column("at", INSTANT),
        sa.Column("taken_at", INSTANT, nullable=False),
        sa.Column("reason", sa.Text, nullable=False),
    )
    op.create_table(
        "suppression",
        sa.Column("mark", sa.String(32), primary_key=True),
        sa.Column("reason", sa.String(20), nullable=False),
        sa.Column("at", INSTANT, nullable=False),
        sa.Column("by", sa.Text, nullable=False),
    )


def downgrade() -> None:
    """Take them away, with everything in them."""
    for table in ("suppression", "event", "attempt"):
        op.drop_table(table)
    with op.batch_alter_table("delivery") as delivery:
        delivery.drop_index("ix_delivery_reference")
        for column in ("fate", "looked_at", "looks"):
            delivery.drop_column(column)
    with op.batch_alter_table("enrolment") as enrolment:
        enrolment.add_column(sa.Column("stop_token", sa.String(64)))
