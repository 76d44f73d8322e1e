"""Read a configuration from YAML files and KEY=VALUE overrides."""

from __future__ import annotations

import copy
import itertools
import re
from collections.abc import Sequence
from pathlib import Path
from typing import Any, TypeVar

import yaml
from pydantic import ValidationError

from launch.config.fewshot import FewShotConfig
from launch.config.schema import CommonConfig, LoadedConfig
from launch.errors import UserError
from launch.paths import expand, is_file

CONFIGS = Path(__file__).resolve().parents[2] / "configs"

DEEPEST, MOST, LARGEST = 50, 100_000, 2**63 - 1
"""Levels, values and the whole number that a configuration may have."""

AnyConfig = LoadedConfig | FewShotConfig
"""Of a policy that plays, or of a classifier; the latter has a section `episodes`."""

C = TypeVar("C", LoadedConfig, FewShotConfig)


def load_config(name: str, overrides: Sequence[str] = ()) -> LoadedConfig:
    """Read the configuration of a policy: a path, or the name of a file in `configs/`.

    Raises:
        UserError: if there is none, or if it is not a valid one.
    """
    return expect(LoadedConfig, load_any_config(name, overrides), f"config {name!r}")


def load_any_config(name: str, overrides: Sequence[str] = ()) -> AnyConfig:
    """Read a configuration of either kind: a path, or the name of a file in `configs/`.

    Raises:
        UserError: if there is none, or if it is not a valid one.
    """
    return parse_config(read_yaml(find_config(name)), overrides, f"config {name!r}")


def expect(kind: type[C], config: AnyConfig, source: str) -> C:
    """Return the configuration if it is of this kind.

    Args:
        kind: that is needed.
        config: of either kind.
        source: where it is from, for the error.

    Raises:
        UserError: if it is of the other kind.
    """
    if not isinstance(config, kind):
        found, command = (
            ("a few-shot run", "fewshot")
            if isinstance(config, FewShotConfig)
            else ("a run that plays games", "train")
        )
        raise UserError(f"{source} is for {found}: use srwm {command}")
    return config


def find_config(name: str) -> Path:
    """Return the file that `name` stands for."""
    for path in (Path(expand(name)), CONFIGS / f"{name}.yaml"):
        if is_file(path):
            return path
    known = ", ".join(sorted(path.stem for path in CONFIGS.glob("*.yaml")))
    raise UserError(f"config {name!r}: no such file, and none of that name among: {known}")


def first_comment(path: Path) -> str:
    """Return the first sentence of the comment that a configuration begins with."""
    lines = itertools.takewhile(lambda line: line.startswith("#"), path.read_text().splitlines())
    text = " ".join(line.lstrip("# ") for line in lines)
    return re.split(r"(?<=\.)\s", text)[0]


def parse_config(tree: dict[str, Any], overrides: Sequence[str], source: str) -> AnyConfig:
    """Validate a tree of plain values after `key.key=value` overrides.

    The result is a `FewShotConfig` if there is a section `episodes`. Otherwise it is a `RunConfig`
    unless something in it is `auto`.

    Raises:
        UserError: naming the first key that is wrong.
    """
    tree = copy.deepcopy(tree)  # overrides are written into it
    for override in overrides:
        _apply(tree, override)
    try:
        _require_small(tree)
    except ValueError as error:
        raise UserError(f"{source}: {error}") from None
    kind = FewShotConfig if "episodes" in tree else LoadedConfig
    try:
        config = kind.model_validate(tree)
        return config if isinstance(config, FewShotConfig) or config.auto else config.resolved()
    except ValidationError as error:
        first, *others = error.errors(include_url=False)
        key = ".".join(str(part) for part in first["loc"])
        more = f" (and {len(others)} more)" if others else ""
        raise UserError(f"{source}: {_explain(key, first, kind)}{more}") from None


def read_yaml(path: Path) -> dict[str, Any]:
    """Read one mapping from a YAML file.

    Raises:
        UserError: if it cannot be read, or is not one.
    """
    try:
        tree = _load(path.read_text(encoding="utf-8"))
    except (OSError, UnicodeDecodeError) as error:
        raise UserError(f"{path}: cannot be read: {error}") from None
    except (yaml.YAMLError, ValueError) as error:
        raise UserError(f"{path}: not valid YAML: {' '.join(str(error).split())}") from None
    if not isinstance(tree, dict):
        raise UserError(f"{path}: expected `key: value` lines, found {type(tree).__name__}")
    return tree


def dump_config(config: AnyConfig) -> str:
    """Return the YAML text from which `parse_config` makes an equal configuration."""
    return yaml.safe_dump(config.model_dump(mode="json"), sort_keys=False)


