"""Show the comment beside a field of a named tuple as its description on the API pages."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import griffe


class FieldComments(griffe.Extension):
    """Gives each class attribute without a docstring the comment at the end of its line."""

    def on_attribute_instance(self, *, attr: griffe.Attribute, **_: Any) -> None:
        """See `griffe.Extension`; called when an attribute has been read."""
        if attr.docstring or not (attr.parent and attr.parent.is_class) or not attr.endlineno:
            return
        assert isinstance(attr.filepath, Path)  # a module is one file
        line = attr.lines_collection[attr.filepath][attr.endlineno - 1]
        comment = line.partition("  # ")[2].strip()
        if comment:
            attr.docstring = griffe.Docstring(comment[0].upper() + comment[1:], parent=attr)
