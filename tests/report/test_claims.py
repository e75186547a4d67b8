"""Claims on tables made by hand: which numbers make them hold, fail, or stay open."""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

import numpy as np
import pandas as pd
import pytest
from scipy import stats

from hw5hpc.report.claims import CLAIMS, ORIGINALS, Verdict, judge
from hw5hpc.report.claims.compare import Side, compare
from hw5hpc.report.headline import headline
from hw5hpc.report.looks import with_steps_to_cover
from hw5hpc.report.summary import summarise
from hw5hpc.report.tables import Tables

CLASSES = tuple("abcdefghij")
DEPTH, NORM = "gan.unroll_steps", "model.batch_norm"
Settings = Mapping[Any, Sequence[float]]


def side(name: str, values: Sequence[float], seeds: Sequence[int] | None = None) -> Side:
    return Side(name, pd.Series(values, index=seeds, dtype=float))


def made(
    experiment: str, key: str, columns: Mapping[str, Settings], looks: int = 10, **config: Any
) -> Tables:
    """A sweep of one key: `columns` holds each final column's values, {setting: one a seed}.

    Its runs have looks every 200 steps of 10 ms (60 ms with unrolling), all like the end.
    """
    first = next(iter(columns.values()))
    rows = [
        {"run": f"{value}-{seed}", "state": "finished", "device": "CPU", "seed": seed, key: value,
         **{name: settings[value][seed] for name, settings in columns.items()}, **config}
        for value, values in first.items()
        for seed in range(len(values))
    ]  # fmt: skip
    results = pd.DataFrame(rows)
    every = [results.assign(
                epoch=at, step=200 * at,
                train_seconds=[200 * at * (0.06 if value else 0.01) for value in results[key]],
             ) for at in range(1, looks + 1)]  # fmt: skip
    curves = pd.concat(every).sort_values(["run", "step"], ignore_index=True)
    return Tables("made", experiment, (key, "seed"), results, curves, class_names=CLASSES)


def gan(vanilla: Sequence[float], unrolled: Sequence[float], **options: Any) -> Tables:
    counts = {0: vanilla, 5: unrolled}
    variation = {depth: [0.9 - 0.09 * (n - 1) for n in counts[depth]] for depth in counts}
    return made("gan", DEPTH, {"classes_covered": counts, "total_variation": variation}, **options)


def named(tables: Tables, claim: str) -> Verdict:
    (found,) = [verdict for verdict in judge(tables) if verdict.claim == claim]
    return found


def test_settings_with_the_same_seeds_are_paired() -> None:
    first, second = [5.0, 7.0, 9.0, 12.0], [4.5, 6.0, 8.4, 11.0]
    ruling = compare(side("a", first), side("b", second))
    low, high = stats.ttest_rel(first, second).confidence_interval(0.95)
    assert ruling.verdict == "holds"
    assert f"difference by seed 0.775 [{low:.4g}, {high:.4g}]" in ruling.numbers
    assert "P(a > b) = 0.62" in ruling.numbers
    unpaired = compare(side("a", first), side("b", second, [10, 11, 12, 13]))
    assert unpaired.verdict == "cannot be told", "the seeds differ more than the settings"
    assert "by seed" not in unpaired.numbers


def test_only_shared_seeds_are_paired() -> None:
    """Seed 9 ran at one setting only, and would turn the difference round."""
    ruling = compare(side("a", [2, 3, 4.5, -90], [0, 1, 2, 9]), side("b", [1, 2, 3], [0, 1, 2]))
    assert "difference by seed 1.167" in ruling.numbers
    assert ruling.verdict == "holds"


def test_an_undecided_comparison_says_how_many_seeds_would_settle_it() -> None:
    differences = [1.0, 3.0, -1.0]
    base = np.array([5.0, 1.0, 2.0])
    ruling = compare(side("a", base + differences), side("b", base))
    assert (ruling.verdict, ruling.settle) == (
        "cannot be told", "about 18 seeds at the spread seen"
    )  # fmt: skip
    for n, verdict in ((17, "cannot be told"), (18, "holds")):
        same = stats.zscore(np.linspace(-1, 1, n), ddof=1) * 2 + 1
        again = compare(side("a", same + np.arange(n)), side("b", np.arange(n)))
        assert again.verdict == verdict


def test_two_seeds_decide_nothing_and_are_shown_themselves() -> None:
    ruling = compare(side("a", [9.0, 9.1]), side("b", [1.0, 1.1]))
    assert (ruling.verdict, ruling.settle) == ("cannot be told", "at least 3 seeds of each")
    assert ruling.numbers == "a 9 and 9.1 (n = 2), b 1 and 1.1 (n = 2)"


