"""What `muslin check` found, as other programs read it: JSON, JUnit's XML, SARIF 2.1.0."""

from __future__ import annotations

import json
from typing import Any, Final
from xml.etree import ElementTree as ET

from muslin.cli.check_rules import Checked, Finding, Rule

__all__ = ["as_json", "as_junit", "as_sarif"]

_SARIF: Final = "https://json.schemastore.org/sarif-2.1.0.json"


def as_json(checked: Checked) -> str:
    """Files and findings, each with rule, severity, place, fix."""
    findings = [
        {
            "rule": each.rule.value,
            "severity": _severity(each),
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


def _severity(each: Finding) -> str:
    return "error" if each.rule.is_error else "warning"


def as_junit(checked: Checked) -> str:
    """One case for each file and rule; what is no error is a system-out of a case that passes."""
    cases = [(file, rule) for file in checked.files for rule in Rule]
    found = {case: [each for each in checked.findings if (each.place.file, each.rule) == case] for case in cases}
    failed = sum(bool(each) and rule.is_error for (_, rule), each in found.items())
    counts = {"tests": str(len(cases)), "failures": str(failed)}
    suites = ET.Element("testsuites", counts)
    suite = ET.SubElement(suites, "testsuite", {"name": "muslin check", **counts})
    for (file, rule), findings in found.items():
        case = ET.SubElement(suite, "testcase", {"classname": f"muslin.{rule.value}", "name": file})
        if not findings:
            continue
        text = "\n\n".join(_words(each) for each in findings)
        if rule.is_error:
            attributes = {"type": rule.value, "message": _printable(findings[0].what)}
            ET.SubElement(case, "failure", attributes).text = _printable(text)
        else:
            ET.SubElement(case, "system-out").text = _printable(text)
    ET.indent(suites)
    return ET.tostring(suites, "unicode", xml_declaration=True)


def _words(each: Finding) -> str:
    return f"{each.what}\n  where: {each.place}\n  fix:   {each.fix}"


def _printable(text: str) -> str:
    """Without characters that XML can't hold."""
    return "".join(each if each.isprintable() or each in "\n\t" else "\N{REPLACEMENT CHARACTER}" for each in text)


def as_sarif(checked: Checked) -> str:
    """For code scanning: a result each, at its line."""
    driver = {
        "name": "muslin check",
        "rules": [{"id": rule.value, "shortDescription": {"text": rule.sentence}} for rule in Rule],
    }
    results = [_result(each) for each in checked.findings]
    log = {"$schema": _SARIF, "version": "2.1.0", "runs": [{"tool": {"driver": driver}, "results": results}]}
    return json.dumps(log, indent=2, ensure_ascii=False)


def _result(each: Finding) -> dict[str, Any]:
    physical: dict[str, Any] = {"artifactLocation": {"uri": each.place.file or "."}}
    if each.place.line is not None:
        physical["region"] = {"startLine": each.place.line, "startColumn": each.place.column or 1}
    return {
        "ruleId": each.rule.value,
        "level": _severity(each),
        "message": {"text": f"{each.what}. {each.fix[:1].upper()}{each.fix[1:]}."},
        "locations": [{"physicalLocation": physical}],
    }
