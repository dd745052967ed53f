"""Names of pictures that are kept."""

from __future__ import annotations

import sqlalchemy as sql
from alembic import op

revision = "0002"
down_revision = "0001"


def upgrade() -> None:
    """Add the column and an index that finds the rows of a picture."""
    op.add_column("photovision_prediction", sql.Column("picture", sql.Text))
    op.create_index("photovision_prediction_picture", "photovision_prediction", ["picture"])
