"""Batch normalisation over a batch whose rows lie with several agents, in unequal shares."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn.modules.batchnorm import _BatchNorm

Exchange = Callable[[Tensor], Tensor]


def _one() -> float:
    return 1.0


def synchronise(model: nn.Module, exchange: Exchange, weight: Callable[[], float] = _one) -> bool:
    """Lets every batch normalisation of a model see the whole batch while it trains.

    With x the values of a channel on all agents, and w the weight of each row::

        W = Σ w,  mean = Σ w · x / W,  variance = Σ w · (x − mean)² / W

    all sums over all agents; the backward pass sums Σ dy and Σ dy · (x − mean) likewise, and
    takes w / W of each. The running variance is that times 1 / (1 − Σ w² / W²), which is
    n / (n − 1) where all n values weigh the same.

    Args:
        model: Changed in place.
        exchange: Gives the sum, over all that work on the batch, of a float64 tensor; called
            in the same order by all.
        weight: What a row of this agent weighs now, over 0; the loss must weigh it alike.

    Returns:
        Whether there is any such layer.

    Reference:
        Ioffe & Szegedy, Batch Normalization, ICML 2015, algorithm 1.
    """
    layers = [each for each in model.modules() if isinstance(each, _BatchNorm)]
    for layer in layers:
        layer.forward = _Whole(layer, exchange, weight)  # type: ignore[method-assign] # of one layer
    return bool(layers)


class _Whole:
    """The forward pass of one layer."""

    def __init__(self, layer: _BatchNorm, exchange: Exchange, weight: Callable[[], float]) -> None:
        self._layer, self._exchange, self._weight = layer, exchange, weight
        self._plain = layer.forward

    def __call__(self, input: Tensor) -> Tensor:
        layer = self._layer
        by_batch = layer.training or layer.running_mean is None
        if not by_batch:
            return self._plain(input)
        layer._check_input_dim(input)  # type: ignore[no-untyped-call] # torch
        output, mean, variance, count = _Normalise.apply(  # type: ignore[no-untyped-call] # torch
            input, layer.weight, layer.bias, layer.eps, self._exchange, self._weight()
        )
        self._track(mean, variance, float(count))
        result: Tensor = output
        return result

    def _track(self, mean: Tensor, variance: Tensor, count: float) -> None:
        layer = self._layer
        if not layer.training or not layer.track_running_stats or layer.running_mean is None:
            return
        assert layer.running_var is not None and layer.num_batches_tracked is not None
        layer.num_batches_tracked.add_(1)
        share = layer.momentum
        if share is None:
            share = 1.0 / float(layer.num_batches_tracked)
        unbiased = variance * (count / max(count - 1, 1))
        layer.running_mean.lerp_(mean.to(layer.running_mean.dtype), share)
        layer.running_var.lerp_(unbiased.to(layer.running_var.dtype), share)


class _Normalise(torch.autograd.Function):
    """Normalises by sums over all agents; its gradient sums over all agents too."""

    @staticmethod
    def forward(
        ctx: Any, input: Tensor, weight: Any, bias: Any, eps: float, exchange: Any, each: float
    ) -> Any:
        axes = [axis for axis in range(input.ndim) if axis != 1]
        shape = [1, -1] + [1] * (input.ndim - 2)
        wide = input.double()
        size = each * (wide.numel() / wide.shape[1])
        counts = torch.tensor([size, each * size], dtype=torch.float64)
        sums = exchange(torch.cat([each * wide.sum(axes).cpu(), counts])).to(input.device)
        total, squares = sums[-2], sums[-1]
        mean = sums[:-2] / total
        centred = wide - mean.view(shape)
        own = each * centred.square().sum(axes).cpu()
        variance = exchange(own).to(input.device) / total
        inverse = (variance + eps).rsqrt()
        normal = centred * inverse.view(shape)
        output = normal if weight is None else normal * weight.view(shape) + bias.view(shape)
        ctx.save_for_backward(normal, inverse, total / each, weight)
        ctx.exchange, ctx.axes, ctx.shape = exchange, axes, shape
        count = total * (total / squares)  # of equal weights that say as much about a variance
        ctx.mark_non_differentiable(mean, variance, count)
        return output.to(input.dtype), mean, variance, count

    @staticmethod
    def backward(ctx: Any, grad: Tensor, *_: Any) -> Any:
        normal, inverse, total, weight = ctx.saved_tensors
        wide = grad.double()
        by_weight, by_bias = (wide * normal).sum(ctx.axes), wide.sum(ctx.axes)
        sums = ctx.exchange(torch.cat([by_bias, by_weight]).cpu()).to(grad.device) / total
        mean_grad, mean_product = (part.view(ctx.shape) for part in sums.chunk(2))
        scale = inverse if weight is None else inverse * weight
        back = (wide - mean_grad - normal * mean_product) * scale.view(ctx.shape)
        learnt = (None, None) if weight is None else (by_weight.to(weight), by_bias.to(weight))
        return back.to(grad.dtype), *learnt, None, None, None
