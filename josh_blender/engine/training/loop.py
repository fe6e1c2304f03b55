"""The training loop: mixed precision and several cards through Accelerate, and checkpoints to go on from."""

from __future__ import annotations

import json
import math
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass, field
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import torch
from safetensors import safe_open
from safetensors.torch import save_file
from torch import Tensor, nn
from torch.optim import AdamW

from ...scene4d.errors import UserError
from ..gpu_memory import gpu_memory_error
from ..networks.acceleration import Batches, half_type
from ..networks.josh3r import Josh3r, PairMotion, rotation_of_rows
from ..networks.mast3r import Tokens
from ..networks.rope import grid_positions
from ..networks.weights import NetworkFile, save_josh3r
from .features import PictureShape, Sample, read_pair
from .losses import LossWeights, angle, errors, losses

WEIGHTS_NAME = "josh3r.safetensors"
_STATE_NAME = "training.safetensors"
_HISTORY_NAME = "history.json"
#: Name of step, settings and history in the state's metadata.
_METADATA = "training"
#: Names of the frozen parameters begin so.
_BACKBONE = "network.mast3r."


@dataclass(frozen=True)
class TrainSettings:
    """steps: batches in all. rate: largest learning rate, reached after ``warm_up`` of the steps, falling to zero as a
    cosine. decay: of weights. dropout: of the heads, as published; less where there is little to learn. every: steps
    between checkpoints, each with the validation's figures."""

    steps: int = 20_000
    batch: int = 32
    rate: float = 1e-4
    warm_up: float = 0.05
    decay: float = 0.01
    dropout: float = 0.5
    every: int = 500
    seed: int = 0
    weights: LossWeights = field(default_factory=LossWeights)


@dataclass
class History:
    """What was measured at checkpoints: step, terms of the loss, and of the validation the mean errors of translation
    (m) and rotation (radians), and both as a share of what the training set's mean motion gets."""

    rows: list[dict[str, float]] = field(default_factory=list)


class _Motion(nn.Module):
    """The trainable part of JOSH3R on cached features, and two heads that only training has: which way people face."""

    def __init__(self, network: Josh3r) -> None:
        super().__init__()
        self.network = network
        width = network.mast3r.sizes.decoder_width
        self.facing = nn.ModuleList([nn.Linear(width, 6) for _ in range(2)])

    def forward(
        self, last_1: Tensor, last_2: Tensor, boxes: Tensor, rows: int, columns: int
    ) -> tuple[PairMotion, Tensor]:
        positions = grid_positions(rows, columns, last_1.device).expand(len(last_1), -1, -1)
        tokens = Tokens(last_1, positions, rows, columns)
        seen = self.network.look(tokens, tokens, last_1, last_2, boxes)
        facing = [head(human) for head, human in zip(self.facing, (seen.human_1, seen.human_2), strict=True)]
        return self.network.read(seen), torch.stack(facing, dim=1)

    def trained(self) -> list[tuple[str, nn.Parameter]]:
        """Everything but the backbone, by name."""
        return [(name, value) for name, value in self.named_parameters() if not name.startswith(_BACKBONE)]


def whole_motion(network: Josh3r) -> nn.Module:
    """A network as `validate` takes it."""
    return _Motion(network)


