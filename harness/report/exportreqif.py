# SPDX-License-Identifier: Apache-2.0
"""The coverage table as ReqIF, for requirement management tools: clauses, requirements, and which answers for which.

A specification per pack, one with all requirements of the rig, and a relation from each requirement to each clause it
answers for. Identifiers are made of the ids, so that an import of a later run finds its objects again.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any
from xml.sax.saxutils import escape

from reqif.models.reqif_core_content import ReqIFCoreContent
from reqif.models.reqif_data_type import (
    ReqIFDataTypeDefinitionBoolean,
    ReqIFDataTypeDefinitionEnumeration,
    ReqIFDataTypeDefinitionString,
    ReqIFEnumValue,
)
from reqif.models.reqif_namespace_info import ReqIFNamespaceInfo
from reqif.models.reqif_req_if_content import ReqIFReqIFContent
from reqif.models.reqif_reqif_header import ReqIFReqIFHeader
from reqif.models.reqif_spec_hierarchy import ReqIFSpecHierarchy
from reqif.models.reqif_spec_object import ReqIFSpecObject, SpecObjectAttribute
from reqif.models.reqif_spec_object_type import ReqIFSpecObjectType, SpecAttributeDefinition
from reqif.models.reqif_spec_relation import ReqIFSpecRelation
from reqif.models.reqif_spec_relation_type import ReqIFSpecRelationType
from reqif.models.reqif_specification import ReqIFSpecification
from reqif.models.reqif_specification_type import ReqIFSpecificationType
from reqif.models.reqif_types import SpecObjectAttributeType
from reqif.object_lookup import ReqIFObjectLookup
from reqif.reqif_bundle import ReqIFBundle
from reqif.unparser import ReqIFUnparser

from harness import __version__
from harness.report.clauses import STATUS_WORDS, reason_text, rows
from harness.report.text import margin_text

_STRING, _FLAG, _CHOICE = SpecObjectAttributeType.STRING, SpecObjectAttributeType.BOOLEAN, SpecObjectAttributeType.ENUMERATION  # fmt: skip # noqa: E501
_TEXT_TYPE, _FLAG_TYPE = "type-text", "type-flag"
_ENUMS: Mapping[str, Sequence[str]] = {
    "verdict": ("PASS", "FAIL", "ERROR", "INCONCLUSIVE", "NOT_EXERCISED", "NOT_JUDGED"),
    "status": tuple(STATUS_WORDS),
}
_LONGEST = "32000"  # characters of a text; the schema wants a number

# Attributes of the two kinds of object, by the name tools show; "ReqIF." names are those the exchange practice fixes.
_CLAUSE = {
    "ReqIF.ForeignID": _STRING, "ReqIF.Name": _STRING, "ReqIF.Text": _STRING, "Clause": _STRING, "Norm": _STRING,
    "Source": _STRING, "Assumption": _FLAG, "Applies to": _STRING, "Status": _CHOICE, "Verdict": _CHOICE,
    "Missing": _STRING, "Out of reach": _STRING,
}  # fmt: skip
_REQUIREMENT = {
    "ReqIF.ForeignID": _STRING, "ReqIF.Name": _STRING, "Kind": _STRING, "Source": _STRING, "Assumption": _FLAG,
    "Verdict": _CHOICE, "Exercised": _STRING, "Worst margin": _STRING, "Reason": _STRING,
}  # fmt: skip


def reqif_text(record: Mapping[str, Any], *, created: str) -> str:
    """The document. `created` is an ISO time with a zone, which every element of ReqIF must carry."""
    table = list(rows(record))
    clauses = {row.clause["id"]: (row.pack, row.clause) for row in table if row.clause and row.pack}
    requirements = {row.requirement["id"]: (row.requirement, row.verdict or {}) for row in table if row.requirement}
    objects = [
        *(_object("clause", _CLAUSE, name, _clause(*item), created) for name, item in clauses.items()),
        *(_object("requirement", _REQUIREMENT, name, _answer(*item), created) for name, item in requirements.items()),
    ]
    packs: dict[str, list[str]] = {pack["title"]: [c["id"] for c in pack["clauses"]] for pack in record["packs"]}
    specifications = [_specification(f"pack-{n}", title, "clause", names, created)
                      for n, (title, names) in enumerate(packs.items(), 1)]  # fmt: skip
    title = f"Requirements of {record['rig']}"
    specifications.append(_specification("requirements", title, "requirement", requirements, created))
    pairs = [(row.requirement["id"], row.clause["id"]) for row in table if row.clause and row.requirement]
    content = ReqIFReqIFContent(
        data_types=_data_types(created),
        spec_types=_spec_types(created),
        spec_objects=objects,
        spec_relations=[_relation(*pair, created) for pair in pairs] or None,
        specifications=specifications,
    )
    bundle = ReqIFBundle(
        namespace_info=ReqIFNamespaceInfo.create_default(),
        req_if_header=_header(record, created),
        core_content=ReqIFCoreContent(content),
        tool_extensions_tag_exists=False,
        lookup=ReqIFObjectLookup.empty(),
        exceptions=[],
    )
    text: str = ReqIFUnparser.unparse(bundle)
    return text


def _header(record: Mapping[str, Any], created: str) -> ReqIFReqIFHeader:
    return ReqIFReqIFHeader(
        identifier="bms-harness-coverage",
        comment=f"Coverage of clauses, outcome of the run {record['outcome']}, seed {record['seed']}",
        creation_time=created,
        req_if_tool_id=f"bms-harness {__version__}",
        req_if_version="1.0",
        source_tool_id=f"bms-harness {__version__}",
        title=_safe(str(record.get("title") or record["rig"])),
    )


def _data_types(created: str) -> list[Any]:
    enums = [
        ReqIFDataTypeDefinitionEnumeration(
            identifier=f"type-{name}",
            last_change=created,
            long_name=name,
            values=[
                ReqIFEnumValue(
                    identifier=f"{name}-{value}", key=str(key), last_change=created, other_content="", long_name=value
                )
                for key, value in enumerate(values)
            ],
        )
        for name, values in _ENUMS.items()
    ]
    text = ReqIFDataTypeDefinitionString(
        identifier=_TEXT_TYPE, last_change=created, long_name="text", max_length=_LONGEST
    )
    flag = ReqIFDataTypeDefinitionBoolean(identifier=_FLAG_TYPE, last_change=created, long_name="yes or no")
    return [text, flag, *enums]


def _spec_types(created: str) -> list[Any]:
    return [
        _object_type("clause", "Clause of a norm", _CLAUSE, created),
        _object_type("requirement", "Requirement of the rig", _REQUIREMENT, created),
        ReqIFSpecRelationType(identifier="type-answers", last_change=created, long_name="answers for"),
        ReqIFSpecificationType(
            identifier="type-specification", last_change=created, long_name="list", is_self_closed=True
        ),
    ]


def _object_type(
    kind: str, title: str, attributes: Mapping[str, SpecObjectAttributeType], created: str
) -> ReqIFSpecObjectType:
    return ReqIFSpecObjectType(
        identifier=f"type-{kind}",
        last_change=created,
        long_name=title,
        attribute_definitions=[
            SpecAttributeDefinition(
                attribute_type=attribute,
                identifier=_definition(kind, name),
                datatype_definition=_data_type(attribute, name),
                last_change=created,
                long_name=name,
                multi_valued=False if attribute is _CHOICE else None,
            )
            for name, attribute in attributes.items()
        ],
    )


def _data_type(attribute: SpecObjectAttributeType, name: str) -> str:
    return {_STRING: _TEXT_TYPE, _FLAG: _FLAG_TYPE}.get(attribute, f"type-{name.lower()}")


def _object(
    kind: str, attributes: Mapping[str, SpecObjectAttributeType], name: str, values: Mapping[str, str], created: str
) -> ReqIFSpecObject:
    return ReqIFSpecObject(
        identifier=f"{kind}-{name}",
        attributes=[
            SpecObjectAttribute(attribute, _definition(kind, key), _value(attribute, key, values[key]))
            for key, attribute in attributes.items()
            if values[key]
        ],
        spec_object_type=f"type-{kind}",
        last_change=created,
        long_name=escape(_safe(values["ReqIF.Name"] or name), {'"': "&quot;"}),  # the library escapes values only
    )


def _value(attribute: SpecObjectAttributeType, key: str, value: str) -> str | list[str]:
    return [f"{key.lower()}-{value}"] if attribute is _CHOICE else _safe(value)


def _clause(pack: Mapping[str, Any], clause: Mapping[str, Any]) -> dict[str, str]:
    return {
        "ReqIF.ForeignID": clause["id"],
        "ReqIF.Name": clause["title"],
        "ReqIF.Text": clause["asks"],
        "Clause": clause["clause"],
        "Norm": pack["norm"],
        "Source": "; ".join(clause["source"]),
        "Assumption": _flag(clause["assumption"]),
        "Applies to": ", ".join(clause["applies_to"]),
        "Status": clause["status"],
        "Verdict": clause["outcome"] or "NOT_JUDGED",
        "Missing": "; ".join(clause["missing"]),
        "Out of reach": clause["out_of_reach"] or "",
    }


def _answer(known: Mapping[str, Any], verdict: Mapping[str, Any]) -> dict[str, str]:
    return {
        "ReqIF.ForeignID": known["id"],
        "ReqIF.Name": known.get("title", ""),
        "Kind": known.get("kind", ""),
        "Source": "; ".join(known.get("source", ())),
        "Assumption": _flag(known["assumption"]) if "assumption" in known else "",
        "Verdict": verdict.get("outcome", "NOT_JUDGED"),
        "Exercised": f"must {verdict['must']}, must not {verdict['must_not']}" if verdict else "",
        "Worst margin": margin_text(verdict["margin"]) if verdict.get("margin") else "",
        "Reason": reason_text(verdict),
    }


def _relation(requirement: str, clause: str, created: str) -> ReqIFSpecRelation:
    return ReqIFSpecRelation(
        identifier=f"answers-{requirement}-{clause}",
        relation_type_ref="type-answers",
        source=f"requirement-{requirement}",
        target=f"clause-{clause}",
        last_change=created,
    )


def _specification(identifier: str, title: str, kind: str, names: Iterable[str], created: str) -> ReqIFSpecification:
    return ReqIFSpecification(
        identifier=f"specification-{identifier}",
        last_change=created,
        long_name=escape(_safe(title), {'"': "&quot;"}),
        specification_type="type-specification",
        children=[
            ReqIFSpecHierarchy(identifier=f"place-{kind}-{name}", spec_object=f"{kind}-{name}", level=1,
                               last_change=created, editable=None, is_table_internal=None)
            for name in names
        ],
    )  # fmt: skip


def _definition(kind: str, name: str) -> str:
    return f"{kind}-{name.lower().replace('.', '-').replace(' ', '-')}"


def _flag(value: bool) -> str:  # noqa: FBT001 - a word for a boolean
    return "true" if value else "false"


def _safe(text: str) -> str:
    """Without the characters that no XML document may hold."""
    return "".join(mark if mark.isprintable() or mark in "\n\t" else " " for mark in text)
