"""DQN with RMSProp under a Pacer: a paddle learns to catch a ball that falls a row a move."""

from collections import deque

import torch
from torch import nn
from torch.nn.functional import one_hot, smooth_l1_loss

import paceline

SIDE, GAMES, UPDATES, BATCH, DISCOUNT = 5, 16, 800, 128, 0.9


class Catch:
    def __init__(self, games):
        self.row = torch.zeros(games).long()
        self.ball, self.paddle = torch.randint(SIDE, (2, games))

    def seen(self):
        return one_hot(torch.stack([self.row, self.ball, self.paddle], 1), SIDE).flatten(1).float()

    def move(self, values, curiosity=0.0):  # situation, action, reward, end, next situation
        before, chance = self.seen(), torch.rand(len(self.row)) < curiosity
        action = torch.where(chance, torch.randint(3, chance.shape), values(before).argmax(1))
        self.paddle, self.row = (self.paddle + action - 1).clamp(0, SIDE - 1), self.row + 1
        ended = self.row == SIDE - 1
        reward = ended * ((self.paddle == self.ball) * 2.0 - 1)
        self.row[ended], self.ball[ended] = 0, torch.randint(SIDE, (int(ended.sum()),))
        return before, action, reward, ended.float(), self.seen()


torch.manual_seed(0)
values, target = (nn.Sequential(nn.Linear(15, 64), nn.ReLU(), nn.Linear(64, 3)) for _ in "ab")
optimizer = torch.optim.RMSprop(values.parameters(), lr=1e-6)  # far too low; it does not matter
pacer = paceline.Pacer(optimizer, total_steps=UPDATES, modules=[values])


def experience():
    """Plays on, and gives batches of what was met; a trial of a rate is given old ones again."""
    play, memory = Catch(GAMES), deque(maxlen=5000)
    for move in range(2 * UPDATES):
        memory.extend(zip(*play.move(values, max(0.3, 1 - 2 * move / UPDATES)), strict=True))
        if move >= 100:
            chosen = [memory[at] for at in torch.randint(len(memory), (BATCH,))]
            yield [*map(torch.stack, zip(*chosen, strict=True))]


for s, a, r, ended, after in pacer.batches(experience()):
    if pacer.step_count % 20 == 0:
        target.load_state_dict(values.state_dict())
    wanted = r + DISCOUNT * (1 - ended) * target(after).amax(1).detach()
    optimizer.zero_grad()
    loss = smooth_l1_loss(values(s)[range(BATCH), a], wanted)
    loss.backward()
    pacer.step(loss)

test = Catch(500)
returns = sum(test.move(values)[2] for _ in range(SIDE - 1))
print("mean return", round(returns.mean().item(), 3), "of at most 1")
