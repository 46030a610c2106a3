"""What of a SavedModel's graph runs when, and where the name of a file that an op reads comes from."""

from __future__ import annotations

import enum
from collections import defaultdict
from collections.abc import Iterable, Iterator
from typing import TYPE_CHECKING

from kerasft.serving.servable_graph import asset_files, tensor_names

if TYPE_CHECKING:
    from tensorflow.core.framework.node_def_pb2 import NodeDef
    from tensorflow.core.protobuf.meta_graph_pb2 import MetaGraphDef

INIT_SIGNATURE = "__saved_model_init_op"
INIT_COLLECTIONS = ("saved_model_main_op", "legacy_init_op")
HANDS_ON = ("Identity",)
CALLS = ("PartitionedCall", "StatefulPartitionedCall")
# How a variable's handle may be used where its value is traced; any other use may change the value.
HANDLE_USES = ("ReadVariableOp", "VarIsInitializedOp", "AssignVariableOp")
# These write into the memory of their input, which others may read: no string is then what it was.
STRINGS = (7, 0)  # DT_STRING, and a type that whoever calls the function fills; numbers name no file
IN_PLACE = ("InplaceUpdate", "InplaceAdd", "InplaceSub", "_ParallelConcatUpdate")
RESOURCE = 20  # DT_RESOURCE
# How deep a search goes, where exporters need five and Python recurses a thousand deep, and steps of all of them.
DEEPEST, MOST_STEPS = 100, 2000


class Origin(enum.Enum):
    """Who gives a string: the loader, with the path of an asset or of the variables, or anybody else."""

    ASSET = "asset"
    VARIABLES = "variables"
    ELSEWHERE = "elsewhere"


