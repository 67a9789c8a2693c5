"""What is measured of a trained encoder, and how sure we are.

A measure is a frozen dataclass with an `identity` (its name, parameters and protocol in words) and
`rows(subject)`, which returns tidy rows with the columns of `COLUMNS`.
"""

from lib.measures.accuracy import Accuracy
from lib.measures.adversarial_probe import AdversarialProbe
from lib.measures.aggregation import Aggregation
from lib.measures.attention import AttentionShift
from lib.measures.auto_attack import AutoAttackAccuracy, AutoAttackCurve
from lib.measures.background import BackgroundReliance
from lib.measures.corruption_error import CorruptionError
from lib.measures.cue_accuracy import CueAccuracy
from lib.measures.divergence_radius import DivergenceRadius
from lib.measures.downstream import Downstream
from lib.measures.features import extract
from lib.measures.handed import Handed, load_encoder
from lib.measures.knn import knn_predict
from lib.measures.monitor import adversarial_monitor, neighbour_monitor
from lib.measures.natural_shift import NaturalShift
from lib.measures.negative_similarity import NegativeSimilarity
from lib.measures.out_of_distribution import OutOfDistribution
from lib.measures.out_of_domain import OutOfDomain
from lib.measures.probe import Probe, fit_probe
from lib.measures.raw_input import RawInput
from lib.measures.read_out import ReadOut
from lib.measures.real_invariance import RealInvariance
from lib.measures.robust_accuracy import Classifier, RobustAccuracy
from lib.measures.rows import COLUMNS
from lib.measures.segmentation import Segmentation
from lib.measures.severity_curve import SeverityCurve
from lib.measures.shape_bias import ShapeBias
from lib.measures.statistics import (
    Estimate,
    Interval,
    Pool,
    bootstrap_interval,
    estimate,
    interval,
    is_share,
    pooled,
    proportion_interval,
    read_together,
)
from lib.measures.subject import Subject
from lib.measures.synthetic_invariance import SyntheticInvariance

__all__ = [
    "COLUMNS", "Accuracy", "AdversarialProbe", "Aggregation", "AttentionShift", "AutoAttackAccuracy",
    "AutoAttackCurve", "BackgroundReliance", "Classifier", "CorruptionError", "CueAccuracy", "DivergenceRadius",
    "Downstream", "Estimate", "Handed", "Interval", "NaturalShift", "NegativeSimilarity", "OutOfDistribution",
    "OutOfDomain", "Pool", "Probe", "RawInput", "ReadOut", "RealInvariance", "RobustAccuracy",
    "Segmentation", "SeverityCurve", "ShapeBias", "Subject", "SyntheticInvariance",
    "adversarial_monitor", "bootstrap_interval", "estimate", "extract", "fit_probe",
    "interval", "is_share", "knn_predict", "load_encoder", "neighbour_monitor", "pooled", "proportion_interval",
    "read_together",
]  # fmt: skip
