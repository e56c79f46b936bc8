"""Mutants: change one operator, number or call of the library at a time, and see whether the nearest tests notice.

`python tests/mutants.py` (`make mutants`) draws a seeded sample of all changes that the operators below can make in
`lattices` (without CUDA), `quantizers`, `coding`, `metrics` and `fit/engine`. A mutant lives in memory alone: its module
is compiled from the changed syntax tree when it is imported, no file is touched. Of the tests that import the module, by
whatever way, the nearest few files run, those with the shortest way first, after the module's own doctests; the first
failure kills the mutant, and so does a crash or five times the time that the unchanged code takes.

Kernels: numba keeps machine code on disk and looks at the file of the outer function only. So for each mutant the code
of all modules that import the changed one, directly or through others, is compiled again and kept nowhere.

Why no tool from the shelf: mutmut passes over every decorated function, and here these are the kernels and properties;
cosmic-ray changes files in place, runs one test command for all and starts an interpreter (torch: seconds) a mutant.
"""

import argparse
import ast
import importlib.util
import json
import os
import random
import signal
import sys
import tempfile
import time
from collections import Counter, deque
from collections.abc import Callable, Iterator
from importlib.machinery import ModuleSpec, SourceFileLoader
from pathlib import Path
from typing import NamedTuple

ROOT = Path(__file__).resolve().parents[1]
ROOMS = ("lattices", "quantizers", "coding", "metrics", "fit/engine")
LEFT_OUT = ("lattices/search/cuda",)
NEAREST = 4  # test files a mutant
# Tests of mutants run in forked processes: those that start processes of their own would not see the change.
OPTIONS = ["-x", "-q", "--no-header", "--tb=line", "-p", "no:cacheprovider", "-m", "not slow and not heavy and not gpu"]
SWAPPED: dict[type, type] = {
    ast.Lt: ast.LtE, ast.LtE: ast.Lt, ast.Gt: ast.GtE, ast.GtE: ast.Gt, ast.Eq: ast.NotEq, ast.NotEq: ast.Eq,
    ast.Is: ast.IsNot, ast.IsNot: ast.Is, ast.In: ast.NotIn, ast.NotIn: ast.In, ast.And: ast.Or, ast.Or: ast.And,
    ast.Add: ast.Sub, ast.Sub: ast.Add, ast.Mult: ast.Add, ast.Div: ast.Mult, ast.FloorDiv: ast.Mult,
    ast.Mod: ast.FloorDiv, ast.Pow: ast.Mult, ast.LShift: ast.RShift, ast.RShift: ast.LShift,
    ast.BitAnd: ast.BitOr, ast.BitOr: ast.BitXor, ast.BitXor: ast.BitOr,
}  # fmt: skip
RENAMED = {"min": "max", "any": "all", "amin": "amax", "argmin": "argmax", "floor": "ceil", "minimum": "maximum"}
RENAMED |= {new: old for old, new in RENAMED.items()}
DROPPED = ("clamp", "clamp_min", "clamp_max", "clip", "abs", "detach")  # method calls without which a value remains


class Change(NamedTuple):
    """One way to change a syntax tree: where, what it is, and what makes it so, in place."""

    line: int
    what: str
    apply: Callable[[], None]


def changes(tree: ast.Module) -> Iterator[Change]:
    """Every change of the operators to a module; not to annotations, decorators, texts and what an error says."""
    nodes = deque([(tree, None)])
    while nodes:
        node, parent = nodes.popleft()
        yield from _changes(node, parent)
        for name, value in ast.iter_fields(node):
            if name in ("annotation", "returns", "decorator_list", "exc", "keywords" if isinstance(node, ast.ClassDef) else ""):
                continue
            children = value if isinstance(value, list) else [value]
            nodes.extend((child, node) for child in children if isinstance(child, ast.AST) and not _is_text(child))


def _is_text(node: ast.AST) -> bool:
    return isinstance(node, ast.JoinedStr) or (isinstance(node, ast.keyword) and node.arg == "strict")


def _changes(node: ast.AST, parent: ast.AST | None) -> Iterator[Change]:
    def change(what: str, **fields: object) -> Change:
        def apply() -> None:
            for name, value in fields.items():
                setattr(node, name, value)

        return Change(node.lineno, what, apply)

    match node:
        case ast.Compare(ops=[op, *rest]) if type(op) in SWAPPED:
            yield change(_said(op), ops=[SWAPPED[type(op)](), *rest])
        case ast.BinOp(op=op) | ast.AugAssign(op=op) | ast.BoolOp(op=op) if type(op) in SWAPPED:
            yield change(_said(op), op=SWAPPED[type(op)]())
        case ast.UnaryOp(op=ast.Not() | ast.USub()):
            yield change(f"without {type(node.op).__name__}", op=ast.UAdd() if isinstance(node.op, ast.USub) else _Truth())
        case ast.Constant(value=bool() as value):
            yield change(f"{value} → {not value}", value=not value)
        case ast.Constant(value=int() | float() as value):
            new = value + 1 if isinstance(value, int) or not value else 2 * value
            yield change(f"{value} → {new}", value=new)
        case ast.If(test=ast.Name() | ast.Attribute() | ast.Call() as test) if "TYPE_CHECKING" not in ast.dump(test):
            yield change("if not", test=ast.copy_location(ast.UnaryOp(ast.Not(), test), test))
        case ast.Expr(value=ast.Call()):
            yield change(f"without {ast.unparse(node.value)[:60]}", value=ast.copy_location(ast.Constant(None), node))
        case ast.Name(id=name) if name in RENAMED and isinstance(parent, ast.Call):
            yield change(f"{name} → {RENAMED[name]}", id=RENAMED[name])
        case ast.Attribute(attr=name) if name in RENAMED and isinstance(parent, ast.Call):
            yield change(f"{name} → {RENAMED[name]}", attr=RENAMED[name])
        case _:
            pass
    if isinstance(node, ast.Call):
        if isinstance(node.func, ast.Attribute) and node.func.attr in DROPPED:
            keep = ast.Name("_kept", ast.Load())
            keep = ast.copy_location(_lambda(), node)
            yield change(f"without .{node.func.attr}", func=keep, args=[node.func.value], keywords=[])
        if len(node.args) > 1 and not any(isinstance(each, ast.Starred) for each in node.args[:2]):
            one, two, *rest = node.args
            if ast.dump(one) != ast.dump(two):
                yield change(f"{ast.unparse(one)} ↔ {ast.unparse(two)}"[:60], args=[two, one, *rest])
