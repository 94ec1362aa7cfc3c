"""Shows the settings of `tfvis_jax.config` in the API reference as what they are.

A field is declared as ``name: type = setting(default, help, ...)``. In the reference
its value is the default, and its description the help with choices and bounds.
"""

import ast
import importlib
from typing import Any

import griffe

from tfvis_jax import config_fields


class Settings(griffe.Extension):
    """Reads calls of `setting`."""

    def on_attribute_instance(
        self,
        *,
        node: ast.AST | griffe.ObjectNode,
        attr: griffe.Attribute,
        agent: griffe.Visitor | griffe.Inspector,
        **kwargs: Any,
    ) -> None:
        """Replaces the value of a field that is a setting, and describes it."""
        del agent, kwargs
        call = getattr(node, "value", None)
        if (
            attr.parent is None
            or not isinstance(call, ast.Call)
            or not isinstance(call.func, ast.Name)
            or call.func.id != "setting"
        ):
            return
        module = importlib.import_module(attr.parent.module.path)
        owner = getattr(module, attr.parent.name)
        known = config_fields.settings_of(owner)[attr.name]
        attr.docstring = griffe.Docstring(_description(known), parent=attr)
        default = call.args[0]
        attr.value = None
        if ast.unparse(default) != "dataclasses.MISSING":
            attr.value = griffe.get_expression(
                default, parent=attr.parent, parse_strings=False
            )


def _description(known: config_fields.Setting) -> str:
    """Returns what a setting means, what it may be, and what None stands for."""
    parts = [known.help]
    if known.choices:
        parts.append(f"One of {', '.join(known.choices)}.")
    if known.bounds():
        parts.append(f"Must be {known.bounds()}.")
    if known.unset:
        parts.append(f"None means {known.unset}.")
    return " ".join(parts)
