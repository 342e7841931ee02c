# SPDX-License-Identifier: Apache-2.0
"""Reading TOML files into pydantic models, with every problem of the file reported at once, line by line.

Nothing in a file is executed. The line of a key is looked up only after something was found wrong.
"""

from __future__ import annotations

import difflib
import tomllib
import typing
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, TypeVar

import pydantic

from harness.errors import Problem, RigError

Model = TypeVar("Model", bound=pydantic.BaseModel)
KeyPath = tuple[str | int, ...]
MAX_BYTES = 4_000_000
_FOUND_CHARACTERS = 60


class FileModel(pydantic.BaseModel):
    """Base of everything read from a file: frozen, unknown keys refused, no silent type conversion."""

    model_config = pydantic.ConfigDict(
        frozen=True, extra="forbid", strict=True, arbitrary_types_allowed=False, defer_build=True
    )


def read_text(path: Path) -> str:
    """The text of a data file. Raises RigError when it is missing, unreadable, not UTF-8 or over 4 MB."""
    try:
        if path.stat().st_size > MAX_BYTES:
            raise RigError([Problem(str(path), 0, "", f"{path.stat().st_size} bytes", f"at most {MAX_BYTES} bytes")])
        return path.read_text(encoding="utf-8")
    except UnicodeDecodeError as error:
        raise RigError(
            [Problem(str(path), 0, "", f"a byte that is not UTF-8 at {error.start}", "UTF-8 text")]
        ) from error
    except OSError as error:
        reason = error.strerror or type(error).__name__
        raise RigError([Problem(str(path), 0, "", reason.lower(), "a readable file")]) from error


def parse_toml(text: str, path: Path) -> dict[str, Any]:
    """The tables of a TOML text. Raises RigError with the line of a syntax error."""
    try:
        return tomllib.loads(text)
    except tomllib.TOMLDecodeError as error:
        line = _line_of_syntax_error(str(error))
        raise RigError([Problem(str(path), line, "", str(error), "TOML 1.0")]) from error
    except RecursionError as error:
        raise RigError([Problem(str(path), 0, "", "tables nested too deeply", "TOML 1.0")]) from error


def load_model(path: Path, model: type[Model]) -> Model:
    """Read one file into one model. Raises RigError with all problems of the file at once."""
    text = read_text(path)
    return validate(parse_toml(text, path), model, path=path, text=text)


def validate(data: Mapping[str, Any], model: type[Model], *, path: Path, text: str) -> Model:
    """Validate tables already parsed. Raises RigError with file, line, key, found and allowed of each problem."""
    try:
        return model.model_validate(data)
    except pydantic.ValidationError as error:
        raise RigError(_problems(error, path, text, model)) from error


def problem_at(path: Path, text: str, key: KeyPath, *, found: object, allowed: str) -> Problem:
    """A problem found by a check of our own, placed on the line where `key` stands."""
    return Problem(str(path), line_of(text, key), dotted(key), shorten(found), allowed)


def dotted(key: KeyPath) -> str:
    """A key path as people write it: trip[2].above. Array positions count from 1."""
    parts: list[str] = []
    for part in key:
        if isinstance(part, int):
            parts.append(f"[{part + 1}]")
        else:
            parts.append(f".{part}" if parts else part)
    return "".join(parts)


def shorten(value: object) -> str:
    """A found value as printed: at most 60 characters, on one line."""
    text = repr(value)
    return text if len(text) <= _FOUND_CHARACTERS else text[: _FOUND_CHARACTERS - 3] + "..."


def _problems(error: pydantic.ValidationError, path: Path, text: str, model: type[pydantic.BaseModel]) -> list[Problem]:
    problems = []
    for item in error.errors(include_url=False):
        key = tuple(part for part in item["loc"] if not _is_tag(part))
        found = shorten(item["input"])
        if item["type"] == "missing":
            found, allowed = "nothing", "this key must be there"
        elif item["type"] == "extra_forbidden":
            found, allowed = "an unknown key", _known_keys(model, key)
        else:
            allowed = _allowed(item["type"], item.get("ctx", {}), item["msg"])
        problems.append(Problem(str(path), line_of(text, key), dotted(key), found, allowed))
    return problems


_TYPE_WORDS: Mapping[str, str] = {
    "int": "a whole number",
    "float": "a number",
    "bool": "true or false",
    "string": "a text in quotes",
    "tuple": "a list in square brackets",
    "list": "a list in square brackets",
    "dict": "a table",
    "model": "a table",
    "model_attributes": "a table",
    "finite_number": "a finite number",
}
_BOUND_WORDS: Mapping[str, str] = {
    "greater_than_equal": "a value greater than or equal to {ge:g}",
    "greater_than": "a value greater than {gt:g}",
    "less_than_equal": "a value less than or equal to {le:g}",
    "less_than": "a value less than {lt:g}",
    "too_short": "at least {min_length} of them",
    "too_long": "at most {max_length} of them",
    "string_too_short": "a text of at least {min_length} characters",
    "string_pattern_mismatch": "a text that matches {pattern}",
    "literal_error": "{expected}",
}


