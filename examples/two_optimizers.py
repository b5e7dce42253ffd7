"""A small GAN on a ring: two optimizers, a Pacer for each."""

import math

import torch
from torch import nn

import paceline

STEPS, BATCH, NOISE = 600, 128, 4

torch.manual_seed(0)
generator = nn.Sequential(nn.Linear(NOISE, 64), nn.ReLU(), nn.Linear(64, 64), nn.ReLU(), nn.Linear(64, 2))
critic = nn.Sequential(nn.Linear(2, 64), nn.LeakyReLU(0.2), nn.Linear(64, 64), nn.LeakyReLU(0.2), nn.Linear(64, 1))
of_generator = torch.optim.Adam(generator.parameters(), lr=1e-3, betas=(0.5, 0.9))
of_critic = torch.optim.Adam(critic.parameters(), lr=1e-3, betas=(0.5, 0.9))
# Both losses move with the other network, so that trials of rates would compare nothing:
# plain schedules, watched by the guard, are the right choice here.
paces = paceline.Pacer(of_generator, total_steps=STEPS, modules=[generator], controller="cosine")
rates = paceline.Pacer(of_critic, total_steps=STEPS, modules=[critic], controller="cosine")


def ring(count: int) -> torch.Tensor:
    """Points on a circle of radius 2, with a little noise."""
    angle = 2 * math.pi * torch.rand(count, 1)
    return 2 * torch.cat([angle.cos(), angle.sin()], 1) + 0.05 * torch.randn(count, 2)


for _ in range(STEPS):
    fake = generator(torch.randn(BATCH, NOISE))
    of_critic.zero_grad()
    real_loss = nn.functional.softplus(-critic(ring(BATCH))).mean()
    loss = real_loss + nn.functional.softplus(critic(fake.detach())).mean()
    loss.backward()
    rates.step(loss)

    of_generator.zero_grad()
    loss = nn.functional.softplus(-critic(fake)).mean()
    loss.backward()
    paces.step(loss)

with torch.no_grad():
    radius = generator(torch.randn(2000, NOISE)).norm(dim=1)
print("radius", round(radius.mean().item(), 2), "±", round(radius.std().item(), 2), "wanted 2")
assert abs(radius.mean() - 2) < 0.4
