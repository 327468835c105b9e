"""Tailoring: who changed what, what it was before, and a new enrolment after an old one."""

import sqlalchemy as sa
from alembic import op

revision = "0002"
down_revision = "0001"
INSTANT = sa.DateTime(timezone=True)


def upgrade() -> None:
    """Add the tables, and what an enrolment has to remember."""
    with op.batch_alter_table("enrolment") as enrolment:
        enrolment.add_column(sa.Column("owed", sa.JSON, nullable=False, server_default="[]"))
        enrolment.add_column(sa.Column("anchor", sa.JSON))
        enrolment.add_column(sa.Column("replaced_at", INSTANT))
    op.create_table(
        "audit",
        sa.Column("id", sa.Integer, primary_key=True),
        sa.Column("at", INSTANT, nullable=False),
        sa.Column("by", sa.Text, nullable=False),
        sa.Column("action", sa.String(20), nullable=False),
        sa.Column("enrolment_id", sa.String(32), nullable=False, index=True),
        sa.Column("batch", sa.String(32), index=True),
        sa.Column("words", sa.Text, nullable=False),
    )
    op.create_table(
        "undo",
        sa.Column("audit_id", sa.Integer, sa.ForeignKey("audit.id"), primary_key=True),
        sa.Column("before", sa.JSON),
    )


def downgrade() -> None:
    """Take them away, with everything in them."""
    op.drop_table("undo")
    op.drop_table("audit")
    with op.batch_alter_table("enrolment") as enrolment:
        enrolment.drop_column("replaced_at")
        enrolment.drop_column("anchor")
        enrolment.drop_column("owed")
