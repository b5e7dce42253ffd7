"""A small GAN on a ring: two optimizers, a Pacer for each."""

import math

import torch
from torch import nn

import paceline
from paceline.controllers.probe import Probe

STEPS, BATCH, NOISE, WIDTH = 400, 64, 2, 48


def network(entry: int, leave: int, bend: nn.Module) -> nn.Module:
    inner = (nn.Linear(entry, WIDTH), bend, nn.Linear(WIDTH, WIDTH), bend)
    return nn.Sequential(*inner, nn.Linear(WIDTH, leave))


def ring(count: int) -> torch.Tensor:
    """Points on a circle of radius 2, with a little noise."""
    angle = 2 * math.pi * torch.rand(count, 1)
    return 2 * torch.cat([angle.cos(), angle.sin()], 1) + 0.05 * torch.randn(count, 2)


def paced(model: nn.Module) -> tuple[torch.optim.Optimizer, paceline.Pacer]:
    """An optimizer and its Pacer.

    In a game neither loss has to fall and a rise is no accident: the rate is read off the
    weights alone, nothing looks back, and no guard goes back.
    """
    optimizer = torch.optim.Adam(model.parameters(), lr=1e-6, betas=(0.5, 0.9))
    controller = Probe(1e-6, look_back=False)
    return optimizer, paceline.Pacer(
        optimizer, total_steps=STEPS, modules=[model], controller=controller, beside=()
    )


torch.manual_seed(0)
generator, critic = network(NOISE, 2, nn.Tanh()), network(2, 1, nn.LeakyReLU(0.2))
(of_generator, paces_generator), (of_critic, paces_critic) = paced(generator), paced(critic)
while not paces_generator.done:
    fake = generator(torch.randn(BATCH, NOISE))
    of_critic.zero_grad()
    loss = nn.functional.softplus(-critic(ring(BATCH))).mean()
    loss = loss + nn.functional.softplus(critic(fake.detach())).mean()
    loss.backward()
    paces_critic.step(loss)

    of_generator.zero_grad()
    loss = nn.functional.softplus(-critic(fake)).mean()
    loss.backward()
    paces_generator.step(loss)

with torch.no_grad():
    radius = generator(torch.randn(2000, NOISE)).norm(dim=1)
print("radius", round(radius.mean().item(), 2), "±", round(radius.std().item(), 2), "wanted 2")
assert abs(radius.mean() - 2) < 0.3
