"""Glossary: what the figures of reports are called, and what they mean in plain words."""

from __future__ import annotations

from collections.abc import Mapping

from photovision.core.report import Metric

GLOSSARY: Mapping[str, tuple[str, str]] = {
    "map50": ("mAP at IoU 0.5", "mean average precision of boxes that overlap by at least half of their union"),
    "map75": ("mAP at IoU 0.75", "the same for an overlap of three quarters"),
    "map_small": ("mAP, small objects", "below 32 x 32 pixels"),
    "map_medium": ("mAP, medium objects", "32 x 32 to 96 x 96 pixels"),
    "map_large": ("mAP, large objects", "above 96 x 96 pixels"),
    "recall": ("Average recall", "share of the objects found by at most 100 boxes a picture and class, mean over IoU"),
    "f1": ("F1", "precision and recall combined, at the thresholds of the model"),
    "count_error": ("Error of counts", "how far the number of objects is off, mean over pictures; lower is better"),
    "count_ratio": ("Boxes for one object", "over all pictures, at the thresholds; 1 is right"),
    "recall_shown": ("Recall", "share of the objects that are found, at the thresholds of the model"),
    "precision_shown": ("Precision", "share of the boxes that are on an object of their class, at the thresholds"),
    "d_ece": ("Calibration error of boxes", "gap between score and share of boxes right (D-ECE); lower is better"),
    "la_ece": (
        "Calibration error with overlap",
        "gap between score and share right times overlap (LaECE); lower is better",
    ),
    "corrupted_map50": ("mAP in bad conditions", "at an IoU of 0.5, mean over all conditions and severities (mPC)"),
    "relative_corrupted_map50": ("mAP left in bad conditions", "share of the mAP without them (rPC)"),
    "uncorrupted_map50": ("mAP without them", "at an IoU of 0.5, of the same pictures as they are"),
    "corrupted_dice": ("Dice in bad conditions", "mean over all conditions and severities (mPC)"),
    "relative_corrupted_dice": ("Dice left in bad conditions", "share of the Dice without them (rPC)"),
    "uncorrupted_dice": ("Dice without them", "of the same pictures as they are"),
    "false_boxes": ("False boxes a picture", "boxes at the thresholds that are on no object; lower is better"),
    "worst_group_recall": (
        "Objects found, worst group",
        "share of objects found in the group of pictures that is served worst",
    ),
    "worst_group_dice": ("Dice, worst group", "Dice in the group of pictures that is served worst"),
    "suspected_annotations": (
        "Suspected annotations",
        "sure boxes that contradict the truth, as a share of its objects",
    ),
    "miou": ("Mean IoU", "overlap of masks with the truth as a share of their union, mean over classes"),
    "dice": ("Dice", "twice the overlap as a share of both areas, mean over the classes but the background"),
    "boundary_f1": ("Boundary F1", "share of outlines within 0.75% of the diagonal of the true ones"),
    "surface_distance": ("Surface distance", "95 of 100 outline pixels are no farther off; lower is better"),
    "instance_f1": ("Objects found, F1", "objects with more than half of their union, precision and recall combined"),
    "instance_precision": ("Objects, precision", "share of the predicted objects that are right"),
    "instance_recall": ("Objects, recall", "share of the true objects that are found"),
    "pq": ("Panoptic quality", "segments found, times how well they overlap the true ones; mean over classes"),
    "sq": ("Segmentation quality", "overlap of the segments found with the true ones, a factor of panoptic quality"),
    "rq": ("Recognition quality", "F1 of segments that overlap by more than half, a factor of panoptic quality"),
    "road_recall": ("Objects found", "share of the objects of roads that are found, at the thresholds of the model"),
    "road_precision": ("Boxes that are right", "share of the boxes of roads that are on an object of their class"),
    "road_overlap": ("Overlap", "intersection over union of all classes together"),
    "diseased": ("Diseased", "share of the known leaves of the latest day that have a disease"),
    "identity_switches": ("Identity switches", "objects that went on under another number"),
    "idf1": ("IDF1", "boxes that carry the right identity"),
    "mota": ("Tracking accuracy (MOTA)", "1 minus missed, false and switched, per object"),
    "drift_p": ("Smallest corrected p", "chance that equal pictures differ this much in anything"),
    "embedding_auroc": (
        "Separability",
        "chance that a picture in use looks more like use than a held-out one; 50% is no difference",
    ),
    "confidence_shift": ("Change of confidence", "mean confidence in use less that on held-out pictures"),
    "unknown_share": ("Called unknown", "share of the pictures that novelty detection calls unknown"),
    "label_agreement": ("Agreement with labels", "share of labels that a head which never saw them gives, too"),
    "maps_that_hold": ("Maps that hold", "share of maps that stood their test"),
    "map_change": ("Change of mAP", "after less before, on the same pictures"),
    "map50_change": ("Change of mAP at 0.5", "after less before, on the same pictures"),
    "map75_change": ("Change of mAP at 0.75", "after less before, on the same pictures"),
    "miou_change": ("Change of mean IoU", "after less before, on the same pictures"),
    "dice_change": ("Change of Dice", "after less before, on the same pictures"),
    "heat_inside": ("Heat in the thing", "mean share of a map's heat that lies in what it explains"),
    "faithful_maps": ("Faithful maps", "share of maps better than random order by deletion and by insertion"),
    "accuracy": ("Accuracy", "share of pictures named correctly"),
    "accuracy_leak_free": ("Leak-free accuracy", "without pictures that resemble training pictures"),
    "map_leak_free": ("Leak-free mAP", "without pictures that resemble training pictures"),
    "mcnemar_p": ("p of the paired test", "chance of flips this uneven if both were equally often right (McNemar)"),
    "balanced_accuracy": ("Balanced accuracy", "mean over classes, so that rare ones count as much"),
    "macro_f1": ("Macro F1", "mean over classes of precision and recall combined"),
    "micro_f1": ("Micro F1", "precision and recall combined, over all statements"),
    "auroc": ("AUROC", "chance that a picture of a class outranks one of another; 50% is guessing"),
    "macro_auroc": ("Macro AUROC", "chance that a true picture outranks a false one; 50% is guessing"),
    "map": ("mAP", "mean average precision over the classes"),
    "exact_match": ("Exact match", "share of pictures with every label right"),
    "top5_accuracy": ("Top-5 accuracy", "share of pictures whose true class is among the first five"),
    "log_loss": ("Log loss", "mean negative log-likelihood of the true class, in nats; lower is better"),
    "brier": ("Brier score", "mean squared error of the probabilities, 0 to 2; lower is better"),
    "ece": ("Calibration error", "gap between stated confidence and truth (ECE); lower is better"),
    "coverage": ("Coverage", "share of pictures whose prediction set holds the true class"),
    "set_size": ("Average set size", "classes in a prediction set; an empty one means that no class fits well enough"),
    "novelty_auroc": (
        "Novelty AUROC",
        "chance that a picture of something else looks stranger than one of its own kind",
    ),
    "false_alarms": ("False alarms", "share of pictures of its own kind that are called unknown"),
    "detected_unknown": ("Unknown detected", "share of pictures of something else that are called unknown"),
    "selective_accuracy": ("Selective accuracy", "share right among the 80% of pictures that it is surest of"),
    "aurc": (
        "AURC",
        "mean error over all shares answered, the surest first (risk-coverage curve); lower is better",
    ),
    "mean_corruption_error": ("Error in bad conditions", "share wrong, over all conditions and severities"),
    "clean_accuracy": ("Accuracy without them", "share right of the same pictures as they are"),
    "worst_group_accuracy": ("Worst group", "share right in the group of pictures that is served worst"),
    "group_gap": ("Gap between groups", "the group served worst against all others, within the same classes"),
    "fair_worst_group": ("Worst group, fair training", "share right in the group served worst, on test pictures"),
    "fair_gain": ("Gain in the worst group", "through fair training, on the same test pictures"),
    "robust_corrupted_accuracy": ("Accuracy after corruption", "share right of test pictures in bad conditions"),
    "robust_gain": ("Gain after corruption", "through robust training, on the same corrupted test pictures"),
    "label_error_rate": ("Wrong labels", "estimated share of pictures whose label is wrong"),
    "wrong_labels": ("Wrong labels", "estimated share of pictures whose label is wrong"),
    "cleaning_gain": ("Gain by cleaning", "change in accuracy when trained again without suspected labels"),
    "rater_accuracy": ("People", "share of pictures that the raters name correctly"),
    "model_beside_raters": ("Model beside people", "share right of the pictures that the raters are judged on"),
    "model_minus_raters": ("Model minus people", "difference between the shares that are right"),
    "fleiss_kappa": ("Fleiss' kappa", "agreement among raters beyond chance; 1 is full, 0 that of chance"),
    "krippendorff_alpha": ("Krippendorff's alpha", "the same where raters did not see every picture"),
    "insertion": ("Insertion", "mean probability while what the map marks is shown first; higher is better"),
    "deletion": ("Deletion", "mean probability while what the map marks is hidden first; lower is better"),
    "energy": ("Energy", "electricity that the work took, measured or estimated"),
    "accuracy_change": ("Change of accuracy", "of the smaller model against the original, on the same pictures"),
    "agreement": ("Same answer", "share of pictures that get the same answer as from the original"),
    "speedup": ("Speed", "pictures a second, as a multiple of the original's"),
    "throughput": ("Throughput", "decoded pictures a second in batches"),
    "latency_p50": ("Latency", "time of one answer to a decoded picture, median"),
    "latency_p99": ("Latency, 99%", "99 of 100 answers to a decoded picture take no longer"),
    "peak_memory": ("Peak memory", "of a process that answers batches, libraries included"),
    "graph_size": ("Graph", "size of the file that answers"),
    "bundle_size": ("Bundle", "size of the whole folder"),
}
"""Metric name -> (heading, what it means in plain words)."""

