"""Predictions."""

from __future__ import annotations

import sqlalchemy as sql
from alembic import op

revision = "0001"
down_revision = None


def upgrade() -> None:
    """Make the table."""
    op.create_table(
        "photovision_prediction",
        sql.Column("number", sql.BigInteger().with_variant(sql.Integer, "sqlite"), primary_key=True),
        sql.Column("id", sql.Text, nullable=False),
        sql.Column("at", sql.BigInteger, nullable=False),
        sql.Column("model", sql.Text, nullable=False),
        sql.Column("version", sql.Text, nullable=False),
        sql.Column("label", sql.Text, nullable=False),
        sql.Column("best", sql.Text, nullable=False),
        sql.Column("prob", sql.Double, nullable=False),
        sql.Column("novelty", sql.Double),
        sql.Column("known", sql.Boolean),
        sql.Column("prediction_set", sql.Text, nullable=False),
        sql.Column("embedding", sql.LargeBinary),
        sql.Column("seconds", sql.Double, nullable=False),
    )
    op.create_index("photovision_prediction_at", "photovision_prediction", ["at"])
