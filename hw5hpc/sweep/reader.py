"""Read YAML: sweep files, profiles and the values of the command line, all by the same rules."""

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml
import yaml.reader
from yaml.nodes import MappingNode, Node, ScalarNode, SequenceNode

from hw5hpc.errors import brief
from hw5hpc.sweep import scalar

MOST_BYTES = 4_000_000
# Aliases repeat what they stand for: a small file can hold more than any memory.
MOST_VALUES = 500_000
MOST_LEVELS = 30


def read_file(path: Path) -> Any:
    """Return what stands in a YAML file.

    Raises:
        OSError: it cannot be read.
        ValueError: one line with the line, the key, what is wrong and what to write.
    """
    with path.open("rb") as file:
        content = file.read(MOST_BYTES + 1)
    if len(content) > MOST_BYTES:
        raise ValueError(f"takes at most {MOST_BYTES} bytes")
    try:
        text = content.decode("utf-8")
    except UnicodeDecodeError as error:
        line = content[: error.start].count(b"\n") + 1
        raise ValueError(f"line {line}: takes text in UTF-8, and these bytes are none") from error
    return _read(text, "", _Walk('"{}"', lines=True))


def read_word(key: str, text: str) -> Any:
    """Return the value of a command line's `key=text`.

    Raises:
        ValueError: one line with the key, what is wrong and what to write.
    """
    return _read(text, key, _Walk("'\"{}\"'", lines=False))


def _read(text: str, key: str, walk: "_Walk") -> Any:
    try:
        loader = _Loader(text)
        try:
            root = loader.get_single_node()
        finally:
            loader.dispose()
    except _Unread as error:
        inside = ".".join(word for word in (key, *error.path) if word)
        raise walk.error(error.event, inside, str(error)) from error
    except yaml.MarkedYAMLError as error:
        mark = error.problem_mark
        at = f"line {mark.line + 1}: " if mark and walk.lines else ""
        words = ", ".join(part for part in (error.context, error.problem) if part)
        raise ValueError(f"{_named(key)}broken YAML: {at}{_one_line(words)}") from error
    except yaml.reader.ReaderError as error:
        line = text.count("\n", 0, error.position) + 1
        shown = brief(text[error.position : error.position + 1])
        at = f"line {line}: " if walk.lines else ""
        raise ValueError(f"{at}{_named(key)}takes no control characters, got {shown}") from error
    except (yaml.YAMLError, ValueError, OverflowError) as error:
        raise ValueError(f"{_named(key)}broken YAML: {_one_line(error)}") from error
    return None if root is None else walk.value(root, key)


def _named(key: str) -> str:
    return f"key {brief(key)}: " if key else ""


def _one_line(error: object) -> str:
    return " ".join(str(error).split())[:200]


class _Unread(Exception):
    """A part of YAML that is not read here: its event, and the keys that lead to it."""

    def __init__(self, event: Any, path: tuple[str, ...], problem: str) -> None:
        super().__init__(problem)
        self.event, self.path = event, path


class _Loader(yaml.SafeLoader):
    """PyYAML's parser up to its nodes; their values are made by YAML 1.2's rules instead."""

    path: tuple[str, ...] = ()
    levels = 0

    def compose_node(self, parent: Node | None, index: Any) -> Node | None:
        event: Any = self.peek_event()  # type: ignore[no-untyped-call]
        before = self.path
        self.path += (index.value,) if isinstance(index, ScalarNode) else ()
        if getattr(event, "tag", None) is not None:
            problem = f"takes no YAML tags, got {brief(event.tag)}; leave it out"
            raise _Unread(event, self.path, problem)
        if self.levels > MOST_LEVELS:
            problem = f"takes at most {MOST_LEVELS} levels of lists and mappings"
            raise _Unread(event, self.path, problem)
        self.levels += 1
        node = super().compose_node(parent, index)
        self.levels -= 1
        self.path = before
        return node


@dataclass
class _Walk:
    """Turns nodes into values, and counts them; `quoted` shows how a word is put in quotes."""

    quoted: str
    lines: bool
    count: int = 0

    def error(self, node: Any, key: str, problem: str) -> ValueError:
        line = f"line {node.start_mark.line + 1}: " if self.lines else ""
        return ValueError(f"{line}{_named(key)}{problem}")

    def value(self, node: Node, key: str, level: int = 0) -> Any:
        self.count += 1
        if self.count > MOST_VALUES or level > MOST_LEVELS:
            most = f"{MOST_VALUES} values in {MOST_LEVELS} levels"
            raise self.error(node, key, f"takes at most {most}, aliases written out")
        if isinstance(node, MappingNode):
            return self._mapping(node, key, level)
        if isinstance(node, SequenceNode):
            return [self.value(item, key, level + 1) for item in node.value]
        return self._scalar(node, key)

    def _scalar(self, node: Node, key: str) -> Any:
        assert isinstance(node, ScalarNode)
        try:
            return scalar.plain_text(node.value) if node.style else self._plain(node.value)
        except ValueError as error:
            raise self.error(node, key, str(error)) from error

    def _plain(self, text: str) -> Any:
        return scalar.value(text, self.quoted)

    def _mapping(self, node: MappingNode, key: str, level: int) -> dict[str, Any]:
        made: dict[str, Any] = {}
        for name_node, item in node.value:
            name = self._name(name_node, key)
            if name in made:
                raise self.error(name_node, key, f"holds {brief(name)} twice")
            made[name] = self.value(item, f"{key}.{name}" if key else name, level + 1)
        return made

    def _name(self, node: Node, key: str) -> str:
        if not isinstance(node, ScalarNode):
            raise self.error(node, key, "takes words as keys, got a list or a mapping")
        if node.value == "<<" and not node.style:
            raise self.error(node, key, "takes no merge key '<<'; write its keys out")
        try:
            return scalar.plain_text(node.value)
        except ValueError as error:
            raise self.error(node, key, str(error)) from error
