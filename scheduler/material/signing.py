"""Signing: a physiotherapist's name under what patients will read, put into course/signoff.yaml.

The command line and the pages sign with this. Nobody checks here whether the name and the number
stand in a register: whoever signs says so.
"""

import os
from collections.abc import Sequence
from datetime import date
from pathlib import Path

import scheduler
from scheduler.findings import wrong
from scheduler.material import Material
from scheduler.material.signoff import FILE, Signature, content_hash, signed
from scheduler.material.yamlfile import read_text

PACKAGE = Path(scheduler.__file__).resolve().parent


def refuse_shipped(folder: Path) -> None:
    """Say no to the course inside the program: an update would undo the signature.

    Raises:
        WrongInput: it is that one.

    """
    if folder.resolve().is_relative_to(PACKAGE):
        cure = "copy it, set PHYSIOPOST_COURSE to the copy, and sign that"
        raise wrong(folder, None, "is part of the installed program and stays unsigned", cure)


def sign(
    folder: Path, material: Material, things: Sequence[str], name: str, number: str, *, on: date
) -> Path:
    """Put signatures under what was read of a course; gives the file that they stand in.

    Raises:
        WrongInput: the file cannot be written, or has no room for a signature.

    """
    refuse_shipped(folder)
    new = [
        Signature(
            what=each,
            sha256=content_hash(material, each),
            name=name,
            registration=number,
            signed_on=on,
        )
        for each in things
    ]
    path = folder / FILE
    _write(path, signed(path, read_text(path) if path.exists() else "", new))
    return path


def _write(path: Path, text: str) -> None:
    """Put the new file in place of the old one, whole or not at all."""
    real = path.resolve()
    draft = real.with_name(f".{real.name}.{os.getpid()}")
    try:
        try:
            with draft.open("w", encoding="utf-8", newline="\n") as file:
                file.write(text)
                file.flush()
                os.fsync(file.fileno())
            if real.exists():
                draft.chmod(real.stat().st_mode)
            draft.replace(real)
        finally:
            draft.unlink(missing_ok=True)
    except OSError as error:
        reason = f"cannot be written ({(error.strerror or 'no reason given').lower()})"
        cure = "mend its permissions, or copy course/ and set PHYSIOPOST_COURSE to the copy"
        raise wrong(path, None, reason, cure) from None
