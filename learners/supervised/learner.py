"""The supervised learner: a batch of labelled sequences in, one optimiser step."""

from __future__ import annotations

import math
import time
import warnings
from collections.abc import Iterable
from contextlib import nullcontext
from typing import Any, NamedTuple

import torch
import torch.distributed as dist
from torch import Tensor
from torch.nn.parallel import DistributedDataParallel

from agents import Classifier
from learners.batch_norm import synchronise
from learners.introspection import MemoryReport
from learners.network_state import (
    diverged,
    load_agent,
    load_optimiser,
    optimiser_arrays,
    to_arrays,
    to_tensor,
)
from learners.nonfinite import NonfiniteUpdate
from learners.supervised.batch import SupervisedBatch
from learners.supervised.config import SupervisedConfig
from learners.supervised.evaluation import Evaluation, evaluate
from learners.supervised.losses import cross_entropy, hits_by_shot, prototype_logits
from learners.supervised.schedule import learning_rate

# A few sequences of every so many batches show what the memory does.
INTROSPECT_EVERY = 50
INTROSPECT_SEQUENCES = 4


class Tally(NamedTuple):
    """Sums over the scored positions of a batch; those of several batches may be added."""

    losses: Tensor  # [1] the cross-entropy, or [2] with the prototypes' loss
    answers: Tensor  # [1] or [2], over how many positions the losses are summed
    hits: Tensor  # [2, T + 1], see `hits_by_shot`