@pytest.mark.parametrize(("n", "verdict"), [(3, "cannot be told"), (4, "holds")])
def test_without_spread_four_seeds_are_needed(n: int, verdict: str) -> None:
    ruling = compare(side("a", [10.0] * n), side("b", [1.0] * n))
    assert ruling.verdict == verdict
    assert ruling.settle == ("" if n == 4 else "4 seeds of each")


@pytest.mark.parametrize(("shift", "verdict"), [(1.0, "cannot be told"), (9.0, "holds")])
def test_equal_differences_are_held_against_the_spread_of_the_settings(
    shift: float, verdict: str
) -> None:
    first, second = [1 + shift, 2 + shift, 3 + shift], [1.0, 2.0, 3.0]
    ruling = compare(side("a", first), side("b", second))
    low, high = stats.ttest_ind(first, second, equal_var=False).confidence_interval(0.95)
    assert ruling.verdict == verdict
    assert f"difference {shift:g} [{low:.4g}, {high:.4g}]" in ruling.numbers


def test_the_demo_is_decided_and_told_in_a_sentence() -> None:
    tables = gan([1, 1, 1, 1], [10, 10, 10, 10])
    first = judge(tables)[0]
    assert (first.claim, first.verdict, first.settle) == ("more classes", "holds", "")
    assert first.finding == (
        "Five unrolled steps cover 10 of 10 classes in all 4 seeds; without unrolling 1."
    )
    ours = [verdict.verdict for verdict in judge(tables) if not verdict.original]
    assert ours == ["holds"] * 7


def test_of_several_depths_the_headline_tells_the_one_that_changed_most() -> None:
    counts = {0: [1, 2, 1, 1], 1: [6, 8, 7, 7], 5: [10, 10, 10, 10]}
    tables = made("gan", DEPTH, {"classes_covered": counts}, reason="")
    assert headline(summarise(tables, [], [])) == (
        "Five unrolled steps cover 10 of 10 classes in all 4 seeds; without unrolling 1.25."
    )


def test_the_rings_headline_is_what_unrolling_does() -> None:
    counts = {0: [1, 0, 1], 1: [1, 1, 0], 5: [8, 8, 8]}
    tables = made("ring", DEPTH, {"modes_covered": counts}, reason="", **{"ring.modes": 8})
    assert headline(summarise(tables, [], [])) == (
        "With five unrolled steps all 8 modes are covered at the end in 3 of 3 seeds; "
        "without unrolling 0.667 of 8 on average over 3 seeds."
    )


def test_an_open_finding_claims_nothing() -> None:
    found = judge(gan([4, 6, 2, 5], [5, 4, 7, 6]))[0]
    assert found.verdict == "cannot be told"
    assert found.finding == (
        "Five unrolled steps cover 5.5 of 10 classes on average over 4 seeds; "
        "without unrolling 4.25: the two cannot be told apart yet."
    )


def test_at_equal_steps_the_values_of_then_count() -> None:
    tables = gan([1, 1, 1, 1], [10, 10, 10, 10])
    then = tables.curves["step"] <= 1000
    curves = tables.curves.assign(
        classes_covered=tables.curves["classes_covered"].where(~then, 5.0)
    )
    found = named(replace(tables, curves=curves), "more classes at equal steps")
    assert found.sentence == (
        "At 1,000 steps, unrolling (K = 5) covers more classes than no unrolling."
    )
    assert found.verdict == "cannot be told"
    assert named(tables, "more classes at equal steps").verdict == "holds"


def test_equal_steps_are_left_out_where_they_are_the_end() -> None:
    tables = gan([1] * 4, [10] * 4, looks=5)
    assert tables.curves["step"].max() == 1000
    assert "more classes at equal steps" not in {verdict.claim for verdict in judge(tables)}


def test_equal_steps_are_those_of_a_look_that_all_runs_have() -> None:
    tables = gan([1] * 4, [10] * 4)
    late = (tables.curves["run"] == "5-2") & tables.curves["step"].between(700, 1100)
    found = named(replace(tables, curves=tables.curves[~late]), "more classes at equal steps")
    assert found.sentence.startswith("At 600 steps")


def test_at_equal_compute_each_run_has_its_last_look_of_then() -> None:
    """2,000 vanilla steps take 20 s; with unrolling 200 steps take 12 s, and 400 take 24 s."""
    tables = gan([5, 5, 5, 6], [10] * 4)
    first = tables.curves["step"] == 200
    classes = tables.curves["classes_covered"].where(~first, 2.0)
    classes[first & (tables.curves[DEPTH] == 0)] = 1.0
    curves = tables.curves.assign(classes_covered=classes)
    found = named(replace(tables, curves=curves), "more classes at equal compute")
    assert found.sentence.startswith("After the same 20 s of training, unrolling (K = 5)")
    assert found.verdict == "does not hold"
    assert found.finding == (
        "After the same 20 s of training, five unrolled steps cover 2 of 10 classes in all 4 "
        "seeds; without unrolling 5.25."
    )


