"""Modules that moved are still found under their old names, with a warning, until version 0.2."""

__all__ = ["MOVED", "Moved", "install"]

import importlib
import sys
import warnings
from importlib.abc import Loader, MetaPathFinder
from importlib.machinery import ModuleSpec
from types import MappingProxyType, ModuleType

MOVED = MappingProxyType(
    {
        "workbench.tasks.catalogue": "workbench.models.load",
        "workbench.tasks.codec": "workbench.tasks.compress.codec",
        "workbench.tasks.fit": "workbench.fit",
        "workbench.tasks.fit.tokens": "workbench.fit.generator.tokens",
        "workbench.tasks.token_shards": "workbench.fit.generator.token_shards",
        "workbench.tasks.training_data": "workbench.tasks.runs.data",
        "workbench.lattices.registry": "workbench.lattices.codes.registry",
    }
)


class Moved(MetaPathFinder, Loader):
    """Finds a module under its old name: the one module, not a copy."""

    def __init__(self) -> None:
        self._specs: dict[str, ModuleSpec | None] = {}

    def find_spec(self, name: str, path: object = None, target: object = None) -> ModuleSpec | None:  # noqa: ARG002
        """A specification for an old name, nothing for others."""
        return ModuleSpec(name, self, is_package=name == "workbench.tasks.fit") if name in MOVED else None

    def create_module(self, spec: ModuleSpec) -> ModuleType:
        """The module under its new name."""
        warnings.warn(f"{spec.name} is {MOVED[spec.name]} now", DeprecationWarning, stacklevel=2)
        module = importlib.import_module(MOVED[spec.name])
        self._specs[spec.name] = module.__spec__
        return module

    def exec_module(self, module: ModuleType) -> None:
        """Give the module its own specification back; it has been executed."""
        if module.__spec__ is not None:
            module.__spec__ = self._specs.pop(module.__spec__.name)


def install() -> None:
    """Let old names be found."""
    if not any(isinstance(finder, Moved) for finder in sys.meta_path):
        sys.meta_path.append(Moved())
