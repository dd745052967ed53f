"""Plan: every choice of one training run, settled before it starts, stored in the bundle, and enough to repeat it."""

from __future__ import annotations

from dataclasses import asdict, dataclass, replace
from typing import Any, Literal

from photovision.core.errors import UsageError


@dataclass(frozen=True)
class Plan:
    """Hyperparameters of one run of the loop.

    Attributes:
        epochs: passes over the training data.
        batch_size: of all processes together; must be even (neighbours are mixed) and divisible by their number.
        optimiser: "adamw", or "sgd" with Nesterov momentum 0.9.
        lr: peak learning rate.
        head_lr: peak learning rate of the last layer, where it should differ.
        layer_decay: factor on the rate from each step of the network to the one below it (discriminative rates).
        weight_decay: on weights of two and more dimensions.
        warmup: share of all steps in which the rate rises; then it falls as half a cosine, or in a straight line.
        schedule: "cosine" or "linear".
        label_smoothing: share of the target spread over all classes.
        mixup, cutmix: parameter alpha of the Beta distribution; 0 is off; where both are on, batches alternate.
        head_first: share of the run in which only what is new learns, and what the network's method `pretrained` gives
            stays as it is (LP-FT, Kumar et al. 2022): a step takes half the time, and a head that knows nothing yet
            does not spoil what is below it.
        ema: decay of the weights' moving average, which is what is validated and kept; 0 switches it off.
        clip: largest norm of the gradient.
        train_norm: whether batch normalisation learns new statistics; off for few pictures.
        balanced: whether rare classes are shown more often (square root of the inverse frequency).
        accumulate: batches whose gradients are added up before a step.
        precision: "f32" or "bf16" (autocast).
        compile: whether torch.compile is used.
        patience: epochs without a better validation score after which the run ends; 0 never ends early.
        validate_every: epochs from one validation to the next.
        most_epochs: up to which a run with a deadline is stretched where the machine is quicker than planned; 0 never.
        paced: (epoch, epochs) pairs of a run that is repeated: after so many epochs it was set to so many in all,
            because the machine was slower or quicker than planned.
        keep: the weights that validated "best", or the "last" ones, where no picture is left to validate with.
        seed: random seed.
    """

    epochs: int
    batch_size: int = 32
    optimiser: Literal["adamw", "sgd"] = "adamw"
    lr: float = 1e-3
    head_lr: float | None = None
    layer_decay: float = 1.0
    weight_decay: float = 0.02
    warmup: float = 0.1
    schedule: Literal["cosine", "linear"] = "cosine"
    label_smoothing: float = 0.1
    mixup: float = 0.0
    cutmix: float = 0.0
    head_first: float = 0.0
    ema: float = 0.0
    clip: float = 1.0
    train_norm: bool = False
    balanced: bool = False
    accumulate: int = 1
    precision: Literal["f32", "bf16"] = "f32"
    compile: bool = False
    patience: int = 0
    validate_every: int = 1
    most_epochs: int = 0
    paced: tuple[tuple[int, int], ...] = ()
    keep: Literal["best", "last"] = "best"
    seed: int = 0

    def __post_init__(self) -> None:
        if self.epochs < 1 or self.batch_size < 2 or self.batch_size % 2:
            raise UsageError(f"expected epochs >= 1 and an even batch_size, got {self.epochs} and {self.batch_size}")
        shares = self.ema, self.warmup, self.head_first
        if not 0 < self.lr < 100 or not all(0 <= share < 1 for share in shares) or self.accumulate < 1:
            raise UsageError("expected lr above 0, ema, warmup and head_first from 0 up to 1, accumulate at least 1")

    def with_epochs(self, epochs: int) -> Plan:
        """The same plan for another number of epochs."""
        return replace(self, epochs=max(1, epochs))

    def to_json(self) -> dict[str, Any]:
        """JSON-ready."""
        return asdict(self)
