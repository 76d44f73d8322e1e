"""What the tests of the fused kernels share."""

from contextlib import contextmanager

import torch

DEVICES = ["cpu", *(["cuda"] if torch.cuda.is_available() else [])]


def relative_error(actual, expected):
    """Return the RMS of the difference over the RMS of what is expected (0 if both are zero)."""
    difference = actual.detach().double().cpu() - expected.detach().double().cpu()
    scale = expected.detach().double().square().mean().sqrt().item()
    error = difference.square().mean().sqrt().item()
    return error / scale if scale else error


def values_and_gradients(op, inputs, cotangents):
    """Return the outputs of `op` and its gradients by all inputs, given the outputs' cotangents."""
    inputs = [tensor.detach().clone().requires_grad_() for tensor in inputs]
    outputs = op(*inputs)
    gradients = torch.autograd.grad(outputs, inputs, cotangents)
    return [tensor.detach() for tensor in (*outputs, *gradients)]


@contextmanager
def poisoned_memory():
    """Fill what `torch.empty` and its kin return with NaN, so that an unwritten element shows."""
    torch.use_deterministic_algorithms(True)
    try:
        assert torch.empty(3).new_empty(3).isnan().all()
        yield
    finally:
        torch.use_deterministic_algorithms(False)
