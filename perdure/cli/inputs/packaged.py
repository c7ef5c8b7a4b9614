"""Files that come with the package, for people to copy: the examples and the start of a project."""

from __future__ import annotations

from pathlib import Path
from typing import Final

from perdure.cli import output
from perdure.errors import UsageError

_PACKAGE: Final = Path(__file__).parents[2]
EXAMPLES: Final = _PACKAGE / "examples"
STARTER: Final = _PACKAGE / "starter"


def copy(source: Path, target: Path) -> None:
    """Copies a folder's files and says which; files that exist stay as they are. Raises UsageError."""
    files = [file for file in sorted(source.rglob("*")) if file.is_file() and file.suffix != ".pyc"]
    for file in files:
        place = target / file.relative_to(source)
        try:
            place.parent.mkdir(parents=True, exist_ok=True)
            with place.open("xb") as stream:
                stream.write(file.read_bytes())
        except FileExistsError:
            output.note(f"{place}: exists, and stays as it is")
        except OSError as error:
            raise UsageError(f"{place}: cannot be written: {error.strerror}") from error
        else:
            output.result(str(place))
