"""DQN with RMSProp under a Pacer: catch a falling ball, in an environment of one class."""

import random
from collections import deque

import torch
from torch import nn

import paceline

ROWS, COLUMNS, GAMES, UPDATES, BATCH, DISCOUNT = 8, 5, 8, 800, 64, 0.95


class Catch:
    """Games side by side: a ball falls a row a move, the paddle below moves by one at most."""

    def __init__(self, games):
        self.row, self.ball = torch.zeros(games).long(), torch.randint(COLUMNS, (games,))
        self.paddle = torch.randint(COLUMNS, (games,))

    def seen(self):
        told = ((self.row, ROWS), (self.ball, COLUMNS), (self.paddle, COLUMNS))
        return torch.cat([nn.functional.one_hot(*each) for each in told], 1).float()

    def move(self, values, curiosity=0.0):  # situation, action, reward, end, next situation
        before, chance = self.seen(), torch.rand(len(self.row)) < curiosity
        action = torch.where(chance, torch.randint(3, chance.shape), values(before).argmax(1))
        self.paddle, self.row = (self.paddle + action - 1).clamp(0, COLUMNS - 1), self.row + 1
        ended = self.row == ROWS - 1
        reward = ended * ((self.paddle == self.ball) * 2.0 - 1)
        self.row[ended], self.ball[ended] = 0, torch.randint(COLUMNS, (int(ended.sum()),))
        return before, action, reward, ended.float(), self.seen()


random.seed(0)
torch.manual_seed(0)
values, target = (nn.Sequential(nn.Linear(18, 64), nn.ReLU(), nn.Linear(64, 3)) for _ in "ab")
optimizer = torch.optim.RMSprop(values.parameters(), lr=1e-6)  # far too low; it does not matter
pacer = paceline.Pacer(optimizer, total_steps=UPDATES, modules=[values])
play, memory = Catch(GAMES), deque(maxlen=5000)
for _ in range(100):  # rates can be told apart only where there is something to learn
    memory.extend(zip(*play.move(values, 1.0), strict=True))
while not pacer.done:
    if pacer.step_count % 50 == 0:
        target.load_state_dict(values.state_dict())
    memory.extend(
        zip(*play.move(values, max(0.1, 1 - 2 * pacer.step_count / UPDATES)), strict=True)
    )
    s, a, r, ended, after = map(torch.stack, zip(*random.choices(memory, k=BATCH), strict=True))
    wanted = r + DISCOUNT * (1 - ended) * target(after).amax(1).detach()
    optimizer.zero_grad()
    loss = nn.functional.smooth_l1_loss(values(s)[range(BATCH), a], wanted)
    loss.backward()
    pacer.step(loss)

test = Catch(500)
returns = sum(test.move(values)[2] for _ in range(ROWS - 1))
print("mean return", round(returns.mean().item(), 3), "of at most 1")
assert returns.mean() > 0.8
