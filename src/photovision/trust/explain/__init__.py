"""Explainers: which places of a picture speak for a class. One file a family, one line here for each.

To add one, write `EXPLAINER = Explainer(...)` (see `photovision.trust.explain.explained_model`) and name it below, or
give it through the entry point `photovision.explainers`; a contract test runs over the whole table. No map is shown
without the test of `photovision.trust.explain.faithfulness`.
"""

from __future__ import annotations

from photovision.core.registry import Registry

EXPLAINERS = Registry(
    "explainer",
    {
        "cam": "photovision.trust.explain.activation:CAM",
        "eigencam": "photovision.trust.explain.activation:EIGENCAM",
        "occlusion": "photovision.trust.explain.occlusion:OCCLUSION",
        "rise": "photovision.trust.explain.rise:RISE",
        "gradcam": "photovision.trust.explain.gradient:GRADCAM",
        "hirescam": "photovision.trust.explain.gradient:HIRESCAM",
        "integrated-gradients": "photovision.trust.explain.gradient:INTEGRATED_GRADIENTS",
        "rollout": "photovision.trust.explain.rollout:ROLLOUT",
    },
    "photovision.explainers",
)
"""Name -> `Explainer`; the first four run on the exported graph alone, without torch."""
TARGET_EXPLAINERS = Registry(
    "explainer of boxes and regions",
    {
        "drise": "photovision.trust.explain.drise:DRISE",
        "hirescam": "photovision.trust.explain.box_gradient:HIRESCAM",
    },
    "photovision.aim_explainers",
)
"""Name -> `AimExplainer`, for detectors and segmenters; the first runs on the exported graph alone."""
