"""Operations by which a SavedModel reaches out of its graph: to files, networks, processes, or code that is not shown.

A SavedModel is a program. Whoever loads it runs its initialiser, whoever asks it runs its functions, and among
TensorFlow's operations are some that read and write any file of the user. The tables below come from a reading of the
whole op registry of TensorFlow 2.20 and tensorflow_text 2.20 (1,946 ops); `tests/serving/test_outside_ops.py` fails
where a registry has an op whose inputs or attributes speak of files or addresses and which nobody has judged.
"""

from __future__ import annotations

import functools
import re
from collections.abc import Iterator
from pathlib import Path, PurePosixPath
from typing import TYPE_CHECKING

from kerasft.errors import ServableError
from kerasft.serving.graph_flow import GraphFlow, Origin
from kerasft.serving.servable_graph import read_meta_graph

if TYPE_CHECKING:
    from tensorflow.core.framework.node_def_pb2 import NodeDef
    from tensorflow.core.protobuf.meta_graph_pb2 import MetaGraphDef

# What an op does -> the names of those that do it, as regular expressions.
_KINDS = {
    "reads files": """
        ReadFile (Experimental)?MatchingFiles(Dataset)? (WholeFile|TextLine|FixedLengthRecord|TFRecord|LMDB)Reader(V2)?
        (Experimental)?(CSV|LMDB|Sql|TextLine|TFRecord|FixedLengthRecord)Dataset(V2)? RecordInput Skipgram
        ImmutableConst LoadAndRemapMatrix GenerateVocabRemapping LoadDataset ListSnapshotChunksDataset
        SnapshotChunkDataset Snapshot(Nested)?DatasetReader
        (DTensor)?Restore(Slice|V2)? InitializeTableFromTextFile(V2)?
    """,
    "writes files": """
        WriteFile Save(Slices|V2)? MergeV2Checkpoints DistributedSave (Experimental)?DatasetToTFRecord SaveDataset(V2)?
        SnapshotDataset(V2)? CacheDataset(V2)? DumpTensor CalibrationStatisticsSaver
        CreateSummary(File|Db)Writer (Flush|Close)?SummaryWriter ImportEvent StatsAggregatorSetSummaryWriter
        Write(Audio|Graph|Histogram|Image|RawProto|Scalar)?Summary
        Debug(Identity(V2|V3)?|NanCount|NumericSummary) Copy(Host)?
    """,
    "reaches other processes or machines": r"""
        DataServiceDataset(V\d)? RegisterDataset(V2)? Rpc\w+ DeleteRpcFutureResource RemoteCall
        _?(Host)?(Send|Recv) Collective\w+ _?Nccl\w+ AllToAll CrossReplicaSum _?Xla(Send|Recv)\w* DTensor\w+
        FileSystemSetConfiguration
    """,
    "commands an accelerator or its worker": r"""
        \w*(TPU|Tpu)\w* Infeed\w+ Outfeed\w+ WorkerHeartbeat GetMinibatch\w+ StoreMinibatchStatisticsInFdo
        \w+ListOfSparseCoreCooTensors UpdateTaskIdAndGlobalCoreArray GlobalIterId
    """,
    "ends the process": "Abort",
    "runs a program that the graph does not show": r"""
        DatasetFromGraph DeserializeIterator XlaCallModule XlaCustomCall(V2)? XlaHostCompute MlirPassthroughOp
        RemoteFusedGraphExecute _Xla(Run|Compile|HostCompute)\w*
    """,
    "calls Python": "PyFunc(Stateless)? EagerPyFunc",
}
KINDS = {does: re.compile("|".join(names.split())) for does, names in _KINDS.items()}

