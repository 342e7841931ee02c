# SPDX-License-Identifier: Apache-2.0
"""The mutation operators: what can be changed at one place of a C program."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final, Literal

if TYPE_CHECKING:
    from tree_sitter import Node

Kind = Literal["binary", "value", "condition", "statement"]

# What each binary operator is exchanged for, and what that is called.
_BINARY: Final[Mapping[str, tuple[str, str]]] = {
    "<": ("<=", "boundary"),
    "<=": ("<", "boundary"),
    ">": (">=", "boundary"),
    ">=": (">", "boundary"),
    "==": ("!=", "equality"),
    "!=": ("==", "equality"),
    "+": ("-", "arithmetic"),
    "-": ("+", "arithmetic"),
    "*": ("/", "arithmetic"),
    "/": ("*", "arithmetic"),
    "%": ("*", "arithmetic"),
    "<<": (">>", "bits"),
    ">>": ("<<", "bits"),
    "&": ("|", "bits"),
    "|": ("&", "bits"),
    "^": ("&", "bits"),
    "&&": ("||", "logic"),
    "||": ("&&", "logic"),
}
_CONDITIONAL = frozenset({"if_statement", "while_statement", "for_statement", "conditional_expression"})
_ASSIGNED: Final[Mapping[str, str]] = {"+=": "-=", "-=": "+=", "|=": "&=", "&=": "|="}
_INTEGER = re.compile(r"(-?)(0[xX][0-9a-fA-F]+|0[0-7]*|[1-9][0-9]*)([uUlL]*)", re.ASCII)
_EFFECTS = frozenset({"call_expression", "assignment_expression", "update_expression"})
_FLOW = frozenset({"break_statement", "continue_statement", "return_statement"})

OPERATORS: Final = (
    "boundary", "equality", "arithmetic", "bits", "logic", "negation", "constant", "assignment", "statement", "flow",
)  # fmt: skip


@dataclass(frozen=True, slots=True)
class Change:
    """One change of one place: its new text ("" = left out). `other` is the new operator of a binary one."""

    operator: str
    kind: Kind
    text: bytes
    other: str = ""


def changes_of(node: Node, body: Node) -> Iterator[Change]:
    """The changes of this very node, not of its children. `body` is that of the function."""
    match node.type:
        case "binary_expression":
            yield from _exchanged(node)
        case "unary_expression" if node.children[0].type in ("!", "-", "~"):
            operator = "negation" if node.children[0].type == "!" else "arithmetic"
            yield Change(operator, "value", b"(" + _text(node.named_children[0]) + b")")
        case "number_literal":
            yield from _other_numbers(node)
        case "true" | "false":
            yield Change("constant", "value", b"false" if node.type == "true" else b"true")
        case "expression_statement":
            yield from _without(node)
        case "assignment_expression":
            yield from _other_assignment(node)
        case kind if kind in _FLOW and _may_go(node, body):
            yield Change("flow", "statement", b"")
    if _negatable(node):
        yield Change("negation", "condition", b"!(" + _text(node) + b")")


def _exchanged(node: Node) -> Iterator[Change]:
    left, operator, right = node.children[0], node.children[1], node.children[2]
    if operator.type not in _BINARY:
        return
    other, name = _BINARY[operator.type]
    text = _text(left) + b" " + other.encode() + b" " + _text(right)
    if name == "logic" and node.parent is not None and node.parent.type == "binary_expression":
        text = b"(" + text + b")"  # `a && b && c`: the other operator binds differently
    yield Change(name, "binary", text, other)


def _other_numbers(node: Node) -> Iterator[Change]:
    """One more, and nothing. What is compared with 0 has `equality` and `boundary` already."""
    found = _INTEGER.fullmatch(_text(node).decode(errors="replace"))
    if found is None or _is_compared_with_zero(node):
        return
    sign, digits, suffix = found.groups()
    octal = digits.startswith("0") and digits.isdecimal() and digits != "0"
    magnitude = int(digits, 8 if octal else 0)
    value = -magnitude if sign else magnitude
    others = [value + 1, 0]
    if value == 0 or _divides(node):
        others = [value + 1]
    elif value == 1 and _is_chosen(node):  # `x ? 1 : 0` is a truth value
        others = [0]
    for other in dict.fromkeys(others):
        text = hex(other) if digits[:2] in ("0x", "0X") and other else str(other)
        yield Change("constant", "value", f"{text}{suffix}".encode())


def _is_compared_with_zero(node: Node) -> bool:
    parent = node.parent
    return (
        parent is not None
        and parent.type == "binary_expression"
        and parent.children[1].type in ("==", "!=")
        and _text(node).rstrip(b"uUlL") == b"0"
    )


def _is_chosen(node: Node) -> bool:
    return node.parent is not None and node.parent.type == "conditional_expression"


def _divides(node: Node) -> bool:
    """Nothing in its place would be a division by zero, which every compiler finds."""
    parent = node.parent
    return parent is not None and parent.type == "binary_expression" and parent.children[1].type in ("/", "%")


def _without(node: Node) -> Iterator[Change]:
    """The statement left out, if it does anything."""
    if node.named_child_count == 1 and _has_effect(node.named_children[0]):
        yield Change("statement", "statement", b"")


def _has_effect(node: Node) -> bool:
    return node.type in _EFFECTS or any(_has_effect(child) for child in node.named_children)


def _other_assignment(node: Node) -> Iterator[Change]:
    """`+=` for `-=`, and so on; only where its value is not used, so that it may stand in parentheses."""
    operator = node.children[1].type
    if operator in _ASSIGNED and node.parent is not None and node.parent.type == "expression_statement":
        text = _text(node.children[0]) + b" " + _ASSIGNED[operator].encode() + b" " + _text(node.children[2])
        yield Change("assignment", "condition", text)


def _may_go(node: Node, body: Node) -> bool:
    """A jump can be left out where the program goes on after it: not at the end of a function, or where a function
    that has to return something would return nothing.
    """
    last = body.named_children[-1] if body.named_children else None
    while last is not None and last.type == "comment":
        last = last.prev_named_sibling
    if node.type != "return_statement":
        return not (node.type == "break_statement" and _ends_switch(node))
    if node.named_child_count == 0:
        return node != last
    return last is not None and last.type == "return_statement" and node != last


def _ends_switch(node: Node) -> bool:
    """The last statement of the last case: with or without `break`, the switch is over."""
    case = node.parent
    if case is None or case.type != "case_statement" or case.parent is None:
        return False
    cases = [child for child in case.parent.named_children if child.type == "case_statement"]
    return cases[-1] == case and case.named_children[-1] == node


def _negatable(node: Node) -> bool:
    """The condition of a statement or expression. `==`, `!=` and `!` negate themselves; a constant is no condition."""
    parent = node.parent
    if parent is not None and parent.type == "parenthesized_expression":
        if parent.parent is None or parent.parent.type not in _CONDITIONAL:
            return False
        if parent.parent.child_by_field_name("condition") != parent:
            return False
    elif parent is None or parent.type not in _CONDITIONAL or parent.child_by_field_name("condition") != node:
        return False
    if node.type in ("parenthesized_expression", "number_literal", "true", "false"):
        return False
    return not (node.children and any(child.type in ("==", "!=", "!") for child in node.children[:2]))


def _text(node: Node) -> bytes:
    return node.text or b""
