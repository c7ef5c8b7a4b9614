from pathlib import Path

import pytest

from perdure.errors import FinalError
from perdure.local.models import SMOLLM2, chat_model


def test_a_name_is_a_pinned_model() -> None:
    assert chat_model("smollm2") is SMOLLM2


def test_a_path_is_a_model_of_its_own(tmp_path: Path) -> None:
    paths = [tmp_path / "a" / "Model.gguf", tmp_path / "b" / "Model.gguf"]
    for path in paths:
        path.parent.mkdir()
        path.write_bytes(b"GGUF\x03\0\0\0")
    first, second = (chat_model(str(path)) for path in paths)
    assert (first.title, first.own, first.weights(tmp_path)) == ("model", paths[0], paths[0])
    assert first.is_fetched(tmp_path)
    assert first.name != second.name


def test_other_names_and_files_are_refused(tmp_path: Path) -> None:
    with pytest.raises(FinalError, match=r"'smollm3' is neither(?s:.*)smollm2 or qwen2\.5-coder-0\.5b"):
        chat_model("smollm3")
    (tmp_path / "model.bin").write_bytes(b"PK\x03\x04")
    with pytest.raises(FinalError, match="is not a GGUF file"):
        chat_model(str(tmp_path / "model.bin"))
