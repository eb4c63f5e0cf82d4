"""What `muslin check` found, as other programs read it: JSON, JUnit's XML, SARIF 2.1.0."""

from __future__ import annotations

import json
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any, Final
from urllib.parse import quote
from xml.etree import ElementTree as ET

from muslin.cli.check_rules import Checked, Finding, Rule

__all__ = ["Case", "as_json", "as_junit", "as_sarif", "junit"]

_SARIF: Final = "https://json.schemastore.org/sarif-2.1.0.json"


def as_json(checked: Checked, *, strict: bool = False) -> str:
    """Files and findings, each with rule, severity, place, fix. With `strict` all of them are errors."""
    findings = [
        {
            "rule": each.rule.value,
            "severity": _severity(each, strict=strict),
            "what": each.what,
            "file": each.place.file,
            "line": each.place.line,
            "column": each.place.column,
            "path": each.place.path,
            "fix": each.fix,
            "source": each.source,
        }
        for each in checked.findings
    ]
    return json.dumps({"files": list(checked.files), "findings": findings}, indent=2, ensure_ascii=False)


def _severity(each: Finding, *, strict: bool) -> str:
    return "error" if each.rule.is_error or strict else "warning"


@dataclass(frozen=True, slots=True)
class Case:
    """One case of a JUnit report.

    Attributes:
        group: what JUnit calls its class.
        name: what was looked at.
        failure: (type, message) where it failed.
        text: in full.
        skipped: why nothing can be said.
    """

    group: str
    name: str
    failure: tuple[str, str] | None = None
    text: str = ""
    skipped: str | None = None


def junit(suite_name: str, cases: Iterable[Case]) -> str:
    """A report with one suite; the text of a case that does not fail is its output."""
    listed = list(cases)
    counts = {"tests": str(len(listed)), "failures": str(sum(each.failure is not None for each in listed))}
    skipped = sum(each.skipped is not None for each in listed)
    suites = ET.Element("testsuites", counts)
    suite = ET.SubElement(
        suites, "testsuite", {"name": suite_name, **counts, **({"skipped": str(skipped)} if skipped else {})}
    )
    for each in listed:
        case = ET.SubElement(suite, "testcase", {"classname": each.group, "name": _printable(each.name)})
        if each.failure is not None:
            kind, message = each.failure
            failure = ET.SubElement(case, "failure", {"type": kind, "message": _printable(message)})
            failure.text = _printable(each.text)
        elif each.skipped is not None:
            ET.SubElement(case, "skipped", {"message": _printable(each.skipped)})
        elif each.text:
            ET.SubElement(case, "system-out").text = _printable(each.text)
    ET.indent(suites)
    return ET.tostring(suites, "unicode", xml_declaration=True)


def as_junit(checked: Checked, *, strict: bool = False) -> str:
    """One case for each file and rule; what is no error is a system-out of a case that passes, unless `strict`."""
    cases = (_case(checked, file, rule, strict=strict) for file in checked.files for rule in Rule)
    return junit("muslin check", cases)


def _case(checked: Checked, file: str, rule: Rule, *, strict: bool) -> Case:
    found = [each for each in checked.findings if (each.place.file, each.rule) == (file, rule)]
    text = "\n\n".join(_words(each) for each in found)
    failure = (rule.value, found[0].what) if found and (rule.is_error or strict) else None
    return Case(f"muslin.{rule.value}", file, failure, text)


def _words(each: Finding) -> str:
    return f"{each.what}\n  where: {each.place}\n  fix:   {each.fix}"


def _printable(text: str) -> str:
    """Without characters that XML can't hold."""
    return "".join(each if each.isprintable() or each in "\n\t" else "\N{REPLACEMENT CHARACTER}" for each in text)


def as_sarif(checked: Checked, *, strict: bool = False) -> str:
    """For code scanning: a result each, at its line. With `strict` all of them are errors."""
    driver = {
        "name": "muslin check",
        "rules": [{"id": rule.value, "shortDescription": {"text": rule.sentence}} for rule in Rule],
    }
    results = [_result(each, strict=strict) for each in checked.findings]
    log = {"$schema": _SARIF, "version": "2.1.0", "runs": [{"tool": {"driver": driver}, "results": results}]}
    return json.dumps(log, indent=2, ensure_ascii=False)


def _result(each: Finding, *, strict: bool) -> dict[str, Any]:
    physical: dict[str, Any] = {"artifactLocation": {"uri": _uri(each.place.file or ".")}}
    if each.place.line is not None:
        physical["region"] = {"startLine": each.place.line, "startColumn": each.place.column or 1}
    return {
        "ruleId": each.rule.value,
        "level": _severity(each, strict=strict),
        "message": {"text": f"{each.what}. {_sentence(each.fix)}"},
        "locations": [{"physicalLocation": physical}],
    }


def _sentence(text: str) -> str:
    return text[:1].upper() + text[1:] + ("" if text.endswith(("?", ".")) else ".")


def _uri(file: str) -> str:
    """A file's name as a reference that code scanning takes: spaces, quotes and other letters in percents."""
    return quote(file, errors="surrogateescape")