def train(
    network: Josh3r,
    about: NetworkFile,
    samples: Mapping[PictureShape, Sequence[Sample]],
    validation: Mapping[PictureShape, Sequence[Sample]],
    settings: TrainSettings,
    folder: Path,
    device: str,
    report: Callable[[int, int, dict[str, float]], None],
) -> History:
    """Train everything but the backbone; ``folder`` gets the weights, the state to go on from, and the history.

    A killed run goes on from its last checkpoint. ``report`` gets the step, their number and what was measured.

    Raises:
        UserError: the folder holds a training with other settings, or the graphics card has too little memory.
    """
    from accelerate import Accelerator

    # What is trained is small: float16, which needs its losses scaled, would not be worth it on older cards.
    half = half_type(device) == torch.bfloat16
    accelerator = Accelerator(cpu=device == "cpu", mixed_precision="bf16" if half else "no")
    folder.mkdir(parents=True, exist_ok=True)
    torch.manual_seed(settings.seed)
    network.mast3r.requires_grad_(False).eval()
    for module in network.modules():
        if isinstance(module, nn.Dropout):
            module.p = settings.dropout
    motion_model = _Motion(network)
    own = [parameter.requires_grad_(True) for _, parameter in motion_model.trained()]
    optimizer = AdamW(own, lr=settings.rate, weight_decay=settings.decay)
    model, optimizer = accelerator.prepare(motion_model, optimizer)
    state = _State(folder, settings, accelerator.unwrap_model(model), optimizer)
    step = state.resume()
    batches = _batches(samples, settings.batch, settings.seed, accelerator.num_processes, accelerator.process_index)
    for _ in range(step):
        next(batches)
    mean = mean_motion([sample for group in samples.values() for sample in group])
    sums: dict[str, float] = {}
    since = 0
    while step < settings.steps:
        shape, chosen = next(batches)
        for group in optimizer.param_groups:
            group["lr"] = settings.rate * _share_of_rate(step, settings)
        # What dropout drops depends on the step alone, so that a continued run is the run that was not disturbed.
        torch.manual_seed(settings.seed + step)
        _train_mode(model, accelerator.unwrap_model(model).network)
        with _card_memory():
            batch = _stacked(chosen, accelerator.device)
            motion, facing = model(batch["last_1"], batch["last_2"], batch["boxes"], shape.rows, shape.columns)
            terms = losses(_float(motion), facing.float(), batch)
            accelerator.backward(settings.weights.total(terms))
            accelerator.clip_grad_norm_(own, 1.0)
            optimizer.step()
        optimizer.zero_grad()
        step, since = step + 1, since + 1
        for name, value in terms.items():
            sums[name] = sums.get(name, 0.0) + float(value.detach())
        if step % settings.every == 0 or step == settings.steps:
            row = {"step": float(step), **{name: value / since for name, value in sums.items()}}
            if validation:
                row |= validate(accelerator.unwrap_model(model), validation, mean, settings.batch, accelerator.device)
            sums, since = {}, 0
            if accelerator.is_main_process:
                state.save(step, row, about)
            accelerator.wait_for_everyone()
            report(step, settings.steps, row)
    return state.history


def mean_motion(samples: Sequence[Sample]) -> tuple[Tensor, Tensor]:
    """Mean translation (3,) and rotation (6,) of samples: what a network that sees nothing would say."""
    translation = np.mean([sample.person["translation"] for sample in samples], axis=0)
    rotation = np.mean([sample.person["rotation"] for sample in samples], axis=0)
    return torch.as_tensor(translation), torch.as_tensor(rotation)


@torch.inference_mode()
def validate(
    model: nn.Module,
    validation: Mapping[PictureShape, Sequence[Sample]],
    mean: tuple[Tensor, Tensor],
    size: int,
    device: torch.device,
) -> dict[str, float]:
    """Mean errors on samples that were not trained on, and both as a share of the mean motion's errors."""
    model.eval()
    batches = Batches(str(device), size)
    parts = [
        part
        for shape, group in validation.items()
        for part in batches.run(group, partial(_errors, model, shape, mean, device))
    ]
    result: dict[str, float] = {}
    for number, name in enumerate(("translation", "rotation")):
        error, base = (float(torch.cat([part[which][number] for part in parts]).mean()) for which in (0, 1))
        result |= {f"validation_{name}": error, f"validation_{name}_share": error / max(base, 1e-12)}
    return result


def _errors(
    model: nn.Module,
    shape: PictureShape,
    mean: tuple[Tensor, Tensor],
    device: torch.device,
    samples: Sequence[Sample],
) -> tuple[tuple[Tensor, Tensor], tuple[Tensor, Tensor]]:
    """Errors of translation and rotation, of the network and of the mean motion."""
    batch = _stacked(samples, device)
    motion, _ = model(batch["last_1"], batch["last_2"], batch["boxes"], shape.rows, shape.columns)
    translation, rotation = (value.to(device) for value in mean)
    turn = angle(rotation_of_rows(rotation) @ rotation_of_rows(batch["rotation"]).mT)
    return errors(_float(motion), batch), ((batch["translation"] - translation).norm(dim=-1), turn)


@contextmanager
def _card_memory() -> Iterator[None]:
    """Inside, a graphics card with too little memory is a user's error. A batch is never made smaller behind the user's
    back: its norms are over all of it."""
    try:
        yield
    except torch.OutOfMemoryError as error:
        raise gpu_memory_error("this batch", "Use a smaller --batch") from error


