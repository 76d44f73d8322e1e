"""BatchNorm over the whole batch of several learners, on CPUs and GPUs alike."""

from __future__ import annotations

from typing import Any

import torch
import torch.distributed as dist
from torch import Tensor, nn
from torch.autograd.function import once_differentiable

SUMMED = (0, 2, 3)  # all but the channels


class GroupBatchNorm(nn.BatchNorm2d):
    """A BatchNorm2d whose statistics in training are those of all learners' shares together.

    PyTorch's SyncBatchNorm does the same, but on GPUs only. Parameters and buffers are those of the
    layer that it replaces, so that names and optimisers stay.

    Args:
        alone: the layer that sees its own share only.
        group: the learners; each must run the layer equally often and in the same order.
    """

    def __init__(self, alone: nn.BatchNorm2d, group: dist.ProcessGroup) -> None:
        super().__init__(alone.num_features, alone.eps, alone.momentum)
        self.weight, self.bias = alone.weight, alone.bias
        for name, buffer in alone.named_buffers():
            self.register_buffer(name, buffer)
        self.train(alone.training)
        self.group = group

    def forward(self, input: Tensor) -> Tensor:
        """Map [M, C, H, W] to the same shape; M may differ between the learners."""
        if not self.training:
            return super().forward(input)
        y, mean, variance, count = Normalise.apply(
            input, self.weight, self.bias, self.eps, self.group
        )
        assert self.running_mean is not None
        assert self.running_var is not None
        assert self.num_batches_tracked is not None
        assert self.momentum is not None
        self.running_mean.lerp_(mean, self.momentum)
        self.running_var.lerp_(variance * (count / (count - 1)), self.momentum)  # unbiased
        self.num_batches_tracked += 1
        return y


class Normalise(torch.autograd.Function):
    """Batch normalisation over a group; one message forward for each moment, one backward."""

    @staticmethod
    def forward(
        ctx: Any, x: Tensor, weight: Tensor, bias: Tensor, eps: float, group: dist.ProcessGroup
    ) -> tuple[Tensor, Tensor, Tensor, Tensor]:
        """Return the normalised x [M, C, H, W], and mean [C], variance [C] and count of the group.

        Sums are in the parameters' type, because x may be in bfloat16. The variance is the mean of
        squared deviations: the mean of squares less the squared mean has fewer digits.
        """
        wide = x.to(weight.dtype)
        own = weight.new_tensor([wide.numel() / wide.shape[1]])
        sums = _over_group(torch.cat([wide.sum(SUMMED), own]), group)
        mean, count = sums[:-1] / sums[-1], sums[-1]
        centred = wide - _channels(mean)
        variance = _over_group(centred.square().sum(SUMMED), group) / count
        inverse = (variance + eps).rsqrt()
        ctx.save_for_backward(x, weight, mean, inverse, count)
        ctx.group = group
        ctx.mark_non_differentiable(mean, variance, count)
        y = centred * _channels(inverse * weight) + _channels(bias)
        return y.to(x.dtype), mean, variance, count

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, *gradients: Tensor) -> tuple[Tensor | None, ...]:
        """Return the gradients of x, and this learner's share of those of weight and bias.

        x moves the statistics of all learners, so what it gets back is summed over all of them. The
        shares of weight and bias are summed where those of all other parameters are.
        """
        x, weight, mean, inverse, count = ctx.saved_tensors
        gradient = gradients[0].to(weight.dtype)
        normal = (x.to(weight.dtype) - _channels(mean)) * _channels(inverse)
        of_bias, of_weight = gradient.sum(SUMMED), (gradient * normal).sum(SUMMED)
        all_bias, all_weight = _over_group(torch.cat([of_bias, of_weight]), ctx.group).chunk(2)
        shared = (_channels(all_bias) + normal * _channels(all_weight)) / count
        of_x = (gradient - shared) * _channels(inverse * weight)
        return of_x.to(x.dtype), of_weight, of_bias, None, None


def synchronise(network: nn.Module, group: dist.ProcessGroup) -> None:
    """Let every BatchNorm2d of a network see the whole batch of a group, in place."""
    for parent in list(network.modules()):
        for name, child in parent.named_children():
            if isinstance(child, nn.BatchNorm2d):
                setattr(parent, name, GroupBatchNorm(child, group))


def _over_group(x: Tensor, group: dist.ProcessGroup) -> Tensor:
    dist.all_reduce(x, group=group)
    return x


def _channels(x: Tensor) -> Tensor:
    return x.view(1, -1, 1, 1)
