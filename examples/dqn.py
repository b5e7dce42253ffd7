"""DQN with RMSProp under a Pacer: catch a falling ball, in an environment of twenty lines."""

import random
from collections import deque

import torch
from torch import nn

import paceline

ROWS, COLUMNS, GAMES, UPDATES, BATCH, DISCOUNT = 8, 5, 8, 800, 64, 0.95


class Catch:
    """Games side by side: a ball falls a row a move, the paddle below it moves by one at most."""

    def __init__(self, games: int) -> None:
        self.row, self.ball = torch.zeros(games).long(), torch.randint(COLUMNS, (games,))
        self.paddle = torch.randint(COLUMNS, (games,))

    def seen(self) -> torch.Tensor:
        """What a player sees [games, ROWS + 2 * COLUMNS]."""
        told = ((self.row, ROWS), (self.ball, COLUMNS), (self.paddle, COLUMNS))
        return torch.cat([nn.functional.one_hot(*each) for each in told], 1).float()

    def move(self, action: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        """Rewards and which games ended; those begin anew."""
        self.paddle = (self.paddle + action - 1).clamp(0, COLUMNS - 1)
        self.row += 1
        ended = self.row == ROWS - 1
        reward = ended * ((self.paddle == self.ball) * 2.0 - 1)
        self.row[ended], self.ball[ended] = 0, torch.randint(COLUMNS, (int(ended.sum()),))
        return reward, ended.float()


random.seed(0)
torch.manual_seed(0)
values, target = (nn.Sequential(nn.Linear(18, 64), nn.ReLU(), nn.Linear(64, 3)) for _ in "ab")
optimizer = torch.optim.RMSprop(values.parameters(), lr=1e-3)
pacer = paceline.Pacer(optimizer, total_steps=UPDATES, modules=[values])
play, memory = Catch(GAMES), deque(maxlen=5000)
while not pacer.done:
    if pacer.step_count % 50 == 0:
        target.load_state_dict(values.state_dict())
    before = play.seen()
    greedy = values(before).argmax(1)
    curious = torch.rand(GAMES) < max(0.1, 1 - 2 * pacer.step_count / UPDATES)
    action = torch.where(curious, torch.randint(3, (GAMES,)), greedy)
    memory.extend(zip(before, action, *play.move(action), play.seen(), strict=True))
    s, a, r, ended, after = map(torch.stack, zip(*random.choices(memory, k=BATCH), strict=True))
    wanted = r + DISCOUNT * (1 - ended) * target(after).amax(1).detach()
    optimizer.zero_grad()
    loss = nn.functional.smooth_l1_loss(values(s)[range(BATCH), a], wanted)
    loss.backward()
    pacer.step(loss)

test, returns = Catch(500), torch.zeros(500)
for _ in range(ROWS - 1):
    returns += test.move(values(test.seen()).argmax(1))[0]
print("mean return", round(returns.mean().item(), 3), "of at most 1")
assert returns.mean() > 0.8
