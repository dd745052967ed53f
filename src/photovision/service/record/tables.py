"""Tables of the record, as SQLAlchemy sees them; `migrations` makes them."""

from __future__ import annotations

import sqlalchemy as sql

HEAD = "0003"
"""The revision of the schema that this version of Photovision reads and writes."""

VERSION_TABLE = "photovision_revision"

metadata = sql.MetaData()

prediction = sql.Table(
    "photovision_prediction",
    metadata,
    # SQLite counts rows by itself only where the key is called INTEGER.
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
    sql.Column("picture", sql.Text),
    sql.Column("found", sql.Text),
    sql.Index("photovision_prediction_at", "at"),
    sql.Index("photovision_prediction_picture", "picture"),
)
