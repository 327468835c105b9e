"""The first tables: people, enrolments, deliveries, editions."""

import sqlalchemy as sa
from alembic import op

revision = "0001"
down_revision = None
INSTANT = sa.DateTime(timezone=True)


def upgrade() -> None:
    """Make the tables."""
    op.create_table(
        "subscriber",
        sa.Column("id", sa.String(80), primary_key=True),
        sa.Column("email", sa.String(320), nullable=False, index=True),
        sa.Column("name", sa.Text, nullable=False),
        sa.Column("consent", sa.Date, nullable=False),
    )
    op.create_table(
        "enrolment",
        sa.Column("id", sa.String(32), primary_key=True),
        sa.Column(
            "subscriber_id",
            sa.String(80),
            sa.ForeignKey("subscriber.id"),
            nullable=False,
            index=True,
        ),
        sa.Column("enrolled_at", INSTANT, nullable=False),
        sa.Column("status", sa.String(20), nullable=False),
        sa.Column("first_appointment", sa.Date, nullable=False),
        sa.Column("start", sa.Date),
        sa.Column("send_at", sa.String(5)),
        sa.Column("timezone", sa.String(64)),
        sa.Column("pace", sa.Integer),
        sa.Column("hold", sa.JSON, nullable=False),
        sa.Column("skip", sa.JSON, nullable=False),
        sa.Column("physiotherapist", sa.Text),
        sa.Column("note", sa.Text),
        sa.Column("applied", sa.JSON, nullable=False),
        sa.Column("stop_token", sa.String(64), nullable=False, unique=True),
        sa.Column("next_due_at", INSTANT, index=True),
    )
    op.create_table(
        "edition",
        sa.Column("hash", sa.String(64), primary_key=True),
        sa.Column("content", sa.Text, nullable=False),
    )
    op.create_table(
        "delivery",
        sa.Column("id", sa.String(32), primary_key=True),
        sa.Column("enrolment_id", sa.String(32), sa.ForeignKey("enrolment.id"), nullable=False),
        sa.Column("lesson", sa.String(80), nullable=False),
        sa.Column("state", sa.String(10), nullable=False),
        sa.Column("edition", sa.String(64), sa.ForeignKey("edition.hash"), nullable=False),
        sa.Column("merge", sa.JSON, nullable=False),
        sa.Column("address", sa.String(320), nullable=False),
        sa.Column("reasons", sa.JSON, nullable=False),
        sa.Column("planned_for", INSTANT, nullable=False),
        sa.Column("claimed_at", INSTANT, nullable=False),
        sa.Column("lease_until", INSTANT, nullable=False),
        sa.Column("fence", sa.Integer, nullable=False),
        sa.Column("tries", sa.Integer, nullable=False),
        sa.Column("settled_at", INSTANT),
        sa.Column("reference", sa.Text),
        sa.Column("outcome", sa.Text, nullable=False),
        sa.UniqueConstraint("enrolment_id", "lesson"),
        sa.Index("ix_delivery_lease", "state", "lease_until"),
    )
    op.create_table(
        "fact",
        sa.Column("name", sa.String(40), primary_key=True),
        sa.Column("value", sa.Text, nullable=False),
    )


def downgrade() -> None:
    """Take the tables away, with everything in them."""
    for table in ("fact", "delivery", "edition", "enrolment", "subscriber"):
        op.drop_table(table)
