"""With few labels, a network that was trained before guesses the others."""

from __future__ import annotations

import pytest
import torch
from torch import nn

import paceline.jobs.self_training as room
from paceline.core.progress import Silence
from paceline.core.recipe import read_recipe
from paceline.jobs.few_labels import UNKNOWN, with_few_labels
from paceline.jobs.material import from_prepared
from paceline.jobs.means import Means
from paceline.jobs.prepare import prepare
from paceline.jobs.self_training import SUREST, Teacher, surest, with_guesses
from paceline.models.base import Headed
from paceline.train.precision import Precision

PLAIN = Precision(name="fp32", device=torch.device("cpu"), reason="")
LABELS = 150


class Pixels(Headed):
    """A head over pictures as they are."""

    kinds = ("image",)
    trained_before = True

    def __init__(self) -> None:
        super().__init__()
        self.head = nn.Linear(64, 10)

    def features(self, *inputs):
        return inputs[0].flatten(1).float() / 16

    def forward(self, *inputs):
        return self.head(self.features(*inputs))


class Diary:
    def __init__(self, seconds=0.0):
        self.rows, self.seconds = {}, seconds

    def decide(self, name, chosen, **told):
        self.rows[name] = (chosen, told["seen"])

    def elapsed(self):
        self.seconds += 1.0
        return self.seconds


@pytest.fixture(scope="module")
def digits():
    whole = prepare("digits", read_recipe(), Silence())
    return whole.train.targets, with_few_labels(whole, LABELS, seed=0)


def teacher(few, network, diary, folder, **budget):
    settings = {f"budget.{name}": value for name, value in budget.items()}
    recipe = read_recipe(overrides={"data.labels": LABELS, **settings})
    material = from_prepared(few, recipe, PLAIN.device, None)
    means = Means(recipe=recipe, precision=PLAIN, record=diary, progress=Silence(), folder=folder)
    return Teacher(material, few, network, means)


def test_half_of_the_others_are_guessed_rightly_and_the_labels_are_a_quarter(digits, tmp_path):
    truth, few = digits
    diary, network = Diary(), Pixels()
    before = {name: value.clone() for name, value in network.state_dict().items()}
    material, steps = teacher(few, network, diary, tmp_path).teach()
    known = few.train.targets != UNKNOWN
    found = room.load_file(tmp_path / "guesses.safetensors")
    others = int((~known).sum())
    assert 0.45 * others < len(found["rows"]) <= SUREST * others + 5
    assert not known[found["rows"]].any()
    right = (found["labels"] == truth[found["rows"]]).float().mean()
    assert right > 0.9
    targets = material.feed.targets
    assert (targets != UNKNOWN).all()
    labelled = len(targets) - len(found["rows"])
    assert labelled % int(known.sum()) == 0
    assert labelled / len(targets) == pytest.approx(0.25, abs=0.05)
    chosen, seen = diary.rows["guesses"]
    assert chosen == f"{len(found['rows'])} of {others} labels"
    assert seen == {"labels": int(known.sum()), "steps": steps}
    assert all(torch.equal(value, before[name]) for name, value in network.state_dict().items())


def test_it_is_a_plain_material_with_the_tasks_own_loss_and_variation(digits, tmp_path):
    _, few = digits
    material, _ = teacher(few, Pixels(), Diary(), tmp_path, steps=3).teach()
    assert material.loss == material.goal.loss
    assert material.augment == few.task.augment


def test_guesses_that_were_made_are_taken_up_again(digits, tmp_path, monkeypatch):
    _, few = digits
    first, steps = teacher(few, Pixels(), Diary(), tmp_path, steps=9).teach()

    def never(*_):
        raise AssertionError

    monkeypatch.setattr(room, "Crew", never)
    again, told = teacher(few, Pixels(), Diary(), tmp_path, steps=9).teach()
    assert told == steps
    assert torch.equal(again.feed.targets, first.feed.targets)
    assert torch.equal(again.feed.next().targets, first.feed.next().targets)


def test_a_damaged_file_of_guesses_is_made_again_and_says_the_same(digits, tmp_path):
    def guesses():
        torch.manual_seed(0)
        teacher(digits[1], Pixels(), Diary(), tmp_path, steps=9).teach()
        return (tmp_path / "guesses.safetensors").read_bytes()

    first = guesses()
    (tmp_path / "guesses.safetensors").write_bytes(first[:50])
    assert guesses() == first


@pytest.mark.parametrize(("budget", "most"), [({"steps": 9}, 3), ({"seconds": 31.0}, 11)])
def test_it_takes_a_third_of_a_budget_at_most(digits, tmp_path, budget, most):
    _, few = digits
    _, steps = teacher(few, Pixels(), Diary(), tmp_path, **budget).teach()
    assert 0 < steps <= most


def test_each_class_is_guessed_in_its_share_however_bold_the_network_is():
    random = torch.Generator().manual_seed(0)
    answer = (torch.randn(1000, 3, generator=random) + torch.tensor([2.0, 0.0, 0.0])).softmax(1)
    shares = torch.tensor([0.2, 0.3, 0.5])
    rows, labels = surest(answer, shares)
    counts = torch.bincount(labels, minlength=3) / (SUREST * 1000)
    torch.testing.assert_close(counts, shares, atol=0.02, rtol=0)
    assert (rows.diff() > 0).all()
    weighed = answer * shares / answer.mean(0)
    assert torch.equal(labels, weighed[rows].argmax(1))
    for label in range(3):
        mine = weighed[:, label] / weighed.sum(1)
        chosen = torch.zeros(1000, dtype=torch.bool)
        chosen[rows[labels == label]] = True
        wanted = (weighed.argmax(1) == label) & ~chosen
        assert not wanted.any() or mine[chosen].min() >= mine[wanted].max()


def test_where_all_is_labelled_there_is_nothing_to_guess(tmp_path):
    whole = prepare("digits", read_recipe(), Silence())
    recipe = read_recipe(overrides={"data.labels": LABELS})
    material = from_prepared(whole, recipe, PLAIN.device, None)
    means = Means(
        recipe=recipe, precision=PLAIN, record=Diary(), progress=Silence(), folder=tmp_path
    )
    assert with_guesses(material, whole, Pixels(), means) == (material, 0)
    assert not list(tmp_path.iterdir())
