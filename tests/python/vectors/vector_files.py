"""The golden vectors of tests/vectors as Python objects, and what is wrong with an unclassified one.

The format is described in tests/vectors/README.md.
"""

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

DIRECTORY = Path(__file__).parents[2] / "vectors"

SHAPES = {
    "claim_name",
    "connection_string",
    "endpoint_argument",
    "endpoint_equality",
    "endpoint_name",
    "negotiate",
    "rest_send",
    "service_endpoint",
}

ROW_KEYS = {
    "id",
    "input",
    "status",
    "expect",
    "ours",
    "ours_code",
    "reason",
    "expect_snapshot",
    "note",
    "origin",
}


@dataclass(frozen=True)
class Row:
    """One input with the result that Hubpass must give."""

    id: str
    input: Any
    wanted: dict[str, Any]


def documents() -> dict[str, dict[str, Any]]:
    """Every vector file by its name."""
    return {path.name: json.loads(path.read_text("utf-8")) for path in sorted(DIRECTORY.glob("*.json"))}


def row_ids() -> list[str]:
    """The ids of all rows of all files, also of files of a shape that nothing runs."""
    return [row["id"] for document in documents().values() for row in document["rows"]]


def rows(shape: str) -> list[Row]:
    """The rows of every file of one shape, each with our result."""
    return [
        Row(row["id"], row["input"], wanted(row))
        for document in documents().values()
        if document["shape"] == shape
        for row in document["rows"]
    ]


def wanted(row: dict[str, Any]) -> dict[str, Any]:
    """Our result of a row: the official one unless the row says otherwise.

    The wording of an official error is not ours, so our code stands in its place.
    """
    ours = row["ours"] if row.get("status") == "differs" else row["expect"]
    result: dict[str, Any] = {"error": row["ours_code"]} if "ours_code" in row else ours
    return result


def faults_of_row(row: dict[str, Any]) -> list[str]:
    """What is wrong with the form of a row; nothing if every runner can rely on it."""
    faults = [f"unknown key {key}" for key in sorted(row.keys() - ROW_KEYS)]
    faults += [f"no {key}" for key in ("id", "input", "expect") if key not in row]
    status = row.get("status")
    if status == "run":
        faults += [f"{key} in a row that runs" for key in ("ours", "reason") if key in row]
        if ("error" in row.get("expect", {})) != ("ours_code" in row):
            faults.append("an error and ours_code belong together")
    elif status == "differs":
        if not str(row.get("reason", "")).strip():
            faults.append("differs without a reason")
        if row.get("ours") in (None, {}, row.get("expect")):
            faults.append("differs without a result of ours that differs")
        if "ours_code" in row:
            faults.append("ours_code in a row that differs")
    else:
        faults.append(f"unclassified: status {status!r}")
    return faults


def faults_of_document(name: str, document: dict[str, Any]) -> list[str]:
    """What is wrong with the form of a file or of its rows."""
    section = str(document.get("section", "")).lower()
    faults = [] if name == f"{section}.json" else ["the file is not named after its section"]
    if document.get("shape") not in SHAPES:
        faults.append(f"no runner reads the shape {document.get('shape')!r}")
    if not {"repository", "commit", "date", "files", "origin"} <= document.get("provenance", {}).keys():
        faults.append("the provenance is not complete")
    file_rows = document.get("rows", [])
    if not file_rows or len(file_rows) != document.get("count"):
        faults.append(f"{len(file_rows)} rows, but count is {document.get('count')}")
    for row in file_rows:
        faults += [f"{row.get('id')}: {fault}" for fault in faults_of_row(row)]
        if not str(row.get("id", "")).startswith(f"{section}-"):
            faults.append(f"{row.get('id')}: the id does not begin with the section")
    return faults
