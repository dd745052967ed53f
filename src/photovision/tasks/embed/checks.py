"""Checks of an embedding model: groups and failure slices; its evaluation is a `RetrievalEvaluation`."""

from __future__ import annotations

from collections.abc import Mapping

from photovision.engine import checks
from photovision.engine.audit_context import Check

CHECKS: Mapping[str, Check] = {"groups": checks.groups, "slices": checks.slices}
"""Name -> check, in the order of the report."""
