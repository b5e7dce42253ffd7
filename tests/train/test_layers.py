from __future__ import annotations

import json
import math

import pytest
import torch
from torch import Tensor, nn

from paceline.core.errors import SettingError
from paceline.train.layers import Layers


def _network(*, bias: float | None = None, where: tuple[int, ...] = (0,)) -> nn.Sequential:
    torch.manual_seed(0)
    model = nn.Sequential(
        nn.Linear(6, 16), nn.ReLU(), nn.Linear(16, 12), nn.ReLU(), nn.Linear(12, 3)
    )
    if bias is not None:
        for at in where:
            nn.init.constant_(model[at].bias, bias)
    return model


def _backward(model: nn.Module, seed: int = 1) -> None:
    model.zero_grad()
    x = torch.randn(32, 6, generator=torch.Generator().manual_seed(seed))
    model(x).square().mean().backward()


def _read(layers: Layers, model: nn.Module, times: int) -> list[str]:
    for seed in range(times):
        _backward(model, seed)
        found = layers.dead()
    return found


def test_a_sound_network_has_no_dead_and_no_exploding_layers():
    model = _network()
    layers = Layers([model])
    for seed in range(8):
        _backward(model, seed)
        assert layers.dead() == []
        assert layers.exploding() == []


def test_a_layer_is_dead_after_several_readings_without_gradient():
    model = _network(bias=-10.0)
    layers = Layers([model], readings=3)
    assert _read(layers, model, 2) == []
    assert _read(layers, model, 1) == ["0.0"]


def test_a_layer_behind_a_dead_one_is_dead_too_and_the_last_bias_is_not():
    model = _network(bias=-10.0, where=(2,))
    assert _read(Layers([model], readings=1), model, 1) == ["0.0", "0.2"]


def test_layers_that_begin_behind_zeros_are_not_dead():
    model = _network()
    nn.init.zeros_(model[4].weight)
    layers, optimizer = Layers([model]), torch.optim.SGD(model.parameters(), lr=0.1)
    for seed in range(5):
        _backward(model, seed)
        assert layers.dead() == []
        optimizer.step()


def test_a_layer_with_a_few_dead_units_is_alive():
    model = _network()
    with torch.no_grad():
        model[0].bias[:8] = -100.0
    assert _read(Layers([model], readings=1), model, 3) == []
    with torch.no_grad():
        model[0].bias[:15] = -100.0
    assert _read(Layers([model], readings=1), model, 1) == ["0.0"]


def test_layers_without_any_gradient_are_not_spoken_of():
    model = _network(bias=-10.0)
    layers = Layers([model], readings=1)
    assert layers.dead() == [] and layers.exploding() == []
    model[0].requires_grad_(False)
    assert "0.0" not in _read(layers, model, 3)


def test_words_that_are_not_in_the_batch_do_not_kill_an_embedding():
    words = nn.Embedding(100, 4)
    layers = Layers([words], readings=1)
    words(torch.tensor([1, 2])).sum().backward()
    assert layers.dead() == []
    sparse = nn.Embedding(100, 4, sparse=True)
    sparse(torch.tensor([1, 2])).sum().backward()
    assert Layers([sparse], readings=1).dead() == []
    assert Layers([sparse]).exploding() == []


def test_a_revived_network_gets_gradients_again_and_learns():
    model = _network(bias=-10.0, where=(0, 2))
    layers = Layers([model])
    layers.revive(_read(layers, model, 3))
    _backward(model)
    assert layers.dead() == []
    assert all(bool((each.grad != 0).any()) for each in model.parameters())


def test_living_layers_are_left_alone_by_a_revival():
    model = _network(bias=-10.0, where=(0,))
    layers = Layers([model], readings=1)
    before = [each.clone() for each in model[2].parameters()]
    layers.revive(_read(layers, model, 1))
    assert all(map(torch.equal, before, model[2].parameters()))


def test_the_same_seed_gives_the_same_values_and_leaves_the_generator_alone():
    models, state = [_network(), _network()], torch.get_rng_state()
    for model in models:
        Layers([model], seed=5).revive(["0.0"])
    assert torch.equal(models[0][0].weight, models[1][0].weight)
    assert torch.equal(torch.get_rng_state(), state)
    third = _network()
    Layers([third], seed=6).revive(["0.0"])
    assert not torch.equal(models[0][0].weight, third[0].weight)


