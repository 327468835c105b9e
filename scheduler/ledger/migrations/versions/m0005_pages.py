"""What the pages need: a second factor, a patient's own wishes, words of consent, the audit."""

import sqlalchemy as sa
from alembic import op

revision = "0005"
down_revision = "0004"
INSTANT = sa.DateTime(timezone=True)
DENY = "the audit only grows"


def upgrade() -> None:
    """Add the columns, and let the database refuse to change or delete a line of the audit."""
    with op.batch_alter_table("audit") as audit:
        audit.alter_column("enrolment_id", existing_type=sa.String(32), nullable=True)
        audit.add_column(sa.Column("place", sa.Text))
    with op.batch_alter_table("subscriber") as subscriber:
        subscriber.add_column(sa.Column("agreed_to", sa.String(40)))
    with op.batch_alter_table("staff") as staff:
        staff.add_column(sa.Column("totp", sa.Text))
        staff.add_column(sa.Column("totp_used", sa.Integer))
    with op.batch_alter_table("enrolment") as enrolment:
        enrolment.add_column(sa.Column("style", sa.String(10)))
        enrolment.add_column(sa.Column("call_asked_at", INSTANT))
        enrolment.add_column(sa.Column("at_once", INSTANT))
    if op.get_bind().dialect.name == "sqlite":
        for act in ("UPDATE", "DELETE"):
            op.execute(
                f"CREATE TRIGGER audit_{act.lower()} BEFORE {act} ON audit "
                f"BEGIN SELECT RAISE(ABORT, '{DENY}'); END"
            )
        return
    op.execute(
        "CREATE FUNCTION audit_grows() RETURNS trigger LANGUAGE plpgsql AS "
        f"$$ BEGIN RAISE EXCEPTION '{DENY}'; END $$"
    )
    op.execute(
        "CREATE TRIGGER audit_grows BEFORE UPDATE OR DELETE OR TRUNCATE ON audit "
        "FOR EACH STATEMENT EXECUTE FUNCTION audit_grows()"
    )


def downgrade() -> None:
    """Take them away, with everything in them."""
    if op.get_bind().dialect.name == "sqlite":
        for act in ("update", "delete"):
            op.execute(f"DROP TRIGGER audit_{act}")
    else:
        op.execute("DROP TRIGGER audit_grows ON audit")
        op.execute("DROP FUNCTION audit_grows")
    with op.batch_alter_table("enrolment") as enrolment:
        enrolment.drop_column("at_once")
        enrolment.drop_column("call_asked_at")
        enrolment.drop_column("style")
    with op.batch_alter_table("staff") as staff:
        staff.drop_column("totp_used")
        staff.drop_column("totp")
    with op.batch_alter_table("subscriber") as subscriber:
        subscriber.drop_column("agreed_to")
    op.execute("DELETE FROM audit WHERE enrolment_id IS NULL")
    with op.batch_alter_table("audit") as audit:
        audit.alter_column("enrolment_id", existing_type=sa.String(32), nullable=False)
        audit.drop_column("place")