# Ops that do so with some values of an attribute: op -> the attribute and the values that are harmless.
ATTRIBUTES = {
    "PrintV2": ("output_stream", re.compile(r"stdout|stderr|log\((info|warning|error)\)")),
    "FixedUnigramCandidateSampler": ("vocab_file", re.compile("")),
    "DecodeProtoV2": ("descriptor_source", re.compile("(local://|bytes://.*)?", re.DOTALL)),
    "EncodeProto": ("descriptor_source", re.compile("(local://|bytes://.*)?", re.DOTALL)),
}
# What every SavedModel has, for the loader and for nobody else.
SAVES = {"Save", "SaveSlices", "SaveV2", "MergeV2Checkpoints"}
RESTORES = {"Restore", "RestoreSlice", "RestoreV2"}
TABLES = {"InitializeTableFromTextFile": 1, "InitializeTableFromTextFileV2": 1}  # the input that names the file
# Other forms of saved_model.pb: which of two a loader takes is its own choice, and this check reads one.
OTHER_GRAPHS = ("saved_model.cpb", "saved_model.pbtxt")


def check_trusted(saved_model: Path, trust: bool = False) -> None:
    """Refuses a SavedModel that reaches out of its graph; nothing of it is run.

    Args:
        saved_model: a version folder.
        trust: the user vouches for the model, so that nothing is refused.

    Raises:
        ServableError: names the first of its operations that does.
        UserError: there is no SavedModel.
    """
    if trust:
        return
    for fault in outside_faults(saved_model, read_meta_graph(saved_model)):
        raise ServableError(f"{fault}: not run; if you trust who made this model, add --trust")


def outside_faults(saved_model: Path, meta_graph: MetaGraphDef) -> Iterator[str]:
    """A line for each kind of op by which a SavedModel reaches out of its graph, and for each file out of its folder.

    All ops count, of the main graph and of every function, whoever calls them. Three are let pass where they are what
    TensorFlow's own exporter writes: the saver, which nothing that is run reaches; the restoring of `variables/`, by
    the name that only the loader gives; and tables filled from a file of `assets/`.

    Args:
        saved_model: a version folder.
        meta_graph: of it, the one that is loaded.
    """
    for name in OTHER_GRAPHS:
        if (saved_model / name).exists():
            yield f"{name} stands beside saved_model.pb, so that it is not certain which graph a server loads"
    flow, reported = GraphFlow(meta_graph), set()
    if flow.twice:
        yield "two of its functions have the same name, so that it is not certain which is run"
    for name in flow.misnamed:
        yield f"one of its functions has the name of the op {name}, so that it is not certain which is run"
    for function, node in flow.nodes():
        does = effect(node)
        if does and node.op not in reported and not _belongs_to_loader(flow, function, node):
            reported.add(node.op)
            yield f"op {node.op} (node {node.name} of {function or 'the main graph'}) {does}"
    yield from _asset_faults(saved_model, flow.asset_files)


@functools.cache
def effect_by_name(op: str) -> str | None:
    """What an op does outside of the graph whatever its inputs and attributes are; None where it does nothing there."""
    return next((does for does, names in KINDS.items() if names.fullmatch(op)), None)


def effect(node: NodeDef) -> str | None:
    """What a node does outside of the graph; None where it does nothing there."""
    if (does := effect_by_name(node.op)) is not None:
        return does
    if node.op in ATTRIBUTES:
        name, harmless = ATTRIBUTES[node.op]
        # An attribute of a function's node may be a placeholder, which whoever calls the function fills.
        if name in node.attr and node.attr[name].WhichOneof("value") != "s":
            return f"takes {name} from elsewhere, which may name a file"
        value = node.attr[name].s.decode("utf-8", "replace") if name in node.attr else ""
        if value and not harmless.fullmatch(value):
            return f"reads or writes {value[:80]!r}"
    return None


def _belongs_to_loader(flow: GraphFlow, function: str | None, node: NodeDef) -> bool:
    if node.op in SAVES:
        return flow.only_saves(function, node)
    if node.op in RESTORES:
        return flow.origins(function, node, 0) == {Origin.VARIABLES}
    if node.op in TABLES:
        return flow.origins(function, node, TABLES[node.op]) == {Origin.ASSET}
    return False


def _asset_faults(saved_model: Path, files: list[str]) -> Iterator[str]:
    root = saved_model.resolve()
    for file in files:
        path = PurePosixPath(file)
        if not file or path.is_absolute() or ".." in path.parts or "://" in file or "\\" in file:
            yield f"the asset {file[:80]!r} is no file of assets/"
        elif not (saved_model / "assets" / path).resolve().is_relative_to(root):
            yield f"assets/{file[:80]} is a link out of the model's folder"
