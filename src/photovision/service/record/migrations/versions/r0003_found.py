"""Boxes and areas in a picture, from detectors and segmenters."""

from __future__ import annotations

import sqlalchemy as sql
from alembic import op

revision = "0003"
down_revision = "0002"


def upgrade() -> None:
    """Add the column: JSON, or nothing for classifiers."""
    op.add_column("photovision_prediction", sql.Column("found", sql.Text))