def test_equal_compute_needs_one_device_and_recorded_times() -> None:
    tables = gan([1] * 4, [10] * 4)
    results = tables.results.assign(device=["CPU"] * 4 + ["H100"] * 4)
    found = named(replace(tables, results=results), "more classes at equal compute")
    assert (found.verdict, found.numbers) == (
        "cannot be told", "training times on different devices: CPU, H100"
    )  # fmt: skip
    curves = tables.curves.drop(columns="train_seconds")
    found = named(replace(tables, curves=curves), "more classes at equal compute")
    assert (found.verdict, "not every run recorded" in found.numbers) == ("cannot be told", True)
    late = tables.curves[(tables.curves[DEPTH] == 0) | (tables.curves["step"] > 400)]
    found = named(replace(tables, curves=late), "more classes at equal compute")
    assert (found.verdict, "no look within the 20 s" in found.numbers) == ("cannot be told", True)


@pytest.mark.parametrize(
    ("counts", "steps"),
    [([1, 10, 9, 10, 10], 800), ([10] * 5, 200), ([10, 10, 10, 10, 9], None), ([1] * 5, None)],
)
def test_steps_to_cover_is_where_all_classes_begin_to_stay(
    counts: list[int], steps: int | None
) -> None:
    tables = gan([1] * 3, [10] * 3, looks=5)
    mine = tables.curves["run"] == "0-1"
    tables.curves.loc[mine, "classes_covered"] = counts
    results = with_steps_to_cover(tables).results.set_index("run")
    found = results.loc["0-1", "steps_to_cover"]
    assert np.isnan(found) if steps is None else found == steps
    assert results.loc["5-0", "steps_to_cover"] == 200


def test_where_rates_vary_too_each_is_judged_on_its_own() -> None:
    one = gan([1] * 4, [10] * 4)
    two = gan([10] * 4, [1] * 4)
    rate = "optim.lr_discriminator"
    again = two.results.assign(**{rate: 1e-3}, run=two.results["run"] + "b")
    results = pd.concat([one.results.assign(**{rate: 1e-4}), again], ignore_index=True)
    both = replace(one, swept=(rate, DEPTH, "seed"), results=results)
    found = [verdict for verdict in judge(both) if verdict.claim == "more classes"]
    assert [verdict.verdict for verdict in found] == ["holds", "does not hold"]
    assert "(K = 5, discriminator's learning rate 0.0001)" in found[0].sentence


FULL = {"data.name": "cifar10", "data.limit": None, "train.epochs": 10}


def cnn(without: float, with_it: float, spread: float = 0.004, **config: Any) -> Tables:
    wobble = spread * np.array([-1, 0, 1, 0])
    accuracy = {False: list(without + wobble), True: list(with_it + wobble)}
    loss = {False: [1.0, 1.01, 0.99, 1.0], True: [0.7, 0.71, 0.69, 0.7]}
    columns = {"test_accuracy": accuracy, "train_loss": loss}
    return made("cnn", NORM, columns, **{**FULL, **config})


@pytest.mark.parametrize(
    ("mean", "spread", "verdict"),
    [(0.62, 0.004, "holds"), (0.59, 0.004, "does not hold"), (0.62, 0.03, "cannot be told"),
     (0.3, 0.03, "does not hold")],
)  # fmt: skip
def test_the_originals_accuracy_is_held_against_one_more_run(
    mean: float, spread: float, verdict: str
) -> None:
    found = named(cnn(mean, 0.7, spread), "original: test accuracy without batch norm")
    assert found.verdict == verdict
    assert found.original == "test accuracy 0.6225 without batch norm"
    assert "prediction interval" in found.rule


def test_an_interval_that_agrees_with_all_says_whether_seeds_would_narrow_it() -> None:
    claim = "original: test accuracy without batch norm"
    assert named(cnn(0.62, 0.7, 0.02), claim).settle == "about 5 seeds at the spread seen"
    assert named(cnn(0.62, 0.7, 0.09), claim).settle.startswith("no number of seeds")


@pytest.mark.parametrize(
    ("key", "value"), [("data.name", "synthetic"), ("data.limit", 3000), ("train.epochs", 3)]
)
def test_runs_of_another_kind_cannot_speak_about_the_original(key: str, value: object) -> None:
    originals = [v for v in judge(cnn(0.62, 0.63, **{key: value})) if v.original]
    assert len(originals) == 5
    for verdict in originals:
        assert verdict.verdict == "cannot be told"
        assert verdict.numbers.startswith(f"needs {key} = ")
        assert f"(here {value})" in verdict.numbers