TERMS = frozenset({"aurc", "brier", "auroc", "macro_auroc", "ece", "d_ece", "log_loss", "map", "map50", "aupro"})
"""Figures whose headings are terms of the field: what they mean is printed below them, too."""

PAIRED = "picture by picture, on the same pictures"
CHANGED = "after less before, on the same pictures"
LEADING = (
    *("speedup", "graph_size", "accuracy", "accuracy_leak_free", "map", "map_leak_free", "exact_match"),
    *("balanced_accuracy", "ece"),
    *("map50", "recall_shown", "precision_shown", "miou", "dice", "instance_f1", "count_error", "d_ece"),
    *("corrupted_map50", "corrupted_dice", "worst_group_recall", "worst_group_dice"),
    *("accuracy_change", "agreement", "throughput", "latency_p50"),
    *("coverage", "false_alarms", "novelty_auroc", "worst_group_accuracy", "mean_corruption_error", "rater_accuracy"),
)
"""Figures that are shown large before others, where a report has them."""


def heading(name: str, metric: Metric | None = None) -> tuple[str, str]:
    """A figure's heading and what it means; the figures of a comparison end in _a, _b or _difference.

    Args:
        name: of the figure.
        metric: itself, whose own title goes before the glossary.

    Example:
        >>> heading("ece_a")[0], heading("some_figure")
        ('Calibration error, A', ('Some figure', ''))
    """
    own = (metric.title, metric.hint) if metric is not None and metric.title else None
    for suffix, addition in (("_a", ", A"), ("_b", ", B"), ("_difference", ", B minus A")):
        base = name.removesuffix(suffix)
        if base != name and (own or base in GLOSSARY):
            title, meaning = own or GLOSSARY[base]
            return title + addition, PAIRED if suffix == "_difference" else meaning
    if name.endswith("_change") and (own or name not in GLOSSARY):
        return f"{own[0] if own else heading(name.removesuffix('_change'))[0]}, change", CHANGED
    if own and name.endswith("_leak_free"):
        return f"{own[0]}, leak-free", "without images that resemble training images"
    return own or GLOSSARY.get(name, (name.replace("_", " ").capitalize(), ""))
