"""Write THIRD_PARTY_NOTICES: the licence of every crate that is linked into the wheel.

Permissive licences ask for one thing, that their notice travels with the binary. The file is committed,
because a wheel built from the sdist or from a checkout must hold it too; `--check`, a gate, fails when it no
longer matches Cargo.lock.
"""

from __future__ import annotations

import argparse
import json
import re
import subprocess
import sys
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parent.parent
NOTICES = ROOT / "THIRD_PARTY_NOTICES"
# Wheels are built for this platform only; crates of other platforms are not in them.
TARGET = "x86_64-unknown-linux-gnu"
LICENCE_FILE = re.compile(r"(licen[cs]e|unlicense|copying|copyright|notice)([-_.].*)?", re.IGNORECASE)
NOT_LINKED = {"benches", "examples", "tests"}
RULE = "=" * 100
HEADER = """\
Hubpass is distributed under the MIT licence (see LICENSE). Its compiled module contains the Rust crates below
and the Rust standard library (https://github.com/rust-lang/rust, copyright The Rust Project Developers, used
under the MIT licence). Where a crate offers a choice that includes the MIT licence, Hubpass takes that one.
"""


def cargo(*arguments: str) -> str:
    command = ["cargo", *arguments, "--locked", "--features", "python"]
    return subprocess.run(command, cwd=ROOT, check=True, stdout=subprocess.PIPE, text=True).stdout


def linked_crates() -> list[dict[str, Any]]:
    """The packages whose code is in the compiled module: no build scripts, procedural macros or ourselves."""
    edges = ("--edges", "normal,no-proc-macro")
    tree = cargo("tree", "--target", TARGET, *edges, "--prefix", "none", "--format", "{p}")
    wanted = {tuple(line.split()[:2]) for line in tree.splitlines() if line}
    packages = json.loads(cargo("metadata", "--format-version", "1"))["packages"]
    linked = [package for package in packages if (package["name"], f"v{package['version']}") in wanted]
    return sorted(
        (package for package in linked if package["source"] is not None),
        key=lambda package: (package["name"], package["version"]),
    )


def licence_texts(package: dict[str, Any]) -> list[str]:
    """What the crate's authors ask to be passed on."""
    folder = Path(package["manifest_path"]).parent
    files = [
        path
        for path in sorted(folder.rglob("*"))
        if path.is_file()
        and path.suffix != ".rs"
        and LICENCE_FILE.fullmatch(path.name)
        and not NOT_LINKED.intersection(path.relative_to(folder).parts)
    ]
    alternatives = {part.strip() for part in re.split(r"\bOR\b|/", package["license"] or "")}
    if "MIT" in alternatives:
        mit = [path for path in files if path.name.upper().startswith("LICENSE-MIT")]
        others = ("LICENSE-APACHE", "LICENSE-ISC", "UNLICENSE")
        if mit:
            files = [path for path in files if path in mit or not path.name.upper().startswith(others)]
    if files:
        return [path.read_text("utf-8").replace("\r\n", "\n").strip() for path in files]
    if package["license"] != "MIT":
        sys.exit(f"third_party_notices: {package['name']} ships no licence text and is not simply MIT.")
    # Some authors name the licence without shipping its text; the text is always the same.
    permission = (ROOT / "LICENSE").read_text("utf-8").partition("Permission is hereby")
    return [f"Copyright (c) the authors of {package['name']}\n\n{permission[1]}{permission[2]}".strip()]


def notices() -> str:
    """The whole file. Crates that share a text, letter by letter, share an entry."""
    crates_by_text: dict[str, list[str]] = {}
    for package in linked_crates():
        label = f"{package['name']} {package['version']} ({package['license']})"
        for text in licence_texts(package):
            crates = crates_by_text.setdefault(text, [])
            if label not in crates:
                crates.append(label)
    entries = ["\n".join([RULE, *crates, RULE, "", text, ""]) for text, crates in crates_by_text.items()]
    return "\n".join([HEADER, *entries])


def main() -> None:
    parser = argparse.ArgumentParser(description="Write the licences of the linked crates.")
    parser.add_argument("--check", action="store_true", help="compare instead of writing")
    wanted = notices()
    if not parser.parse_args().check:
        NOTICES.write_text(wanted, "utf-8")
    elif not NOTICES.exists() or NOTICES.read_text("utf-8") != wanted:
        sys.exit("third_party_notices: THIRD_PARTY_NOTICES does not match Cargo.lock; run `make notices`.")


if __name__ == "__main__":
    main()
