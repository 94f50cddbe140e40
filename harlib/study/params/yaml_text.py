"""YAML that people write: plain values alone, and every fault in one line.

Nothing in it is executed, and none costs more than a moment: the text's length, how deep it nests
and what its aliases unfold to are bounded while it is read.
"""

from pathlib import Path
from typing import Any

import yaml

from harlib import HarlibError

LONGEST = 100_000  # bytes; the names of Kinetics-700's categories are 15,000
DEEPEST = 20  # mappings and lists inside each other
MOST = 20_000  # values, those of aliases counted each time
_DIGITS = 40  # of a number
_PLAIN = {f"tag:yaml.org,2002:{kind}" for kind in ("null", "bool", "int", "float", "str", "seq",
                                                   "map", "merge")}  # fmt: skip
_NUMBERS = ("tag:yaml.org,2002:int", "tag:yaml.org,2002:float")


class YamlError(HarlibError):
    """A text that is no YAML of plain values; the message says why and in which line."""


class _Loader(yaml.SafeLoader):
    """Refuses while it reads; a date is a text here, as a folder may be called so."""

    yaml_implicit_resolvers = {
        first: [(tag, found) for tag, found in resolvers if tag in _PLAIN]
        for first, resolvers in yaml.SafeLoader.yaml_implicit_resolvers.items()
    }

    def __init__(self, text: str) -> None:
        super().__init__(text)
        self.depth, self.values = 0, 0
        self.unfolded: dict[int, int] = {}

    def compose_node(self, parent: yaml.Node | None, index: Any) -> yaml.Node | None:
        event = self.peek_event()
        mark = event.start_mark
        if getattr(event, "tag", None):
            raise YamlError(f"the tag {_short(event.tag)!r}: plain values alone{_at(mark)}")
        if self.check_event(yaml.AliasEvent):
            return self._alias(parent, index, mark)
        self._count(1, mark)
        before = self.values
        self.depth += 1
        if self.depth > DEEPEST:
            raise YamlError(f"nested more than {DEEPEST} deep{_at(mark)}")
        node = super().compose_node(parent, index)
        self.depth -= 1
        self.unfolded[id(node)] = 1 + self.values - before
        self._check(node)
        return node

    def _alias(self, parent: yaml.Node | None, index: Any, mark: Any) -> yaml.Node | None:
        node = super().compose_node(parent, index)
        if id(node) not in self.unfolded:
            raise YamlError(f"an alias inside of what it stands for{_at(mark)}")
        self._count(self.unfolded[id(node)], mark)
        return node

    def _count(self, values: int, mark: Any) -> None:
        self.values += values
        if self.values > MOST:
            raise YamlError(f"more than {MOST:,} values, its aliases unfolded{_at(mark)}")

    def _check(self, node: yaml.Node | None) -> None:
        if node is None:
            return
        if node.tag in _NUMBERS and len(node.value) > _DIGITS:
            raise YamlError(f"a number of {len(node.value):,} characters{_at(node.start_mark)}")
        if isinstance(node, yaml.MappingNode):
            seen: dict[str, yaml.Node] = {}
            for key, _ in node.value:
                if not isinstance(key, yaml.ScalarNode):
                    raise YamlError(f"a key is a name, no list or mapping{_at(key.start_mark)}")
                first = seen.setdefault(key.value, key)
                if first is not key:
                    raise YamlError(
                        f"key {_short(key.value)!r} is given twice, in line "
                        f"{first.start_mark.line + 1} and in line {key.start_mark.line + 1}: "
                        "leave one"
                    )


def parse(text: str) -> Any:
    """The plain value (number, text, list, mapping, …) that a text says.

    Raises:
        YamlError: it is no such mapping.
    """
    if len(text) > LONGEST:
        raise YamlError(f"{len(text):,} characters are too long; at most {LONGEST:,}")
    try:
        return yaml.load(text, _Loader)  # a SafeLoader
    except yaml.MarkedYAMLError as error:
        why = " ".join(filter(None, (error.context, error.problem)))
        if r"'\t'" in why:
            why = "a tab where YAML takes spaces alone"
        mark = error.problem_mark
        if "could not find expected ':'" in why:
            why, mark = "no `key: value`", error.context_mark
        raise YamlError(f"not YAML: {_short(why)}{_at(mark)}") from None
    except yaml.reader.ReaderError as error:
        line = text.count("\n", 0, error.position) + 1
        raise YamlError(
            f"not YAML: the character {_code(error.character)} in line {line} is no text"
        ) from None
    except (ValueError, OverflowError) as error:
        if isinstance(error, YamlError):
            raise
        raise YamlError(f"not YAML: {_short(str(error))}") from None


def read(file: Path) -> dict[str, Any]:
    """The mapping that a file holds; empty for an empty file.

    Raises:
        YamlError: it is no such mapping; the message names the file.
    """
    file = Path(file)
    try:
        content = file.read_bytes()
    except OSError as error:
        raise YamlError(f"{file}: cannot be read: {error.strerror}") from None
    try:
        if len(content) > LONGEST:
            raise YamlError(f"{len(content):,} bytes are too long; at most {LONGEST:,}")
        held = parse(content.decode("utf-8-sig"))
    except UnicodeDecodeError as error:
        line = content.count(b"\n", 0, error.start) + 1
        raise YamlError(f"{file}: line {line} is not UTF-8: save the file as UTF-8") from None
    except YamlError as error:
        raise YamlError(f"{file}: {error}") from None
    if not isinstance(held, dict | None):
        raise YamlError(f"{file}: holds {type(held).__name__}, expected `key: value` lines")
    return {str(key): value for key, value in (held or {}).items()}


def _at(mark: Any) -> str:
    return f" in line {mark.line + 1}, column {mark.column + 1}" if mark else ""


def _code(character: str | int) -> str:
    return f"U+{ord(character) if isinstance(character, str) else character:04X}"


def _short(text: str) -> str:
    text = " ".join(text.split())
    return text if len(text) <= 100 else f"{text[:97]}..."
