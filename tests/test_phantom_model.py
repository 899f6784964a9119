"""The label model and the best possible AUC, against closed forms, pair counting and drawn labels."""

import numpy as np
import pytest
from scipy.special import expit, logit
from scipy.stats import norm
from sklearn.metrics import roc_auc_score

from microcalc.intake.phantom import PhantomSettings, best_auc
from microcalc.intake.phantom_model import (
    DISTRIBUTIONS,
    MALIGNANT_SHARE,
    MORPHOLOGIES,
    TRAITS,
    Descriptors,
    auc_of_probabilities,
    birads_category,
    draw_descriptors,
    draw_pathology,
    label_model,
    lesion_from,
)
from microcalc.intake.phantom_patients import images_of_lesions
from microcalc.vocabulary import CalcDistribution, CalcMorphology


def pair_counting(p: np.ndarray, w: np.ndarray) -> float:
    """The definition, pair by pair."""
    right = both = 0.0
    for pi, wi in zip(p, w, strict=True):
        for pj, wj in zip(p, w, strict=True):
            mass = wi * pi * wj * (1 - pj)
            both += mass
            right += mass * (1.0 if pi > pj else 0.5 if pi == pj else 0.0)
    return right / both


def probability_from_record(record: dict, lesion: dict[str, object]) -> float:
    """The stated model, computed from its plain values alone."""
    score = record["morphology"][lesion["morphology"]] + record["distribution"][lesion["distribution"]]
    score += sum(record["traits"][t] * float(lesion[f"trait_{t}"]) for t in TRAITS)
    return float(1 / (1 + np.exp(-(record["intercept"] + score / record["difficulty"]))))


def one_lesion(morphology: CalcMorphology, distribution: CalcDistribution, traits: list[float]) -> Descriptors:
    return Descriptors(
        np.array([MORPHOLOGIES.index(morphology)]), np.array([DISTRIBUTIONS.index(distribution)]), np.array([traits])
    )


def test_auc_of_probabilities_counts_pairs_with_weights_and_ties():
    rng = np.random.default_rng(1)
    p, w = rng.choice([0.1, 0.2, 0.5, 0.8], 40), rng.integers(1, 5, 40).astype(float)
    assert auc_of_probabilities(p, w) == pytest.approx(pair_counting(p, w), abs=1e-12)


def test_auc_of_probabilities_reaches_the_binormal_closed_form():
    rng, apart, share = np.random.default_rng(2), 1.7, 0.37
    x = rng.standard_normal(400_000) + apart * (rng.random(400_000) < share)
    p = expit(logit(share) + apart * x - apart**2 / 2)
    assert auc_of_probabilities(p) == pytest.approx(norm.cdf(apart / np.sqrt(2)), abs=0.002)


def test_auc_of_equal_probabilities_is_one_half_and_of_one_class_undefined():
    assert auc_of_probabilities([0.3, 0.3, 0.3]) == pytest.approx(0.5)
    assert np.isnan(auc_of_probabilities([1.0, 1.0]))


def test_best_auc_is_what_drawn_labels_give_on_images():
    rng = np.random.default_rng(3)
    images = images_of_lesions(rng, 60_000).ravel()
    images = images[images > 0]
    p = label_model(1.0).probability(draw_descriptors(rng, len(images)))
    labels = rng.random(len(p)) < p
    counted = roc_auc_score(np.repeat(labels, images), np.repeat(p, images))
    assert best_auc(PhantomSettings()).value == pytest.approx(counted, abs=0.005)


def test_best_auc_states_its_own_error():
    small = [best_auc(PhantomSettings(), lesions=4_000, seed=s) for s in range(30)]
    spread = np.std([b.value for b in small], ddof=1)
    assert np.mean([b.standard_error for b in small]) == pytest.approx(spread, rel=0.4)


def test_default_difficulty_makes_the_best_auc_about_095():
    assert best_auc(PhantomSettings()).value == pytest.approx(0.95, abs=0.005)


def test_more_difficulty_lowers_the_best_auc():
    easy, hard = (best_auc(PhantomSettings(difficulty=d), lesions=20_000).value for d in (0.5, 2.0))
    assert easy > 0.98
    assert hard < 0.86