class GraphFlow:
    """A meta graph with its functions, as loaders run it.

    A place is a function's name, or None for the main graph. Reachability errs towards more: a node or function that
    is said not to be reached is never run.

    Args:
        meta_graph: the one that is loaded.

    Attributes:
        asset_files: names below `assets/`.
        twice: how many functions have the name of another, of which it is not certain which is run.
        misnamed: functions that have the name of an op that is relied on to hand a value on.
    """

    def __init__(self, meta_graph: MetaGraphDef):
        self._meta_graph = meta_graph
        self._main = {node.name: node for node in meta_graph.graph_def.node}
        library = meta_graph.graph_def.library
        self._functions = {each.signature.name: each for each in library.function}
        self.twice = len(library.function) - len(self._functions)
        self.misnamed = sorted(self._functions.keys() & {*HANDS_ON, *HANDLE_USES, *CALLS, "VarHandleOp"})
        self._origin_cache: dict[tuple[str | None, str], set[Origin]] = {}
        self._depth = 0
        self._gradients = defaultdict(list)
        for gradient in library.gradient:
            self._gradients[gradient.function_name].append(gradient.gradient_func)
        self._callers: dict[str, list[tuple[str | None, NodeDef]]] = defaultdict(list)
        for caller, node in self.nodes():
            for name in self._called(node):
                self._callers[name].append((caller, node))
        self._overwrites = any(node.op in IN_PLACE and node.attr["T"].type in STRINGS for _, node in self.nodes())
        assets = asset_files(meta_graph)
        self.asset_files = [asset.filename for asset in assets]
        self._find_what_runs([_tensor(asset.tensor_info.name) for asset in assets])

    def _find_what_runs(self, assets: list[str]) -> None:
        meta_graph, saver = self._meta_graph, self._meta_graph.saver_def
        answering = [
            name
            for key, signature in meta_graph.signature_def.items()
            if key != INIT_SIGNATURE
            for name in tensor_names(signature.outputs.values())
        ]
        starting = [
            name
            for key, signature in meta_graph.signature_def.items()
            if key == INIT_SIGNATURE
            for name in tensor_names(signature.outputs.values())
        ]
        for key in INIT_COLLECTIONS:
            if key in meta_graph.collection_def:
                starting += meta_graph.collection_def[key].node_list.value
        answers, restores = self._upstream(answering), self._upstream([saver.restore_op_name])
        starts, saves = self._upstream(starting), self._upstream([saver.save_tensor_name])
        # The loader feeds an asset's path when it initialises, and that of the variables when it restores: run by
        # anything else, the same node gives what the model says.
        self._assets = {name for name in assets if name.partition(":")[0] not in answers | restores}
        filename = _tensor(saver.filename_tensor_name)
        self._filename = filename if filename.partition(":")[0] not in answers | starts else None
        # What can be swapped in for another (`api_implements`) counts as run, as does what Python can call by name.
        loose = [name for name, function in self._functions.items() if "api_implements" in function.attr]
        self._runs = answers | restores | starts
        self._called_functions = self._closure(
            [*self._functions_of(self._runs), *loose, *meta_graph.object_graph_def.concrete_functions]
        )
        self._saves, self._saving_functions = saves, self._closure(self._functions_of(saves))

    def nodes(self) -> Iterator[tuple[str | None, NodeDef]]:
        """Every node with its place."""
        for node in self._meta_graph.graph_def.node:
            yield None, node
        for function in self._meta_graph.graph_def.library.function:
            for node in function.node_def:
                yield function.signature.name, node

    def only_saves(self, function: str | None, node: NodeDef) -> bool:
        """Whether a node belongs to the saver alone, which no loader and no server runs."""
        if function is None:
            return node.name in self._saves and node.name not in self._runs
        return function in self._saving_functions and function not in self._called_functions

    def origins(self, function: str | None, node: NodeDef, index: int) -> set[Origin]:
        """Who gives the string that is a node's input, as far as it is only handed on; ELSEWHERE if it is computed."""
        if index >= len(node.input) or self._overwrites:
            return {Origin.ELSEWHERE}
        return self._origins(function, node.input[index])

    def _origins(self, function: str | None, tensor: str) -> set[Origin]:
        if (function, tensor) not in self._origin_cache:
            self._origin_cache[function, tensor] = {Origin.ELSEWHERE}  # so that a circle ends
            if len(self._origin_cache) < MOST_STEPS and self._depth < DEEPEST:
                self._depth += 1
                self._origin_cache[function, tensor] = self._trace(function, tensor)
                self._depth -= 1
        return self._origin_cache[function, tensor]

    def _trace(self, function: str | None, tensor: str) -> set[Origin]:
        if function is None:
            return self._trace_in_main(_tensor(tensor))
        definition = self._functions[function]
        arguments = [argument.name for argument in definition.signature.input_arg]
        if tensor in arguments:
            return self._trace_argument(function, arguments.index(tensor), len(arguments))
        node = next((node for node in definition.node_def if node.name == tensor.partition(":")[0]), None)
        if node is not None and node.op in HANDS_ON:
            return self.origins(function, node, 0)
        return {Origin.ELSEWHERE}

    def _trace_in_main(self, tensor: str) -> set[Origin]:
        if tensor in self._assets:
            return {Origin.ASSET}
        if tensor == self._filename:
            return {Origin.VARIABLES}
        node = self._main.get(tensor.partition(":")[0])
        if node is not None and node.op in HANDS_ON:
            return self.origins(None, node, 0)
        if node is not None and node.op == "ReadVariableOp":
            return self._trace_variable(node.input[0])
        return {Origin.ELSEWHERE}

    def _trace_argument(self, function: str, index: int, count: int) -> set[Origin]:
        if "api_implements" in self._functions[function].attr:
            return {Origin.ELSEWHERE}
        origins: set[Origin] = set()
        for caller, node in self._callers[function]:
            arguments = [name for name in node.input if not name.startswith("^")]
            if not self._only_calls(node, function) or len(arguments) != count:
                return {Origin.ELSEWHERE}
            origins |= self._origins(caller, arguments[index])
        objects = self._meta_graph.object_graph_def
        if function in objects.concrete_functions:  # Python calls it with objects of its own
            bound = objects.concrete_functions[function].bound_inputs
            position = index - (count - len(bound))
            valid = position >= 0 and 0 <= bound[position] < len(objects.nodes)
            kind = objects.nodes[bound[position]].WhichOneof("kind") if valid else None
            origins.add(Origin.ASSET if kind == "asset" else Origin.ELSEWHERE)
        return origins or {Origin.ELSEWHERE}

    def _trace_variable(self, handle: str) -> set[Origin]:
        """Of the value of a variable that the main graph alone assigns: TensorFlow 2 keeps an asset's path in one."""
        variable = self._main.get(handle.partition(":")[0])
        if variable is None or variable.op != "VarHandleOp" or self._has_alias(variable):
            return {Origin.ELSEWHERE}
        origins: set[Origin] = set()
        for node in self._main.values():
            positions = [i for i, name in enumerate(node.input) if name.partition(":")[0] == variable.name]
            if positions and (node.op not in HANDLE_USES or positions != [0]):
                return {Origin.ELSEWHERE}
            if positions and node.op == "AssignVariableOp":
                origins |= self.origins(None, node, 1)
        return origins or {Origin.ELSEWHERE}

    def _has_alias(self, variable: NodeDef) -> bool:
        """Whether another node may mean the same variable."""
        for _, node in self.nodes():
            if node.op == "VarHandleOp" and node is not variable:
                name = node.attr["shared_name"]
                if name.WhichOneof("value") not in ("s", None) or name.s == variable.attr["shared_name"].s:
                    return True
            if node.op in ("Const", "HostConst") and node.attr["dtype"].type == RESOURCE:
                return True
        return False

    def _only_calls(self, node: NodeDef, function: str) -> bool:
        """Whether a node's inputs are a function's arguments: it calls that one and hands no other on."""
        called = node.op if node.op not in CALLS else node.attr["f"].func.name
        return called == function and self._called(node) == {function}

    def _called(self, node: NodeDef) -> set[str]:
        """The functions that a node names, those among them that it hands to another function."""
        names = {node.op} if node.op in self._functions else set()
        values = list(node.attr.values())
        while values:
            value = values.pop()
            for function in [value.func] if value.HasField("func") else value.list.func:
                names.add(function.name)
                values += function.attr.values()
        return names

    def _functions_of(self, nodes: Iterable[str]) -> set[str]:
        return {name for node in nodes for name in self._called(self._main[node])}

    def _closure(self, names: Iterable[str]) -> set[str]:
        """Functions and all that they call."""
        closure, queue = set(), list(names)
        while queue:
            name = queue.pop()
            if name in closure or name not in self._functions:
                continue
            closure.add(name)
            queue += self._gradients[name]
            for node in self._functions[name].node_def:
                queue += self._called(node)
        return closure

    def _upstream(self, tensors: Iterable[str]) -> set[str]:
        """Nodes of the main graph that run where these tensors are fetched."""
        upstream, queue = set(), list(tensors)
        while queue:
            name = queue.pop().removeprefix("^").partition(":")[0]
            if name in self._main and name not in upstream:
                upstream.add(name)
                queue += self._main[name].input
        return upstream


def _tensor(name: str) -> str:
    """`node` and `node:0` are one tensor of the main graph."""
    return name if ":" in name else f"{name}:0"