def test_a_second_revival_draws_other_values():
    model = _network()
    layers = Layers([model])
    layers.revive(["0.0"])
    first = model[0].weight.clone()
    layers.revive(["0.0"])
    assert not torch.equal(first, model[0].weight)


class _Own(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.matrix = nn.Parameter(torch.full((4, 6), -5.0))
        self.shift = nn.Parameter(torch.full((4,), -50.0))
        self.scale = nn.Parameter(torch.ones(2, 3, 1))

    def forward(self, x: Tensor) -> Tensor:
        return torch.relu(x.abs() @ self.matrix.T + self.shift) * self.scale.sum()


def test_layers_that_do_not_say_how_they_begin_are_drawn_as_a_linear_is():
    model = _Own()
    layers = Layers([model], readings=1)
    _backward(model)
    assert layers.dead() == ["0"]
    layers.revive(["0"])
    assert model.shift.abs().max() == 0 and 0 < model.matrix.abs().max() < 1


def test_attention_begins_anew_with_its_own_method():
    attention = nn.MultiheadAttention(4, 2)
    nn.init.constant_(attention.in_proj_weight, 9.0)
    Layers([attention]).revive(["0"])
    assert attention.in_proj_weight.abs().max() < 2


def test_an_unknown_layer_is_refused_by_name():
    with pytest.raises(SettingError, match=r"no layer '0\.7'; there are: 0\.0, 0\.2, 0\.4"):
        Layers([_network()]).revive(["0.7"])


def test_readings_must_be_positive():
    with pytest.raises(SettingError, match="readings must be at least 1, got 0"):
        Layers([], readings=0)


@pytest.mark.parametrize("factor", [1e3, float("inf"), float("nan")])
def test_a_layer_whose_weights_jump_is_exploding(factor):
    model = _network()
    layers = Layers([model])
    for seed in range(3):
        _backward(model, seed)
        layers.exploding()
    with torch.no_grad():
        model[2].weight *= factor
    model.zero_grad()
    assert layers.exploding() == ["0.2"]
    assert layers.exploding() == ["0.2"]


def test_a_layer_whose_gradients_jump_is_exploding():
    model = _network()
    layers = Layers([model])
    _backward(model)
    layers.exploding()
    for parameter in model[4].parameters():
        parameter.grad *= 1e4
    assert layers.exploding() == ["0.4"]


def test_layers_that_all_grow_together_are_in_proportion():
    model = _network()
    layers = Layers([model])
    _backward(model)
    layers.exploding()
    with torch.no_grad():
        for parameter in model.parameters():
            parameter *= 1e3
    model.zero_grad()
    assert layers.exploding() == []


def test_sizes_are_root_mean_squares():
    model = _network()
    found = Layers([model])._logarithms("weights")
    for name, layer in model.named_children():
        if isinstance(layer, nn.Linear):
            flat = torch.cat([each.detach().flatten() for each in layer.parameters()])
            expected = math.log(flat.square().mean().sqrt())
            assert found[f"0.{name}"] == pytest.approx(expected, rel=1e-4)


def test_shared_layers_are_read_once_and_several_models_have_numbers():
    shared = nn.Linear(6, 6)
    twice = nn.Sequential(shared, nn.ReLU(), shared)
    assert [name for name, _ in Layers([twice, shared, nn.Linear(1, 1)])._named()] == ["0.0", "2"]


def test_readings_go_on_from_a_state_that_went_through_json():
    model = _network(bias=-10.0)
    layers = Layers([model])
    _read(layers, model, 2)
    layers.exploding()
    fresh = Layers([model])
    fresh.load_state_dict(json.loads(json.dumps(layers.state_dict())))
    assert _read(fresh, model, 1) == ["0.0"]
    assert fresh.state_dict()["sizes"] == layers.state_dict()["sizes"]


def test_a_bias_that_lives_spares_the_reading_of_its_weights(monkeypatch: pytest.MonkeyPatch):
    layer = nn.Linear(4, 10)
    layer(torch.ones(2, 4)).sum().backward()
    read: list[int] = []
    flatten = torch.Tensor.flatten
    monkeypatch.setattr(
        torch.Tensor, "flatten", lambda self, *given: (read.append(1), flatten(self, *given))[1]
    )
    assert Layers([layer], readings=1).dead() == []
    assert read == []
    layer.bias.grad.zero_()
    assert Layers([layer], readings=1).dead() == []
    assert read
    layer.weight.grad.zero_()
    assert Layers([layer], readings=1).dead() == ["0"]