@pytest.mark.parametrize("difficulty", [0.5, 1.0, 3.0])
def test_the_share_of_malignant_lesions_is_the_papers(difficulty):
    p = label_model(difficulty).probability(draw_descriptors(np.random.default_rng(4), 100_000))
    assert p.mean() == pytest.approx(MALIGNANT_SHARE, abs=0.005)


def test_the_recorded_model_gives_the_same_probability():
    model, lesions = label_model(1.3), draw_descriptors(np.random.default_rng(5), 50)
    for i, p in enumerate(model.probability(lesions)):
        facts = {f"trait_{t}": z for t, z in zip(TRAITS, lesions.traits[i], strict=True)}
        facts |= {"morphology": MORPHOLOGIES[lesions.morphology[i]].value}
        facts |= {"distribution": DISTRIBUTIONS[lesions.distribution[i]].value}
        assert probability_from_record(model.record(), facts) == pytest.approx(p, abs=1e-12)


def test_descriptors_follow_the_recorded_prior():
    lesions, record = draw_descriptors(np.random.default_rng(6), 100_000), label_model(1.0).record()
    for i, morphology in enumerate(MORPHOLOGIES):
        mine = lesions.morphology == i
        assert mine.mean() == pytest.approx(record["prior"][morphology.value], abs=0.006)
        for j, distribution in enumerate(DISTRIBUTIONS):
            expected = record["prior_distribution"][morphology.value][distribution.value]
            assert (lesions.distribution[mine] == j).mean() == pytest.approx(expected, abs=0.015)


def test_the_recorded_prior_is_a_probability():
    record = label_model(1.0).record()
    assert sum(record["prior"].values()) == pytest.approx(1)
    for shares in record["prior_distribution"].values():
        assert sum(shares.values()) == pytest.approx(1)


def test_suspicion_rises_in_the_order_of_the_vocabulary():
    lesions = draw_descriptors(np.random.default_rng(7), 100_000)
    p = label_model(1.0).probability(lesions)
    by_morphology = [p[lesions.morphology == i].mean() for i in range(len(MORPHOLOGIES))]
    assert by_morphology == sorted(by_morphology)
    grouped_round = [
        label_model(1.0).probability(one_lesion(CalcMorphology.ROUND, d, [0, 0, 0, 0]))[0] for d in DISTRIBUTIONS
    ]
    assert grouped_round == sorted(grouped_round)


def test_a_usual_lesion_has_the_recorded_properties():
    usual = label_model(1.0).record()["usual"]["punctate"]
    lesion = lesion_from(one_lesion(CalcMorphology.PUNCTATE, CalcDistribution.GROUPED, [0, 0, 0, 0]), 0, label_model(1))
    assert (lesion.number, lesion.size_mm, lesion.contrast) == (usual["number"], usual["size"], usual["contrast"])


def test_more_of_a_trait_is_more_of_its_property():
    kind = (CalcMorphology.FINE_PLEOMORPHIC, CalcDistribution.GROUPED)
    low, high = (lesion_from(one_lesion(*kind, [z] * 4), 0, label_model(1.0)) for z in (-1.0, 1.0))
    assert low.number < high.number
    assert low.size_mm < high.size_mm
    assert low.size_variation < high.size_variation
    assert low.contrast < high.contrast


def test_the_intercept_does_not_depend_on_what_was_drawn_before():
    first = label_model(1.7).intercept
    label_model.cache_clear()
    np.random.default_rng().random(10)
    assert label_model(1.7).intercept == first


def test_pathology_agrees_with_the_label():
    rng = np.random.default_rng(8)
    drawn = {label: {draw_pathology(rng, label).value for _ in range(100)} for label in (0, 1)}
    assert drawn == {0: {"benign", "high_risk"}, 1: {"dcis", "invasive"}}


@pytest.mark.parametrize(("probability", "category"), [(1e-4, "3"), (0.999, "5"), (0.25, "4B")])
def test_birads_follows_the_likelihood_of_malignancy(probability, category):
    rng = np.random.default_rng(9)
    given = [birads_category(rng, probability) for _ in range(200)]
    assert max(set(given), key=given.count) == category


def test_birads_survives_certainty():
    rng = np.random.default_rng(10)
    assert birads_category(rng, 0.0) == "3"
    assert birads_category(rng, 1.0) == "5"