class SupervisedLearner:
    """The classifier, its optimiser and the counters that belong to them.

    Learners of one `group` hold the same classifier, and each is given its share of every batch;
    the shares are equally many sequences. All take the step that one would take from the whole
    batch, BatchNorm included, and report its losses; the first alone looks at the memory. With
    `accumulate` the pieces are of other sequences than one learner's, and so is their BatchNorm.
    """

    def __init__(
        self,
        classifier: Classifier,
        config: SupervisedConfig,
        device: str = "cpu",
        group: dist.ProcessGroup | None = None,
    ) -> None:
        self.classifier = classifier.to(device)
        self.group = group
        self.rank, self.size = (group.rank(), group.size()) if group else (0, 1)
        self.model: Classifier | DistributedDataParallel = self.classifier
        if group:
            synchronise(self.classifier, group)
            # Sums gradients while the backward pass still runs; what it wraps is the classifier
            # itself, whose buffers are the same everywhere already.
            with warnings.catch_warnings():
                # Of the new name of `broadcast_buffers`, which older versions of torch do not know.
                warnings.simplefilter("ignore", FutureWarning)
                self.model = DistributedDataParallel(
                    self.classifier, process_group=group, broadcast_buffers=False
                )
        self.device = torch.device(device)
        self.config = config
        self.optimiser = torch.optim.Adam(
            self.classifier.parameters(),
            lr=config.learning_rate,
            betas=(config.adam_beta1, config.adam_beta2),
            eps=config.adam_eps,
        )
        self.memory = MemoryReport(self.classifier)  # before a state is loaded
        self.frames = 0  # images learnt from
        self.version = 0  # optimiser steps taken
        self.skipped = 0  # batches that were not finite
        self._skipped_in_a_row = 0
        self._nonfinite: NonfiniteUpdate | None = None
        self._draw_apart()

    def step(self, batch: SupervisedBatch) -> dict[str, float]:
        """Take one optimiser step and return its metrics; now and then also those of the memory.

        A batch whose loss or gradient is not finite counts as seen but changes nothing.

        Raises:
            TrainingDivergedError: after `max_skipped` such batches in a row.
            ValueError: if the batch is not what the configuration needs.
        """
        started = time.perf_counter()
        rate = learning_rate(self.config, self.classifier.core.output_size, self.version + 1)
        # By the count of updates, so that a resumed run reports when an uninterrupted one does.
        reports = self.version % INTROSPECT_EVERY == 0 and self.rank == 0
        buffers = [buffer.clone() for buffer in self.classifier.buffers()]
        rng = self._rng()
        self.classifier.train()
        self.optimiser.zero_grad()
        metrics = self._backward(batch)
        memory = self._memory(batch) if reports else {}  # its gradients are not clipped yet
        grad_norm = torch.nn.utils.clip_grad_norm_(
            self.classifier.parameters(), self.config.max_grad_norm or math.inf
        )
        metrics["learner/grad_norm"] = float(grad_norm)
        self.frames += batch.target.numel() * self.size
        # The same in each learner of a group, so that all do the same.
        if math.isfinite(metrics["loss/total"]) and math.isfinite(metrics["learner/grad_norm"]):
            for parameters in self.optimiser.param_groups:
                parameters["lr"] = rate
            self.optimiser.step()
            self.version += 1
            self._skipped_in_a_row = 0
        else:
            self._skip(batch, buffers, rng)
        return metrics | {
            "learner/learning_rate": rate,
            "learner/skipped": self.skipped,
            "time/update": time.perf_counter() - started,
            **memory,
        }

    def evaluate(self, batches: Iterable[SupervisedBatch]) -> Evaluation:
        """Say how the classifier does on batches: see `evaluation.evaluate`.

        Learners of a group need not evaluate together.
        """
        return evaluate(self.classifier, batches)

    def state(self) -> dict[str, Any]:
        """Copy all that a later `load` needs, as a tree of arrays and plain values.

        It has the form of `learners.impala.Learner.state`; `agent` is the classifier.
        """
        classifier = self.classifier
        return {
            "agent": to_arrays(classifier.state_dict()),
            "optimiser": optimiser_arrays(self.classifier, self.optimiser),
            "frames": self.frames,
            "version": self.version,
            "skipped": self.skipped,
            **self._rng(),
        }

    def load(self, state: dict[str, Any]) -> None:
        """Continue from `state()`, or from what a checkpoint kept of it.

        Raises:
            ValueError: if it is the state of another network.
        """
        load_agent(self.classifier, state["agent"])
        load_optimiser(self.classifier, self.optimiser, state["optimiser"])
        self.frames = state["frames"]
        self.version = state["version"]
        self.skipped = state["skipped"]
        torch.set_rng_state(to_tensor(state["torch_rng"]))
        if self._on_gpu and state["cuda_rng"] is not None:
            torch.cuda.set_rng_state(to_tensor(state["cuda_rng"]), self.device)
        self._draw_apart()

    def nonfinite(self) -> NonfiniteUpdate | None:
        """Return what the first update had for which `step` gave up; None if it has not."""
        return self._nonfinite

    @property
    def _on_gpu(self) -> bool:
        return self.device.type == "cuda"

    def _backward(self, batch: SupervisedBatch) -> dict[str, float]:
        """Add up the gradients of a batch's pieces; return its losses and accuracies."""
        *others, last = batch.pieces(self.config.accumulate)
        with (
            self.model.no_sync()
            if isinstance(self.model, DistributedDataParallel)
            else nullcontext()
        ):
            tallies = [self._backward_of_piece(piece) for piece in others]
        tallies.append(self._backward_of_piece(last))
        return self._metrics(
            Tally(*(torch.stack(parts).sum(0) for parts in zip(*tallies, strict=True)))
        )

    def _backward_of_piece(self, piece: SupervisedBatch) -> Tally:
        output = self.model(piece.images, piece.label_in)
        losses, scored = [cross_entropy(output.logits, piece.target)], [piece.scored]
        if self.config.prototype_cost:
            logits = prototype_logits(output.features, piece, self.classifier.n_way)
            losses.append(cross_entropy(logits, piece.target))
            # A class that was never seen has no prototype.
            scored.append(piece.scored & (piece.seen > 0))
        sums = torch.stack(
            [torch.where(where, loss, 0).sum() for where, loss in zip(scored, losses, strict=True)]
        )
        own = torch.stack([where.sum() for where in scored])
        costs = sums.new_tensor([1.0, self.config.prototype_cost])[: len(losses)]
        # The mean over the whole batch. A group averages gradients, so its shares are multiplied.
        means = sums / self._over_group(own.clone()).clamp(min=1)
        (means @ costs * self.size).backward()
        hits = hits_by_shot(output.logits.argmax(-1) == piece.target, piece.scored, piece.seen)
        return Tally(sums.detach().double(), own.double(), hits)

    def _metrics(self, tally: Tally) -> dict[str, float]:
        """Return the mean losses and accuracies of the group's batch."""
        right, answers = self._over_group(tally.hits)
        of_losses = self._over_group(tally.answers).clamp(min=1)
        means = (self._over_group(tally.losses) / of_losses).tolist()
        names = ("loss/cross_entropy", "loss/prototype")
        costs = (1.0, self.config.prototype_cost)
        metrics = {"loss/total": sum(c * mean for c, mean in zip(costs, means, strict=False))}
        metrics |= dict(zip(names, means, strict=False))
        metrics["accuracy/train"] = float(right.sum() / answers.sum())
        for shot, (own, of) in enumerate(zip(right.tolist(), answers.tolist(), strict=True)):
            if of:
                metrics[f"accuracy/train/shot{shot}"] = own / of
        return metrics

    def _over_group(self, x: Tensor) -> Tensor:
        """Return the sum of every learner's x; may write to it."""
        if self.group:
            dist.all_reduce(x, group=self.group)
        return x

    def _memory(self, batch: SupervisedBatch) -> dict[str, float]:
        few = batch.columns(0, INTROSPECT_SEQUENCES)
        return self.memory.metrics(self.classifier.introspect(few.images, few.label_in))

    def _rng(self) -> dict[str, Any]:
        return {
            "torch_rng": torch.get_rng_state().numpy(),
            # Dropout draws on the device.
            "cuda_rng": torch.cuda.get_rng_state(self.device).numpy() if self._on_gpu else None,
        }

    def _skip(self, batch: SupervisedBatch, buffers: Iterable[Tensor], rng: dict[str, Any]) -> None:
        for buffer, before in zip(self.classifier.buffers(), buffers, strict=True):
            buffer.copy_(before)  # BatchNorm has seen the batch
        self.skipped += 1
        self._skipped_in_a_row += 1
        if self._skipped_in_a_row >= self.config.max_skipped:
            if not self._nonfinite:
                self._nonfinite = NonfiniteUpdate(self.state() | rng, to_arrays(batch._asdict()))
            raise diverged(self._skipped_in_a_row)

    def _draw_apart(self) -> None:
        """Let each learner of a group drop other activations, though all have one seed."""
        if self.rank:
            torch.manual_seed(int(torch.randint(2**62, ())) + self.rank)
