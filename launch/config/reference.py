"""All keys of a configuration, with type, default, range and meaning, from the schema itself."""

from __future__ import annotations

import json
from collections.abc import Iterator
from difflib import SequenceMatcher
from typing import Any, NamedTuple

from launch.config.plugins import import_plugins
from launch.config.schema import CommonConfig, LoadedConfig

TYPES = {
    "integer": "int",
    "number": "float",
    "string": "text",
    "boolean": "true | false",
    "object": "mapping",
    "null": "null",
}
LIMITS = {"minimum": ">=", "exclusiveMinimum": ">", "maximum": "<=", "exclusiveMaximum": "<"}

ALIASES = {
    "lr": "learning_rate",
    "gamma": "discount",
    "gae_lambda": "vtrace_lambda",
    "ent_coef": "entropy_cost",
    "vf_coef": "value_cost",
    "optimizer": "optimiser",
    "grad_clip": "max_grad_norm",
    "frames": "total_frames",
    "steps": "total_frames",
    "total_timesteps": "total_frames",
    "num_steps": "unroll_length",
    "num_envs": "envs_per_worker",
    "num_workers": "workers",
    "env": "tasks",
    "env_id": "tasks",
}
"""What other projects call a key, where the names are not alike."""

ALIKE = 0.7  # from this similarity on, a key is suggested
LONGEST = 100  # characters of a name for which one is looked for: that takes their square


class Key(NamedTuple):
    """One key of a configuration."""

    name: str  # dotted
    type: str
    default: str  # as YAML writes it; "" where the key is required
    range: str
    meaning: str


def all_keys(kind: type[CommonConfig] = LoadedConfig) -> list[Key]:
    """Return every key of a kind of configuration, in the order of its sections.

    The names of cores and encoders include those of installed plug-ins.
    """
    import_plugins(())
    schema = kind.model_json_schema()
    return list(_walk(schema, schema["$defs"], ""))


def keys_of(section: str, kind: type[CommonConfig] = LoadedConfig) -> list[Key]:
    """Return the key with this dotted name, or the keys of the section with it, or none."""
    return [key for key in all_keys(kind) if f"{key.name}.".startswith(f"{section}.")]


def nearest(name: str, kind: type[CommonConfig] = LoadedConfig) -> str | None:
    """Return the key or section that a misspelt dotted name probably means, if there is one."""
    if len(name) > LONGEST:
        return None
    known = [key.name for key in all_keys(kind)]
    sections = {name.rpartition(".")[0] for name in known} - {""}
    parents, _, last = name.lower().replace("-", "_").rpartition(".")
    wanted = ".".join(filter(None, [parents, ALIASES.get(last, last)]))

    def likeness(candidate: str) -> tuple[float, float]:
        return _alike(_last(wanted), _last(candidate)), _alike(wanted, candidate)

    best = max([*known, *sorted(sections)], key=likeness)
    return best if max(likeness(best)) >= ALIKE else None


def _last(name: str) -> str:
    return name.rpartition(".")[2]


def _alike(one: str, other: str) -> float:
    return SequenceMatcher(None, one, other).ratio()


def _walk(schema: dict[str, Any], models: dict[str, Any], prefix: str) -> Iterator[Key]:
    for name, field in schema["properties"].items():
        if reference := field.get("$ref"):
            yield from _walk(models[_name(reference)], models, f"{prefix}{name}.")
            continue
        default = json.dumps(field["default"]) if "default" in field else ""
        meaning = " ".join(field.get("description", "").split())
        yield Key(f"{prefix}{name}", _type(field), default.strip('"'), _range(field), meaning)
        if item := field.get("items", {}).get("$ref"):  # a list of sections
            yield from _walk(models[_name(item)], models, f"{prefix}{name}[].")


def _name(reference: str) -> str:
    return reference.rpartition("/")[2]


def _type(field: dict[str, Any]) -> str:
    if kinds := field.get("anyOf"):
        return " | ".join(_type(kind) for kind in kinds)
    if choices := field.get("enum"):
        return " | ".join(map(str, choices))
    if "const" in field:
        return str(field["const"])
    if "$ref" in field:
        return "sections"
    if field["type"] == "array":
        return f"list of {_type(field['items'])}"
    return TYPES[field["type"]]


def _range(field: dict[str, Any]) -> str:
    for kind in (field, *field.get("anyOf", ())):
        limits = [f"{sign} {kind[limit]}" for limit, sign in LIMITS.items() if limit in kind]
        if limits:
            return ", ".join(limits)
    return ""
