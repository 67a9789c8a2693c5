"""Figures: one function each, rows in, figure out, with alternative text and the data behind it."""

from lib.figures.attacks import (
    attack_strength,
    epsilon_slider,
    perturbation_sheet,
    probe_comparison,
    published_table,
    quirk_table,
    robustness_table,
)
from lib.figures.attention import attention_grid
from lib.figures.datasets import by_dataset, paragraphs, side_by_side, stacked_tables
from lib.figures.diagrams import diagram, relicv2_diagram
from lib.figures.figure import Figure, Slider, Tabs
from lib.figures.invariance import erasure_bars, factor_map, invariance_map, parts_map, real_views, similarity_curves
from lib.figures.invariance_tables import measures_agree, sensitivity_table
from lib.figures.methods import accuracy_by_method, methods_answer, recipes_table, results_table
from lib.figures.negatives import (
    alpha_curve,
    arms_forest,
    arms_table,
    bias_against_robustness,
    cue_curves,
    negative_gallery,
    negatives_under_attack,
    published_negatives_table,
    query_similarity,
    queue_curve,
    shape_bias_figure,
    texture_reliance,
)
from lib.figures.neighbours import nearest_neighbours, read_before_after
from lib.figures.pictures import contact_sheet, recipe_views, transform_sheet
from lib.figures.relicv2 import (
    ablation_forest,
    background_reliance_figure,
    effective_robustness_of_systems,
    in_domain_table,
    ood_forest,
    ood_table,
    segmentation_bars,
    sweep_curves,
)
from lib.figures.relicv2_published import published_relicv2_table
from lib.figures.rescored import rescored_facts, rescored_ranks, rescored_table
from lib.figures.robustness import (
    calibration_by_severity,
    cnn_against_transformer,
    effective_robustness,
    effective_robustness_table,
    error_heat_map,
    rank_sentence,
    rank_stability,
    transformer_table,
)
from lib.figures.saliency import (
    background_sheet,
    mask_quality_table,
    saliency_failures,
    saliency_sheet,
    segmentation_sheet,
)
from lib.figures.severity import before_and_after, error_by_corruption, error_by_group, error_by_severity
from lib.figures.shifts import (
    attention_by_severity,
    error_along_distance,
    error_along_severity,
    monotony,
    monotony_sentence,
    natural_against_corrupted,
    natural_table,
    predicted_dips,
    raw_by_severity,
    raw_input_sentences,
    raw_input_table,
    table_of_constants,
)
from lib.figures.stale import standing, standing_words
from lib.figures.systems_look import system_title
from lib.figures.tables import accuracy_table, protocol, ranking, systems_table, table
from lib.figures.tradeoff import (
    cost_of_training,
    crops_sweep,
    overfitting_monitor,
    robust_by_epsilon,
    seconds_table,
    trade_off,
)
from lib.figures.transfer import (
    fusion_dots,
    invariance_against_robustness,
    invariance_against_score,
    rank_dots,
    task_table,
)
from lib.figures.tuning import tuning, tuning_table, tuning_words

__all__ = [
    "Figure", "Slider", "Tabs", "ablation_forest", "accuracy_by_method", "accuracy_table", "alpha_curve",
    "arms_forest", "arms_table", "attack_strength", "attention_by_severity", "attention_grid",
    "background_reliance_figure", "background_sheet", "before_and_after", "bias_against_robustness", "by_dataset",
    "calibration_by_severity", "cnn_against_transformer", "contact_sheet", "cost_of_training", "crops_sweep",
    "cue_curves", "diagram", "effective_robustness", "effective_robustness_of_systems",
    "effective_robustness_table", "epsilon_slider", "erasure_bars", "error_along_distance", "error_along_severity",
    "error_by_corruption", "error_by_group", "error_by_severity", "error_heat_map", "factor_map", "fusion_dots",
    "in_domain_table", "invariance_against_robustness", "invariance_against_score", "invariance_map",
    "mask_quality_table", "measures_agree", "methods_answer", "monotony", "monotony_sentence",
    "natural_against_corrupted", "natural_table", "nearest_neighbours", "negative_gallery",
    "negatives_under_attack", "ood_forest", "ood_table", "overfitting_monitor", "paragraphs", "parts_map",
    "perturbation_sheet", "predicted_dips", "probe_comparison", "protocol", "published_negatives_table",
    "published_relicv2_table", "published_table", "query_similarity", "queue_curve", "quirk_table", "rank_dots",
    "rank_sentence", "rank_stability", "ranking", "raw_by_severity", "raw_input_sentences", "raw_input_table",
    "read_before_after", "real_views", "recipe_views", "recipes_table", "relicv2_diagram", "rescored_facts",
    "rescored_ranks", "rescored_table", "results_table", "robust_by_epsilon", "robustness_table",
    "saliency_failures", "saliency_sheet", "seconds_table", "segmentation_bars", "segmentation_sheet",
    "sensitivity_table", "shape_bias_figure", "side_by_side", "similarity_curves", "stacked_tables", "standing",
    "standing_words", "sweep_curves", "system_title", "systems_table", "table", "table_of_constants", "task_table",
    "texture_reliance", "trade_off", "transform_sheet", "transformer_table", "tuning", "tuning_table",
    "tuning_words",
]  # fmt: skip
