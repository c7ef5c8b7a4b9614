"""The agents that touch files: fileReadAgent and fileWriteAgent, below `Settings.file_root` only."""

from __future__ import annotations

import base64
import os
from collections.abc import Mapping

from perdure.agents.agent import AgentContext, Sample, agent
from perdure.agents.schema import anything, array, fields, flag, one_of, text
from perdure.errors import FinalError
from perdure.graph.javascript import to_string
from perdure.graph.sizes import MAX_VALUE_BYTES, Meter
from perdure.graph.values import UNDEFINED, Value, is_dict, is_list, js_truthy
from perdure.net import confined_files

MAX_FILE_BYTES = 20_000_000
"""Bytes of a file that is read or written."""

MAX_BUFFER_BYTES = 1_000_000
"""Bytes as a list of numbers, which takes many times the room."""


@agent(
    "fileReadAgent",
    description="Reads files",
    category="fs",
    inputs=fields(file=text("one file name"), array=array("several file names", text())),
    params=fields(
        "baseDir",
        baseDir=text("the folder of the files"),
        outputType=one_of("text", "base64"),
    ),
    output=fields(
        data=anything('for `file`: text, or {"type": "Buffer", "data": [bytes]} without outputType'),
        array=array("for `array`: as `data`, each"),
    ),
    samples=[
        Sample(
            inputs={"file": "greeting.txt"},
            params={"baseDir": "letters", "outputType": "text"},
            result={"data": "good morning\n"},
        )
    ],
)
def file_read(inputs: Value, params: Mapping[str, Value], context: AgentContext) -> Value:
    """Reads one file, {data}, or several, {array}.

    `baseDir` is a folder inside the worker's folder for files, or relative to it. Without `outputType`
    the result is the JSON form of GraphAI's Buffer; `stream` has no JSON form and is refused.
    Raises AgentError (``ENOENT: …``) for a missing file, FinalError for what may not be read.
    """
    folder = params.get("baseDir", UNDEFINED)
    if not js_truthy(folder):
        raise FinalError("fileReadAgent: params.baseDir is UNDEFINED!")
    kind = params.get("outputType", UNDEFINED)
    if kind == "stream":
        raise FinalError(
            "fileReadAgent: a stream cannot pass between agents", hint="use params.outputType text or base64"
        )
    files, file = inputs.get("array", UNDEFINED), inputs.get("file", UNDEFINED)
    if js_truthy(files):
        if not is_list(files):
            raise FinalError("fileReadAgent: inputs.array is not a list of file names")
        meter = Meter(MAX_VALUE_BYTES)
        return {"array": [_read(context, to_string(folder), name, kind, meter) for name in files]}
    if js_truthy(file):
        return {"data": _read(context, to_string(folder), file, kind)}
    raise FinalError("fileReadAgent no file")


def _read(context: AgentContext, folder: str, name: Value, kind: Value, meter: Meter | None = None) -> Value:
    path, parts = confined_files.locate(context.settings.file_root, folder, to_string(name))
    confined_files.check_grant(context.grant, "reads", parts)
    confined_files.check_apart(context.settings.file_root, parts, context.settings.data)
    content = confined_files.read(context.settings.file_root, path, parts, MAX_FILE_BYTES)
    if meter is not None:
        meter.add(len(content))
    if kind == "text":
        return content.decode("utf-8-sig", "replace")
    if kind == "base64":
        return base64.b64encode(content).decode()
    if len(content) > MAX_BUFFER_BYTES:
        raise FinalError(
            f"fileReadAgent: {name} has {len(content):,} bytes, more than {MAX_BUFFER_BYTES:,} as a list",
            hint="use params.outputType text or base64",
        )
    return {"type": "Buffer", "data": list(content)}


@agent(
    "fileWriteAgent",
    description="Writes a file",
    category="fs",
    inputs=fields(
        "file",
        file=text("the file name"),
        text=text("the new content"),
        buffer=anything('the new content as {"type": "Buffer", "data": [bytes]}'),
    ),
    params=fields(baseDir=text("the folder of the file")),
    output=fields(result=flag(), path=text(), dir=text(), file=text()),
    samples=[
        Sample(
            inputs={"file": "note.txt", "text": "remember the milk"},
            params={"baseDir": "/srv/files"},
            result={
                "result": True,
                "path": "/srv/files/note.txt",
                "dir": "/srv/files",
                "file": "note.txt",
            },
        )
    ],
)
def file_write(inputs: Value, params: Mapping[str, Value], context: AgentContext) -> Value:
    """Writes `text`, or else `buffer`, to a file: all of it or nothing, over what was there.

    Workers write only where their settings say so. A repetition after a crash writes the same again.
    Raises FinalError where writing is off or the path is out of bounds.
    """
    file, words, buffer = (inputs.get(key, UNDEFINED) for key in ("file", "text", "buffer"))
    if not js_truthy(file):
        raise FinalError("fileWriteAgent: inputs.file is UNDEFINED!")
    if not js_truthy(words) and not js_truthy(buffer):
        raise FinalError("fileWriteAgent: inputs.file and inputs.buffer are UNDEFINED!")
    if not context.settings.file_writes:
        raise FinalError(
            "fileWriteAgent: this worker does not let graphs write files",
            hint="start it with PERDURE_FILE_WRITES=1, and PERDURE_FILE_ROOT for the folder",
        )
    content = _bytes(buffer if words is None or words is UNDEFINED else words)
    if len(content) > MAX_FILE_BYTES:
        raise FinalError(f"fileWriteAgent: {len(content):,} bytes are more than {MAX_FILE_BYTES:,}")
    folder = params.get("baseDir", UNDEFINED)
    place = (to_string(folder), to_string(file)) if js_truthy(folder) else os.path.split(to_string(file))
    path, parts = confined_files.locate(context.settings.file_root, *place)
    confined_files.check_grant(context.grant, "writes", parts)
    confined_files.check_apart(context.settings.file_root, parts, context.settings.data)
    confined_files.write(context.settings.file_root, path, parts, content)
    return {"result": True, "path": path, "dir": os.path.dirname(path), "file": os.path.basename(path)}


def _bytes(content: Value) -> bytes:
    if isinstance(content, str):
        return content.encode("utf-8", "replace")
    data = content.get("data") if is_dict(content) and content.get("type") == "Buffer" else content
    if is_list(data) and all(isinstance(byte, int) and 0 <= byte <= 255 for byte in data):
        return bytes(data)
    raise FinalError('fileWriteAgent: the content is neither text nor {"type": "Buffer", "data": [bytes]}')