class _State:
    """The folder of a training. One file, replaced whole, is what a killed run goes on from; the weights and the
    history beside it are of the same checkpoint or, after a kill, of the one that comes again."""

    def __init__(self, folder: Path, settings: TrainSettings, model: _Motion, optimizer: Any) -> None:
        self._folder, self._settings, self._model, self._optimizer = folder, settings, model, optimizer
        self.history = History()

    def resume(self) -> int:
        """Load the last checkpoint; returns its step, 0 where there is none."""
        path = self._folder / _STATE_NAME
        if not path.is_file():
            return 0
        with safe_open(path, framework="pt") as file:
            told = json.loads((file.metadata() or {}).get(_METADATA, "{}"))
            if told.get("settings") != asdict(self._settings):
                raise UserError(
                    "other_training",
                    f"{self._folder} holds a training with other settings.",
                    "Give the same settings to continue it, or another --output.",
                )
            tensors = {key: file.get_tensor(key) for key in file.keys()}  # noqa: SIM118
        self.history = History(told["rows"])
        own = {key.removeprefix("model."): value for key, value in tensors.items() if key.startswith("model.")}
        self._model.load_state_dict(own, strict=False)
        for name, parameter in self._model.trained():
            moments = {
                key: tensors[f"optimizer.{name}.{key}"].to(parameter.device if key != "step" else "cpu")
                for key in ("step", "exp_avg", "exp_avg_sq")
                if f"optimizer.{name}.{key}" in tensors
            }
            if moments:
                self._optimizer.state[parameter].update(moments)
        return int(told["step"])

    def save(self, step: int, row: dict[str, float], about: NetworkFile) -> None:
        """Write a checkpoint; the old one stays whole until the new one is."""
        self.history.rows.append(row)
        told = {"step": step, "settings": asdict(self._settings), "rows": self.history.rows}
        save_josh3r(self._folder / WEIGHTS_NAME, self._model.network, about)
        fresh = self._folder / f"{_HISTORY_NAME}.partial"
        fresh.write_text(json.dumps(told, indent=1), encoding="utf-8")
        fresh.replace(self._folder / _HISTORY_NAME)
        tensors = {
            f"model.{name}": value.detach().cpu().contiguous()
            for name, value in self._model.state_dict().items()
            if not name.startswith(_BACKBONE)
        }
        for name, parameter in self._model.trained():
            for key, value in self._optimizer.state[parameter].items():
                tensors[f"optimizer.{name}.{key}"] = torch.as_tensor(value).detach().cpu().contiguous()
        # Last: until it is there, a killed run makes this checkpoint again.
        fresh = self._folder / f"{_STATE_NAME}.partial"
        save_file(tensors, fresh, metadata={_METADATA: json.dumps(told)})
        fresh.replace(self._folder / _STATE_NAME)


def _batches(
    samples: Mapping[PictureShape, Sequence[Sample]], size: int, seed: int, processes: int, process: int
) -> Iterator[tuple[PictureShape, list[Sample]]]:
    """Endless batches in an order that depends on the seed alone; several processes share every batch's place."""
    random = np.random.default_rng(seed)
    while True:
        rounds: list[tuple[PictureShape, list[Sample]]] = []
        for shape, group in samples.items():
            order = random.permutation(len(group))
            for start in range(0, max(1, len(order) - size // 2), size):
                chosen = [group[int(number)] for number in order[start : start + size]]
                # Norms over a batch need two; one sample is asked twice.
                rounds.append((shape, chosen if len(chosen) > 1 else chosen * 2))
        turns = random.permutation(len(rounds))
        whole = len(turns) // processes * processes or len(turns)
        for turn in turns[process % len(turns) : whole : processes]:
            yield rounds[int(turn)]


def _stacked(samples: Sequence[Sample], device: torch.device) -> dict[str, Tensor]:
    features = [read_pair(sample) for sample in samples]
    arrays = {name: np.stack([one[name] for one in features]) for name in features[0]}
    arrays |= {name: np.stack([sample.person[name] for sample in samples]) for name in samples[0].person}
    return {name: torch.as_tensor(value).to(device) for name, value in arrays.items()}


def _float(motion: PairMotion) -> PairMotion:
    return PairMotion(**{name: value.float() for name, value in vars(motion).items()})


def _train_mode(model: nn.Module, network: Josh3r) -> None:
    model.train()
    network.mast3r.eval()


def _share_of_rate(step: int, settings: TrainSettings) -> float:
    warm = max(1.0, settings.warm_up * settings.steps)
    if step < warm:
        return (step + 1) / warm
    return 0.5 * (1.0 + math.cos(math.pi * (step - warm) / max(1.0, settings.steps - warm)))
