"""Batch normalisation over a batch whose rows lie with several agents, in unequal shares."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn.modules.batchnorm import _BatchNorm

Exchange = Callable[[Tensor], Tensor]


def synchronise(model: nn.Module, exchange: Exchange) -> bool:
    """Lets every batch normalisation of a model see the whole batch while it trains.

    With x the rows of all agents and n their number of values for each channel::

        mean = Σ x / n,  variance = Σ (x − mean)² / n

    both sums over all agents; the backward pass sums Σ dy and Σ dy · (x − mean) likewise.

    Args:
        model: Changed in place.
        exchange: Gives the sum, over all that work on the batch, of a float64 tensor; called
            in the same order by all.

    Returns:
        Whether there is any such layer.

    Reference:
        Ioffe & Szegedy, Batch Normalization, ICML 2015, algorithm 1.
    """
    layers = [each for each in model.modules() if isinstance(each, _BatchNorm)]
    for layer in layers:
        layer.forward = _Whole(layer, exchange)  # type: ignore[method-assign] # of one layer
    return bool(layers)


class _Whole:
    """The forward pass of one layer."""

    def __init__(self, layer: _BatchNorm, exchange: Exchange) -> None:
        self._layer, self._exchange = layer, exchange
        self._plain = layer.forward

    def __call__(self, input: Tensor) -> Tensor:
        layer = self._layer
        by_batch = layer.training or layer.running_mean is None
        if not by_batch:
            return self._plain(input)
        layer._check_input_dim(input)  # type: ignore[no-untyped-call] # torch
        output, mean, variance, count = _Normalise.apply(  # type: ignore[no-untyped-call] # torch
            input, layer.weight, layer.bias, layer.eps, self._exchange
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
    def forward(ctx: Any, input: Tensor, weight: Any, bias: Any, eps: float, exchange: Any) -> Any:
        axes = [axis for axis in range(input.ndim) if axis != 1]
        shape = [1, -1] + [1] * (input.ndim - 2)
        wide = input.double()
        count = torch.tensor([wide.numel() / wide.shape[1]], dtype=torch.float64)
        sums = exchange(torch.cat([wide.sum(axes).cpu(), count])).to(input.device)
        total = sums[-1]
        mean = sums[:-1] / total
        centred = wide - mean.view(shape)
        variance = exchange(centred.square().sum(axes).cpu()).to(input.device) / total
        inverse = (variance + eps).rsqrt()
        normal = centred * inverse.view(shape)
        output = normal if weight is None else normal * weight.view(shape) + bias.view(shape)
        ctx.save_for_backward(normal, inverse, total, weight)
        ctx.exchange, ctx.axes, ctx.shape = exchange, axes, shape
        ctx.mark_non_differentiable(mean, variance, total)
        return output.to(input.dtype), mean, variance, total

    @staticmethod
    def backward(ctx: Any, grad: Tensor, *_: Any) -> Any:
        normal, inverse, total, weight = ctx.saved_tensors
        wide = grad.double()
        by_weight, by_bias = (wide * normal).sum(ctx.axes), wide.sum(ctx.axes)
        sums = ctx.exchange(torch.cat([by_bias, by_weight]).cpu()).to(grad.device) / total
        mean_grad, mean_product = (each.view(ctx.shape) for each in sums.chunk(2))
        scale = inverse if weight is None else inverse * weight
        back = (wide - mean_grad - normal * mean_product) * scale.view(ctx.shape)
        if weight is None:
            return back.to(grad.dtype), None, None, None, None
        return back.to(grad.dtype), by_weight.to(weight), by_bias.to(weight), None, None
