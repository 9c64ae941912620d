"""What a statement names and binds, by Python's own rules of scope."""

from __future__ import annotations

import ast
import re
from collections import defaultdict
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

Chain = tuple[str, ...]
"""A name and the attributes taken from it: `np.linalg.norm` is ("np", "linalg", "norm")."""

Target = tuple[str, Chain]
"""A module and the chain that starts in it; an empty chain is the module itself."""

_DOTTED = re.compile(r"[A-Za-z_]\w*(\.[A-Za-z_]\w*)*(:[A-Za-z_]\w*)?", re.ASCII)


@dataclass(slots=True)
class Scope:
    """One scope while it is read: chains looked up in it, names bound and imported in it, and what was already
    resolved by an import in it or further inside."""

    used: set[Chain] = field(default_factory=set)
    bound: set[str] = field(default_factory=set)
    imports: dict[str, set[Target]] = field(default_factory=lambda: defaultdict(set))
    stars: set[str] = field(default_factory=set)
    shared: set[str] = field(default_factory=set)
    resolved: set[Target] = field(default_factory=set)

    def close_into(self, outer: Scope, hides: bool) -> None:
        """Hands to the outer scope what this one does not bind. A class body hides nothing from its methods."""
        outer.resolved |= self.resolved
        for chain in self.used:
            root = chain[0]
            if root in self.imports:
                outer.resolved |= {(module, (*names, *chain[1:])) for module, names in self.imports[root]}
            elif not hides or root not in self.bound or root in self.shared:
                outer.used.add(chain)


class Reader(ast.NodeVisitor):
    """Collects into `scope` what the statements visited use and bind, and into `words` the texts that could be
    modules' names. `package` is what relative imports start from."""

    def __init__(self, package: str) -> None:
        self.package = package
        self.scope = Scope()
        self.words: set[str] = set()

    @contextmanager
    def inside(self, hides: bool) -> Iterator[Scope]:
        """A scope within the present one."""
        outer, self.scope = self.scope, Scope()
        yield self.scope
        self.scope.close_into(outer, hides)
        self.scope = outer

    def visit_Name(self, node: ast.Name) -> None:  # noqa: D102
        if isinstance(node.ctx, ast.Load):
            self.scope.used.add((node.id,))
        else:
            self.scope.bound.add(node.id)

    def visit_Constant(self, node: ast.Constant) -> None:  # noqa: D102
        if isinstance(node.value, str) and _DOTTED.fullmatch(node.value):
            self.words.add(node.value)

    def visit_Attribute(self, node: ast.Attribute) -> None:  # noqa: D102
        if chain := chain_of(node):
            self.scope.used.add(chain)
        else:
            self.generic_visit(node)

    def visit_FunctionDef(self, node: Any) -> None:  # noqa: D102
        self.scope.bound.add(getattr(node, "name", "<lambda>"))
        arguments: ast.arguments = node.args
        every = [*arguments.posonlyargs, *arguments.args, *arguments.kwonlyargs, arguments.vararg, arguments.kwarg]
        present = [argument for argument in every if argument]
        outside = [*arguments.defaults, *arguments.kw_defaults, *(argument.annotation for argument in present)]
        for part in (*outside, *getattr(node, "decorator_list", ()), getattr(node, "returns", None)):
            if part is not None:
                self.visit(part)
        with self.inside(hides=True) as scope:
            scope.bound.update(argument.arg for argument in present)
            for part in node.body if isinstance(node.body, list) else [node.body]:
                self.visit(part)

    visit_AsyncFunctionDef = visit_Lambda = visit_FunctionDef  # noqa: N815

    def visit_ClassDef(self, node: ast.ClassDef) -> None:  # noqa: D102
        self.scope.bound.add(node.name)
        for part in (*node.decorator_list, *node.bases, *node.keywords):
            self.visit(part)
        with self.inside(hides=False):
            for statement in node.body:
                self.visit(statement)

    def visit_ListComp(self, node: Any) -> None:  # noqa: D102
        first: ast.comprehension = node.generators[0]
        self.visit(first.iter)
        with self.inside(hides=True):
            self.generic_visit(node)

    visit_SetComp = visit_DictComp = visit_GeneratorExp = visit_ListComp  # noqa: N815

    def visit_Import(self, node: ast.Import) -> None:  # noqa: D102
        for alias in node.names:
            top = alias.name.split(".")[0]
            self.scope.imports[alias.asname or top].add((alias.name if alias.asname else top, ()))

    def visit_ImportFrom(self, node: ast.ImportFrom) -> None:  # noqa: D102
        above = self.package.split(".")[: len(self.package.split(".")) - node.level + 1] if node.level else []
        module = ".".join([*above, *filter(None, [node.module])])
        for alias in node.names:
            if alias.name == "*":
                self.scope.stars.add(module)
            else:
                self.scope.imports[alias.asname or alias.name].add((module, (alias.name,)))

    def visit_ExceptHandler(self, node: Any) -> None:  # noqa: D102
        self.scope.bound.update(filter(None, (getattr(node, "name", None), getattr(node, "rest", None))))
        self.generic_visit(node)

    visit_MatchAs = visit_MatchStar = visit_MatchMapping = visit_ExceptHandler  # noqa: N815

    def visit_Global(self, node: ast.Global | ast.Nonlocal) -> None:  # noqa: D102
        self.scope.shared.update(node.names)

    visit_Nonlocal = visit_Global  # noqa: N815


def chain_of(node: ast.expr) -> Chain | None:
    """The chain that an expression is, None for anything but names and attributes.

    >>> chain_of(ast.parse("np.linalg.norm", mode="eval").body)
    ('np', 'linalg', 'norm')
    """
    names: list[str] = []
    while isinstance(node, ast.Attribute):
        names.append(node.attr)
        node = node.value
    return (node.id, *reversed(names)) if isinstance(node, ast.Name) else None