def _allowed(kind: str, context: Mapping[str, Any], message: str) -> str:
    """What is allowed, in the words of these files instead of those of the library."""
    if "error" in context:
        return str(context["error"])
    if kind in _BOUND_WORDS:
        return _BOUND_WORDS[kind].format(**context)
    family = kind.removesuffix("_type").removesuffix("_parsing").removesuffix("_from_float")
    return _TYPE_WORDS.get(family, message)


def _known_keys(model: type[pydantic.BaseModel], key: KeyPath) -> str:
    """The keys of the table an unknown one was found in, and the near one."""
    inside: list[Any] = [model]
    for part in key[:-1]:
        tables = [table for annotation in inside for table in _models_in(annotation)]
        if isinstance(part, str):
            inside = [table.model_fields[part].annotation for table in tables if part in table.model_fields]
    names = sorted({name for annotation in inside for table in _models_in(annotation) for name in table.model_fields})
    near = difflib.get_close_matches(str(key[-1]), names, n=1)
    hint = f"; did you mean {near[0]}?" if near else ""
    return f"only the keys of this table: {', '.join(names)}{hint}" if names else "only the keys of this table"


def _models_in(annotation: Any) -> list[type[pydantic.BaseModel]]:
    """The tables an annotation may stand for, whatever lists and unions they are wrapped in."""
    if isinstance(annotation, type) and issubclass(annotation, pydantic.BaseModel):
        return [annotation]
    return [model for argument in typing.get_args(annotation) for model in _models_in(argument)]


def _is_tag(part: str | int) -> bool:
    """Pydantic puts names of union members into the path; they contain characters no TOML key of ours has."""
    return isinstance(part, str) and (any(mark in part for mark in "[](),") or part.endswith(("Action", "Model")))


def _line_of_syntax_error(message: str) -> int:
    _, _, rest = message.partition("(at line ")
    digits = rest.partition(",")[0]
    return int(digits) if digits.isdigit() else 0


def line_of(text: str, key: KeyPath) -> int:
    """The line (from 1) where a key path stands, or its nearest table; 0 when the text has neither.

    Uses the tree-sitter grammar of TOML, so that inline tables, arrays and dotted keys are found too.
    """
    best = 0
    for path, line in _key_lines(text):
        if path == key:
            return line
        if key[: len(path)] == path:
            best = line
    return best


def _key_lines(text: str) -> list[tuple[KeyPath, int]]:
    import tree_sitter  # noqa: PLC0415 - needed only to explain an error
    import tree_sitter_toml  # noqa: PLC0415 - see above

    language = tree_sitter.Language(tree_sitter_toml.language())
    tree = tree_sitter.Parser(language).parse(text.encode())
    lines: list[tuple[KeyPath, int]] = []
    counts: dict[KeyPath, int] = {}
    for child in tree.root_node.named_children:
        if child.type == "pair":
            _collect_pair(child, (), lines)
        elif child.type in ("table", "table_array_element"):
            _collect_table(child, counts, lines)
    return lines


def _collect_table(node: Any, counts: dict[KeyPath, int], lines: list[tuple[KeyPath, int]]) -> None:
    name = _resolve(_key_of(node.named_children[0]), counts)
    if node.type == "table_array_element":
        counts[name] = counts.get(name, -1) + 1
        name = (*name, counts[name])
    lines.append((name, node.start_point[0] + 1))
    for child in node.named_children[1:]:
        if child.type == "pair":
            _collect_pair(child, name, lines)


def _resolve(name: KeyPath, counts: Mapping[KeyPath, int]) -> KeyPath:
    """[a.b] below [[a]] belongs to the newest element of a."""
    path: KeyPath = ()
    for part in name[:-1]:
        path = (*path, part)
        if path in counts:
            path = (*path, counts[path])
    return (*path, name[-1])


def _collect_pair(node: Any, prefix: KeyPath, lines: list[tuple[KeyPath, int]]) -> None:
    path = (*prefix, *_key_of(node.named_children[0]))
    lines.append((path, node.start_point[0] + 1))
    _collect_value(node.named_children[-1], path, lines)


def _collect_value(node: Any, path: KeyPath, lines: list[tuple[KeyPath, int]]) -> None:
    if node.type == "inline_table":
        for child in node.named_children:
            if child.type == "pair":
                _collect_pair(child, path, lines)
    elif node.type == "array":
        elements = [child for child in node.named_children if child.type != "comment"]
        for index, child in enumerate(elements):
            lines.append(((*path, index), child.start_point[0] + 1))
            _collect_value(child, (*path, index), lines)


def _key_of(node: Any) -> KeyPath:
    if node.type == "dotted_key":
        parts: Sequence[Any] = node.named_children
        return tuple(part for child in parts for part in _key_of(child))
    text = node.text.decode()
    return (text[1:-1],) if text[:1] in "\"'" else (text,)
