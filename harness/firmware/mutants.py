# SPDX-License-Identifier: Apache-2.0
"""Finds the mutants of a C source: small changes of one place, each of which a test suite should notice.

The text is parsed with tree-sitter as it stands, without preprocessing. Only the bodies of functions are mutated, and
nothing in them that C wants to know when it compiles: case labels, sizes of arrays, static initialisers, enumerators.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from enum import Enum
from typing import TYPE_CHECKING

from harness.firmware.mutations import Change, changes_of

if TYPE_CHECKING:
    from tree_sitter import Node

_SHOWN = 90  # characters: more of the surroundings of a change is not shown
_COMPARISONS = frozenset({"<", "<=", ">", ">=", "==", "!="})
_UNSAFE = frozenset({"&&", "||", "/", "%"})  # to work them out as well could read or divide by what is not there
_DIVISIONS = frozenset({"/", "%"})
_TIMELESS = frozenset(  # known when it compiles, or no code
    {"case_value", "sizeof_expression", "alignof_expression", "offsetof_expression", "array_declarator",
     "type_descriptor", "enum_specifier", "struct_specifier", "union_specifier", "preproc_def",
     "preproc_function_def", "preproc_call", "preproc_include", "comment", "string_literal", "char_literal",
     "abstract_array_declarator", "gnu_asm_expression", "bitfield_clause"}
)  # fmt: skip
_ONCE = frozenset({"storage_class_specifier", "labeled_statement", "preproc_if", "preproc_ifdef", "preproc_def"})
_STATIC_ASSERTS = frozenset({"_Static_assert", "static_assert"})
_STOPS_SHOWING = ("statement", "declaration", "clause", "definition", "list")


class Form(Enum):
    """How a change is built in; the macros of schemata.h."""

    BINARY = "BH_BINARY"
    VALUE = "BH_VALUE"
    EITHER = "BH_EITHER"
    LEFT_OUT = "BH_LEFT_OUT"
    ASSIGNMENT = "BH_ASSIGNMENT"


@dataclass(frozen=True, slots=True)
class Rules:
    """What the sources of one firmware need: macros that are constantly 0 (seeded defects), and calls that are checks
    of the firmware's own and no function of it (asserts). Neither is mutated.
    """

    off: frozenset[str] = frozenset()
    checks: frozenset[str] = frozenset()


@dataclass(frozen=True, slots=True)
class Mutant:
    """One mutant. `original` and `mutated` are the smallest text that tells the change, on one line; "" = left out."""

    id: int
    file: str
    line: int
    column: int
    function: str
    operator: str
    original: str
    mutated: str

    @property
    def name(self) -> str:
        """`file:line:column operator original -> mutated`, stable as long as the source is."""
        change = f"{self.original} -> {self.mutated or '(left out)'}"
        return f"{self.file}:{self.line}:{self.column} {self.operator} {change}"


@dataclass(frozen=True, slots=True)
class Site:
    """Where and how a mutant is built in: bytes `start` to `end` of the source become a macro of schemata.h."""

    start: int
    end: int
    form: Form
    mutated: bytes
    body: tuple[int, int] = (0, 0)  # of the function; empty when it must stand in the text once only
    parts: tuple[tuple[int, int], ...] = ()  # of a binary: left and right; of an assignment: its target
    operators: tuple[bytes, bytes] = (b"", b"")


def find_mutants(text: bytes, file: str, rules: Rules = Rules(), *, first: int = 1) -> list[tuple[Mutant, Site]]:
    """Every mutant of one source, in the order of the text, numbered from `first`.

    Functions that the parser does not understand are left as they are.
    """
    import tree_sitter  # noqa: PLC0415 - needed only here
    import tree_sitter_c  # noqa: PLC0415 - see above

    tree = tree_sitter.Parser(tree_sitter.Language(tree_sitter_c.language())).parse(text)
    found: list[tuple[Mutant, Site]] = []
    for function in _functions(tree.root_node):
        finder = _Finder(text, file, function, rules)
        for number, (node, change) in enumerate(finder.changes(), first + len(found)):
            found.append((finder.mutant(number, node, change), replace(finder.site(node, change), body=finder.body)))
    return found


def _functions(node: Node) -> Iterator[Node]:
    for child in node.named_children:
        if child.type == "function_definition" and not child.has_error:
            yield child
        elif child.type.startswith("preproc_") or child.type == "linkage_specification":
            yield from _functions(child)


class _Finder:
    """The mutants of one function."""

    def __init__(self, text: bytes, file: str, function: Node, rules: Rules) -> None:
        self._text = text
        self._file = file
        self._rules = rules
        self._body = function.child_by_field_name("body")
        self._name = _declared_name(function)
        once = self._body is None or _holds(self._body, _ONCE)
        self.body = (0, 0) if once or self._body is None else (self._body.start_byte, self._body.end_byte)

    def changes(self) -> Iterator[tuple[Node, Change]]:
        """Each place with each of its changes."""
        if self._body is not None:
            yield from self._walk(self._body)

    def _walk(self, node: Node) -> Iterator[tuple[Node, Change]]:
        if self._is_left_alone(node):
            return
        assert self._body is not None
        for change in changes_of(node, self._body):
            if not self._is_switch(node):
                yield node, change
        off = self._off_branches(node)
        for place, child in enumerate(node.children):  # places count the unnamed ones, too
            label = node.type == "case_statement" and node.field_name_for_child(place) == "value"
            guard = node.type.startswith("preproc_") and node.field_name_for_child(place) in ("condition", "name")
            if child.is_named and not label and not guard and child.id not in off:
                yield from self._walk(child)

    def _is_left_alone(self, node: Node) -> bool:
        if node.type in _TIMELESS or self._value_of(node) is not None:
            return True
        if node.type == "declaration":
            return any(child.text in (b"static", b"extern") for child in node.children)
        call = node.named_children[0] if node.type == "expression_statement" and node.named_children else node
        return self._called(call) in self._rules.checks | _STATIC_ASSERTS

    def _is_switch(self, node: Node) -> bool:
        """One side of it is constant: the change would be one of a seeded defect."""
        sides = [node.child_by_field_name(name) for name in ("left", "right", "condition", "argument")]
        return any(self._value_of(side) is not None for side in sides if side is not None)

    def _off_branches(self, node: Node) -> set[int]:
        """Children that never run, because what switches them on is off."""
        condition = node.child_by_field_name("condition")
        value = None if condition is None else self._value_of(condition)
        if condition is None or value is None:
            return set()
        dead = node.child_by_field_name("alternative" if value else "consequence")
        return {condition.id} | ({dead.id} if dead is not None else set())

    def _value_of(self, node: Node) -> bool | None:
        """Whether an expression is true or false for the switches it has; None when it can be either."""
        if self._called(node) in self._rules.off and self._rules.off:
            return False
        if node.type == "parenthesized_expression" and node.named_child_count == 1:
            return self._value_of(node.named_children[0])
        if node.type == "unary_expression" and node.children[0].type == "!":
            value = self._value_of(node.named_children[0])
            return None if value is None else not value
        operator = _operator(node)
        if node.type != "binary_expression" or operator not in ("&&", "||"):
            return None
        values = [self._value_of(side) for side in _sides(node)]
        decides = operator == "||"
        if decides in values:
            return decides
        return None if None in values else not decides

    def _called(self, node: Node) -> str:
        function = node.child_by_field_name("function") if node.type == "call_expression" else None
        return "" if function is None else _string(function)

    # ---- one change

    def mutant(self, number: int, node: Node, change: Change) -> Mutant:
        """What is told of it."""
        shown = node if change.kind == "statement" else _surroundings(node)
        mutated = _replace(shown, node, change.text) if change.text or change.kind != "statement" else b""
        row, column = node.start_point
        told = (_line(shown.text or b""), _line(mutated))
        return Mutant(number, self._file, row + 1, column + 1, self._name, change.operator, *told)

    def site(self, node: Node, change: Change) -> Site:
        """How it is built in."""
        if change.kind == "statement":
            target = _only_target(node)
            if target is None:
                return Site(node.start_byte, node.end_byte, Form.LEFT_OUT, b"")
            return Site(
                node.start_byte, node.end_byte, Form.ASSIGNMENT, b"", parts=((target.start_byte, target.end_byte),)
            )
        if change.kind == "binary":
            return self._binary(node, change)
        wide = _widened(node)
        mutated = _replace(wide, node, change.text)
        pure = change.kind == "value" and _is_pure(wide)
        return Site(wide.start_byte, wide.end_byte, Form.VALUE if pure else Form.EITHER, mutated)

    def _binary(self, node: Node, change: Change) -> Site:
        """An operator is watched at the comparison it is part of, when both forms of that can be worked out."""
        left, right = _sides(node)
        wide = _widened(node)
        if change.other in _UNSAFE:
            return Site(node.start_byte, node.end_byte, Form.EITHER, change.text)
        if wide.id != node.id and _is_pure(wide):
            return Site(wide.start_byte, wide.end_byte, Form.VALUE, _replace(wide, node, change.text))
        operators = (_operator(node).encode(), change.other.encode())
        parts = ((left.start_byte, left.end_byte), (right.start_byte, right.end_byte))
        return Site(node.start_byte, node.end_byte, Form.BINARY, change.text, parts=parts, operators=operators)


def _widened(node: Node) -> Node:
    """The comparison a value is part of, if nothing but arithmetic lies between; else the place itself."""
    place, parent = node, node.parent
    while parent is not None and parent.type in ("parenthesized_expression", "cast_expression", "binary_expression"):
        operator = _operator(parent)
        if parent.type == "binary_expression":
            divisor = operator in _DIVISIONS and parent.child_by_field_name("right") == place
            if operator in ("&&", "||") or divisor:
                break
            if operator in _COMPARISONS:
                return parent
        place, parent = parent, parent.parent
    return node


def _is_pure(node: Node) -> bool:
    """Working it out changes nothing: no call, no assignment."""
    if node.type in ("call_expression", "assignment_expression", "update_expression"):
        return False
    return all(_is_pure(child) for child in node.named_children)


def _holds(node: Node, kinds: frozenset[str]) -> bool:
    return node.type in kinds or any(_holds(child, kinds) for child in node.named_children)


def _only_target(statement: Node) -> Node | None:
    """What a statement assigns to, when that is all it does."""
    inner = statement.named_children[0] if statement.named_children else statement
    if inner.type == "update_expression":
        target = inner.child_by_field_name("argument")
        return target if target is not None and _is_pure(target) else None
    if inner.type != "assignment_expression":
        return None
    left, right = _sides(inner)
    return left if _is_pure(left) and _is_pure(right) else None


def _surroundings(node: Node) -> Node:
    """As much of the expression around a change as makes it readable."""
    shown = node
    while shown.parent is not None and not shown.parent.type.endswith(_STOPS_SHOWING):
        if shown.parent.end_byte - shown.parent.start_byte > _SHOWN:
            break
        shown = shown.parent
    while shown.type == "parenthesized_expression" and shown.named_child_count == 1 and shown != node:
        shown = shown.named_children[0]
    return shown


def _replace(whole: Node, part: Node, text: bytes) -> bytes:
    """The text of `whole` with another text in place of `part`."""
    source = whole.text or b""
    begin = part.start_byte - whole.start_byte
    return source[:begin] + text + source[begin + part.end_byte - part.start_byte :]


def _sides(node: Node) -> tuple[Node, Node]:
    left, right = (node.child_by_field_name(name) for name in ("left", "right"))
    assert left is not None
    assert right is not None
    return left, right


def _operator(node: Node) -> str:
    operator = node.child_by_field_name("operator")
    return "" if operator is None else operator.type


def _declared_name(function: Node) -> str:
    node = function.child_by_field_name("declarator")
    while node is not None and node.type != "identifier":
        node = node.child_by_field_name("declarator")
    return "" if node is None else _string(node)


def _string(node: Node) -> str:
    return (node.text or b"").decode(errors="replace")


def _line(text: bytes) -> str:
    return " ".join(text.decode(errors="replace").split())
