"""Ground truth for the learner's math: the papers' sums in plain Python and float64."""

import math
from typing import NamedTuple

import numpy as np

from learners import LearnerConfig, Rollout


def paper_vtrace(rhos, discounts, rewards, values, bootstrap, clip_rho, clip_c, trace_lambda=1.0):
    """Equation (1) of Espeholt et al. 2018 and the advantages of its section 4.2, literally.

    vs_s = V(x_s) + sum_{t >= s} gamma^{t-s} (prod_{i=s}^{t-1} c_i) delta_t V, where gamma^{t-s} is
    the product of the discounts in between, and c_i = lambda min(c-bar, rho_i) as in remark 2.
    Everything [T, B], the bootstrap [B].
    """
    steps, batch = np.shape(rewards)
    v = np.concatenate([values, [bootstrap]])
    vs = np.zeros((steps + 1, batch))
    vs[steps] = bootstrap
    advantages = np.zeros((steps, batch))
    for b in range(batch):
        for s in range(steps):
            total = v[s, b]
            for t in range(s, steps):
                gamma = math.prod(discounts[i][b] for i in range(s, t))
                c = math.prod(trace_lambda * min(clip_c, rhos[i][b]) for i in range(s, t))
                rho = min(clip_rho, rhos[t][b])
                delta = rho * (rewards[t][b] + discounts[t][b] * v[t + 1, b] - v[t, b])
                total += gamma * c * delta
            vs[s, b] = total
        for s in range(steps):
            rho = min(clip_rho, rhos[s][b])
            advantages[s, b] = rho * (rewards[s][b] + discounts[s][b] * vs[s + 1, b] - v[s, b])
    return vs[:steps], advantages


def softmax(logits):
    exponentials = np.exp(logits - logits.max())
    return exponentials / exponentials.sum()


class ImpalaLoss(NamedTuple):
    policy: float
    value: float
    entropy: float  # not yet negated or weighed
    logits_gradient: np.ndarray  # [T+1, N, A] of the total loss
    values_gradient: np.ndarray  # [T+1, N]

    def total(self, config: LearnerConfig) -> float:
        return self.policy + config.value_cost * self.value - config.entropy_cost * self.entropy


def impala_loss(rollout: Rollout, logits, values, config: LearnerConfig) -> ImpalaLoss:
    """The loss of a batch and its gradient by hand, step by step.

    Args:
        rollout: the batch.
        logits: [T+1, N, A], what the learner's network says at each observation.
        values: [T+1, N], likewise.
        config: the learner's.
    """
    steps, envs = rollout.action.shape
    pi = np.array([[softmax(logits[t, n]) for n in range(envs)] for t in range(steps)])
    rhos, rewards, discounts = np.zeros((3, steps, envs))
    for t in range(steps):
        for n in range(envs):
            action = rollout.action[t, n]
            mu = softmax(rollout.logits[t, n].astype(np.float64))
            rhos[t, n] = pi[t, n, action] / mu[action]
            # It arrives with the next observation.
            answer = config.reward_scale * float(rollout.reward[t + 1, n])
            rewards[t, n] = max(-config.reward_clip, min(config.reward_clip, answer))
            if config.bootstrap_time_limits:
                rewards[t, n] += config.discount * float(rollout.final_value[t, n])
            discounts[t, n] = 0.0 if rollout.first[t + 1, n] else config.discount
    vs, advantages = paper_vtrace(
        rhos,
        discounts,
        rewards,
        values[:steps],
        values[steps],
        config.clip_rho,
        config.clip_c,
        config.vtrace_lambda,
    )
    if config.normalise_advantages:
        deviation = math.sqrt(((advantages - advantages.mean()) ** 2).sum() / advantages.size)
        advantages = (advantages - advantages.mean()) / (deviation + 1e-5)
    policy = value = entropy = 0.0
    logits_gradient, values_gradient = np.zeros_like(logits), np.zeros_like(values)
    for t in range(steps):
        for n in range(envs):
            p, action = pi[t, n], rollout.action[t, n]
            h = -sum(p * np.log(p))
            policy -= advantages[t, n] * np.log(p[action])
            value += 0.5 * (vs[t, n] - values[t, n]) ** 2
            entropy += h
            logits_gradient[t, n] = (
                advantages[t, n] * (p - np.eye(len(p))[action])
                # dH/dlogit_j = -p_j (log p_j + H), and the loss holds -H
                + config.entropy_cost * p * (np.log(p) + h)
            )
            values_gradient[t, n] = config.value_cost * (values[t, n] - vs[t, n])
    parts = (policy, value, entropy, logits_gradient, values_gradient)
    unit = {"sum": 1, "mean": 1 / (steps * envs)}[config.reduction]
    return ImpalaLoss(*(unit * part for part in parts))
