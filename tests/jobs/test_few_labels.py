"""Claims of learning from few labels."""

from __future__ import annotations

import pytest
import torch
from torch.nn import functional

import paceline
from paceline.core.errors import SettingError
from paceline.jobs.few_labels import UNKNOWN, Consistency, Twice


def test_where_all_is_labelled_the_loss_is_the_mean_cross_entropy_of_both_variations():
    output = torch.randn(10, 3, generator=torch.Generator().manual_seed(0))
    target = torch.tensor([0, 1, 2, 1, 0])
    twin = functional.cross_entropy(output, target.repeat_interleave(2))
    assert torch.allclose(Consistency()(output, target), twin)


def test_an_unsure_guess_teaches_nothing_and_a_sure_one_teaches_the_other_variation_alone():
    output = torch.tensor([[0.1, 0.0], [0.0, 3.0], [9.0, 0.0], [0.0, 0.5]], requires_grad=True)
    loss = Consistency()(output, torch.tensor([UNKNOWN, UNKNOWN]))
    loss.backward()
    assert output.grad[:3].abs().sum() == 0
    twin = functional.cross_entropy(output[3:].detach(), torch.tensor([0])) / 2
    assert float(loss.detach()) == pytest.approx(float(twin))


def test_members_of_a_network_learn_each_from_their_own_guess():
    one = torch.randn(8, 3, generator=torch.Generator().manual_seed(1)) * 4
    target = torch.tensor([0, UNKNOWN, 2, UNKNOWN])
    both = torch.stack([one, one], 1)
    assert torch.allclose(Consistency()(both, target), Consistency()(one, target))


def test_an_example_and_its_stronger_variation_stand_side_by_side():
    def more(inputs, generator):
        return (inputs[0] + 1 + torch.rand(1, generator=generator) * 0,)

    (found,) = Twice(more)((torch.tensor([10.0, 20.0]),), torch.Generator())
    assert found.tolist() == [11.0, 12.0, 21.0, 22.0]


def test_the_labels_that_choose_the_weights_are_among_those_that_were_given(tmp_path):
    run = paceline.fit(
        "digits",
        steps=3,
        out=tmp_path / "run",
        settings={"data.labels": 50, "data.test": 0.5},
    )
    assert (run.facts["data"]["labelled"], run.facts["data"]["validation"]) == (40, 10)
    assert any("40 labels are learnt from and 10" in note for note in run.facts["data"]["notes"])
    assert run.baselines["logistic_regression"]["accuracy"] < 0.95  # it had forty labels too


@pytest.mark.parametrize(
    ("data", "settings", "said"),
    [
        ("digits", {"data.labels": 5}, "must lie between 30"),
        ("digits", {"data.labels": 5000}, "must lie between"),
        ("digits", {"data.labels": 100, "data.augment": False}, "its own loss and augmentation"),
        ("digits", {"data.labels": 100, "agents.count": 2}, "without --agents"),
    ],
)
def test_what_cannot_be_is_said_in_one_line(tmp_path, data, settings, said):
    with pytest.raises(SettingError, match=said) as error:
        paceline.fit(data, steps=1, out=tmp_path / "run", settings=settings)
    assert "\n" not in str(error.value)
