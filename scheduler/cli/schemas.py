"""schemas: what each file may hold, for editors that complete and check while you type.

The schemas come from the models that read the files, so they cannot say something else. An editor
sees one file at a time: what two files or two fields say together, only `check` knows.
"""

import json
from datetime import time
from pathlib import Path
from typing import Any

import click
from pydantic import TypeAdapter
from pydantic.json_schema import GenerateJsonSchema

from scheduler.cli.desk import PATH
from scheduler.findings import shown, writing
from scheduler.material.clinic import Clinic
from scheduler.material.countries import Country
from scheduler.material.evidence import Claim, Reference
from scheduler.material.lessons import BlockFront, CourseFile, LessonFront
from scheduler.roster.entries import Entry

FILES: dict[str, tuple[str, Any]] = {
    "course": ("course.yaml", CourseFile),
    "lesson": ("what stands above a lesson's text", LessonFront),
    "block": ("what stands above a block's text", BlockFront),
    "claims": ("claims.yaml", list[Claim]),
    "references": ("references.yaml", list[Reference]),
    "countries": ("countries.yaml", dict[str, Country]),
    "clinic": ("clinic.yaml", Clinic),
    "subscribers": ("subscribers.yaml", list[Entry]),
}


@click.command()
@click.option("--to", "folder", type=PATH, default=".schemas", show_default=True, help="Where to.")
def schemas(folder: Path) -> None:
    """Write a JSON Schema for each kind of file, as NAME.schema.json."""
    with writing(folder, "name another folder"):
        folder.mkdir(parents=True, exist_ok=True)
        for name in FILES:
            text = json.dumps(schema(name), ensure_ascii=False, indent=2) + "\n"
            (folder / f"{name}.schema.json").write_text(text, encoding="utf-8")
    line = f"# yaml-language-server: $schema={shown(folder)}/subscribers.schema.json"
    click.echo(f"{len(FILES)} schemas in {shown(folder)}; first line of a file to check: {line}")


def schema(name: str) -> dict[str, Any]:
    """The schema of one kind of file (JSON Schema 2020-12)."""
    title, kind = FILES[name]
    made = TypeAdapter(kind).json_schema(schema_generator=_AsWritten)
    return {"$schema": _AsWritten.schema_dialect, **made, "title": title}


class _AsWritten(GenerateJsonSchema):
    """Defaults as people write them: 09:30, without seconds."""

    def encode_default(self, dft: Any) -> Any:
        return f"{dft:%H:%M}" if isinstance(dft, time) else super().encode_default(dft)