def test_the_originals_losses_must_both_agree() -> None:
    tables = cnn(0.62, 0.63)
    first = (tables.curves["epoch"] == 1).to_numpy()
    last = tables.curves["train_loss"]
    losses = np.where(first, 1.6085 + last / 100, last)
    tables = replace(tables, curves=tables.curves.assign(train_loss=losses))
    assert named(tables, "original: training loss without batch norm").verdict == "holds"
    found = named(tables, "original: training loss with batch norm")
    assert found.verdict == "does not hold", "1.62 at first, but 0.70 at last"
    assert named(tables, "original: larger training loss").verdict == "does not hold"


FASHION = {"data.name": "fashion_mnist", "data.limit": None}


def spread_gan(vanilla: list[list[int]], unrolled: list[list[int]]) -> Tables:
    """Three seeds' histograms of 3,000 labels at each depth."""
    losses = {
        "discriminator_loss": {0: [1.38, 1.40, 1.39], 5: [0.5] * 3},
        "generator_loss": {0: [0.72, 0.73, 0.74], 5: [2.0] * 3},
    }
    tables = made("gan", DEPTH, losses, **FASHION)
    arrays = {
        f"{depth}-{seed}": {"label_histogram": {1: np.ones(10), 10: np.array(counts)}}
        for depth, all_counts in ((0, vanilla), (5, unrolled))
        for seed, counts in enumerate(all_counts)
    }
    return replace(tables, arrays=arrays)


ONE = [2900, 100, 0, 0, 0, 0, 0, 0, 0, 0]
EVEN = [600, 250, 300, 350, 390, 210, 500, 200, 100, 100]
TWO = [1500, 1500, 0, 0, 0, 0, 0, 0, 0, 0]


def test_the_originals_gan_is_judged_by_its_histograms_and_losses() -> None:
    tables = spread_gan([ONE] * 3, [EVEN] * 3)
    for name in ("losses", "one class", "near uniform"):
        assert named(tables, f"original: {name}").verdict == "holds"
    assert "above: 2, 2, 2" in named(tables, "original: near uniform").numbers
    other = spread_gan([ONE, ONE, TWO], [EVEN, TWO, EVEN])
    for name in ("one class", "near uniform"):
        assert named(other, f"original: {name}").verdict == "does not hold"


def test_losses_that_end_elsewhere_do_not_settle_at_the_originals() -> None:
    tables = spread_gan([ONE] * 3, [EVEN] * 3)
    early = tables.curves["epoch"] <= 8
    curves = tables.curves.assign(generator_loss=tables.curves["generator_loss"].where(~early, 5))
    assert named(replace(tables, curves=curves), "original: losses").verdict == "holds"
    curves = tables.curves.assign(generator_loss=tables.curves["generator_loss"].where(early, 1))
    assert named(replace(tables, curves=curves), "original: losses").verdict == "does not hold"


def test_a_saddle_objective_has_no_losses_like_the_originals() -> None:
    tables = spread_gan([ONE] * 3, [EVEN] * 3)
    saddle = replace(tables, results=tables.results.assign(**{"gan.objective": "saddle"}))
    assert named(saddle, "original: losses").verdict == "cannot be told"
    assert named(saddle, "original: one class").verdict == "holds"


@pytest.mark.parametrize(
    ("offset", "error", "verdict"),
    [(10.0, 3e-7, "holds"), (10.0, 3e-6, "does not hold"), (10.0, float("nan"), "does not hold"),
     (1e39, float("nan"), "holds")],
)  # fmt: skip
def test_softmax_is_invariant_to_a_few_roundings(offset: float, error: float, verdict: str) -> None:
    rows = [{"run": "a", "state": "finished", "softmax.dtype": "float32", "softmax.offset": 0.0,
             "shifted_stored_error": 1e-7},
            {"run": "b", "state": "finished", "softmax.dtype": "float32", "softmax.offset": offset,
             "shifted_stored_error": error}]  # fmt: skip
    tables = Tables("made", "softmax", ("softmax.offset",), pd.DataFrame(rows), pd.DataFrame())
    assert named(tables, "original: invariance").verdict == verdict


def test_every_claim_of_the_original_states_what_was_said_and_its_rule() -> None:
    for experiment, originals in ORIGINALS.items():
        for one in originals:
            assert one.name.startswith("original: ") and one.said and one.rule
            assert one.name not in {claim.name for claim in CLAIMS[experiment]}
