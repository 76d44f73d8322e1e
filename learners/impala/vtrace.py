"""V-trace: off-policy corrected value targets (Espeholt et al. 2018, section 4.1)."""

from __future__ import annotations

from typing import NamedTuple

import torch
from torch import Tensor

from agents.shapes import check


class VTrace(NamedTuple):
    """Targets and advantages; neither carries a gradient."""

    vs: Tensor  # [T, B], targets of the value function (equation 1)
    advantages: Tensor  # [T, B], clipped rho_t (r_t + discount_t vs_{t+1} - V(x_t))


@torch.no_grad()
def vtrace(
    log_rhos: Tensor,
    discounts: Tensor,
    rewards: Tensor,
    values: Tensor,
    bootstrap_value: Tensor,
    clip_rho: float = 1.0,
    clip_c: float = 1.0,
    trace_lambda: float = 1.0,
) -> VTrace:
    """Compute V-trace targets by the recursion of remark 1, with the lambda of remark 2.

    Args:
        log_rhos: [T, B], log pi(a_t) - log mu(a_t), target over behaviour policy.
        discounts: [T, B], the discount after step t: 0 where the episode ended there.
        rewards: [T, B], the reward that action t earned.
        values: [T, B], V(x_t) of the target policy.
        bootstrap_value: [B], V(x_T).
        clip_rho: the paper's rho-bar, of the importance ratio at a step.
        clip_c: the paper's c-bar, of the ratios that carry a correction back in time.
        trace_lambda: 0..1, multiplies those ratios.

    Raises:
        ValueError: if a tensor is of another shape, or not float.
    """
    check(
        "vtrace",
        log_rhos=(log_rhos, "float [T, B]"),
        discounts=(discounts, "float [T, B]"),
        rewards=(rewards, "float [T, B]"),
        values=(values, "float [T, B]"),
        bootstrap_value=(bootstrap_value, "float [B]"),
    )
    rhos = log_rhos.exp()
    clipped = rhos.clamp(max=clip_rho)
    cs = trace_lambda * rhos.clamp(max=clip_c)
    next_values = torch.cat([values[1:], bootstrap_value.unsqueeze(0)])
    deltas = clipped * (rewards + discounts * next_values - values)

    correction = torch.zeros_like(bootstrap_value)
    corrections = torch.empty_like(values)
    for t in reversed(range(len(values))):
        correction = deltas[t] + discounts[t] * cs[t] * correction
        corrections[t] = correction
    vs = values + corrections
    next_vs = torch.cat([vs[1:], bootstrap_value.unsqueeze(0)])
    return VTrace(vs, clipped * (rewards + discounts * next_vs - values))