def override_keys(overrides: Sequence[str]) -> list[str]:
    """Return the dotted keys that the overrides set."""
    return [_split(override)[0] for override in overrides]


class _Loader(yaml.SafeLoader):
    """YAML as everyone means it.

    YAML 1.1 reads 6e-4 as a string and 1.0e+6 as a fraction. Of two keys with one name the last
    would win without a word.
    """

    def construct_mapping(self, node: yaml.MappingNode, deep: bool = False) -> dict[Any, Any]:
        names = [self.construct_object(key, deep=True) for key, _ in node.value]
        twice = next((name for name in names if names.count(name) > 1), None)
        if twice is not None:
            line = node.start_mark.line + 1
            raise ValueError(f"key {twice!r} is there twice in the section from line {line}")
        mapping: dict[Any, Any] = super().construct_mapping(node, deep)
        return mapping

    def construct_yaml_float(self, node: yaml.ScalarNode) -> float:
        number: float = super().construct_yaml_float(node)
        whole = "e" in node.value.lower() and number.is_integer()
        return int(number) if whole and abs(number) < LARGEST else number


_Loader.add_constructor("tag:yaml.org,2002:float", _Loader.construct_yaml_float)
_Loader.add_implicit_resolver(
    "tag:yaml.org,2002:float",
    re.compile(r"[-+]?(\d[\d_]*)(\.[\d_]*)?[eE][-+]?\d+$"),
    list("-+0123456789"),
)


def _load(text: str) -> Any:
    """Read YAML.

    Raises:
        yaml.YAMLError: if it is not YAML.
        ValueError: if it is too deep or too large, or a value is not what its tag says.
    """
    try:
        tree = yaml.load(text, _Loader)
    except RecursionError:
        raise ValueError(f"it is nested deeper than {DEEPEST} levels") from None
    except (LookupError, TypeError, AttributeError, OverflowError):
        # What PyYAML raises where it trusts a tag, as that of `!!int ''` or `!!timestamp now`.
        raise ValueError("a value is not of the form that its tag (`!!`) says") from None
    _require_small(tree)
    return tree


def _require_small(tree: object) -> None:
    """Refuse a tree that is too deep or too large to work with.

    An alias may hold its own anchor, or a few lines of them stand for billions of values.

    Raises:
        ValueError: if it is.
    """
    count, waiting = 0, [(tree, 0)]
    while waiting:
        node, depth = waiting.pop()
        count += 1
        if depth > DEEPEST:
            raise ValueError(f"it is nested deeper than {DEEPEST} levels, or holds itself")
        if count > MOST:
            raise ValueError(f"it holds more than {MOST} values")
        if isinstance(node, int) and abs(node) > LARGEST:
            raise ValueError("it holds a whole number of more than 64 bits")
        if isinstance(node, dict):
            waiting += [(key, depth + 1) for key in node]
            node = list(node.values())
        if isinstance(node, list | tuple | set):
            waiting += [(child, depth + 1) for child in node]


def _apply(tree: dict[str, Any], override: str) -> None:
    key, text = _split(override)
    *parents, last = key.split(".")
    node = tree
    for parent in parents:
        child = node.setdefault(parent, {})
        if not isinstance(child, dict):
            raise UserError(f"{override}: {parent!r} holds a value, not a section")
        node = child
    try:
        node[last] = _load(text)
    except yaml.YAMLError:
        raise UserError(f"{override}: {text!r} is not a valid YAML value") from None
    except ValueError as error:
        raise UserError(f"{override}: {text!r} is not a valid YAML value: {error}") from None


def _split(override: str) -> tuple[str, str]:
    key, equals, text = override.partition("=")
    if not equals or not all(key.split(".")):
        raise UserError(f"{override!r} is not of the form key=value or section.key=value")
    return key, text


def _explain(key: str, error: Any, kind: type[CommonConfig]) -> str:
    if error["type"] == "extra_forbidden":
        return f"{key}: there is no such key{_hint(key, error['input'], kind)}"
    if error["type"] == "missing":
        return f"{key}: is required"
    message = error["msg"].removeprefix("Value error, ")
    if error["type"] == "value_error":
        return f"{key}: {message}" if key else message
    return f"{key}: {message[0].lower()}{message[1:]}, not {error['input']!r}"


def _hint(key: str, value: Any, kind: type[CommonConfig]) -> str:
    """Say which key was probably meant; for an unknown section, also by the first key in it."""
    from launch.config.reference import nearest  # reads the whole schema, so only when needed

    names = [key, *(f"{key}.{name}" for name in value)] if isinstance(value, dict) else [key]
    known = next(filter(None, (nearest(name, kind) for name in names[:2])), None)
    return f"; did you mean {known}?" if known else ""
