"""A SavedModel that reaches out of its graph is refused before anything of it runs; what loaders need is let pass."""

import shutil
from pathlib import Path

import pytest
import tensorflow as tf
import tensorflow_text as tf_text
from tensorflow.core.framework.op_def_pb2 import OpList
from tensorflow.core.protobuf.saved_model_pb2 import SavedModel
from tensorflow.python.client import pywrap_tf_session

from kerasft.check_servable import main as check_servable
from kerasft.errors import ServableError
from kerasft.inference.export import Export
from kerasft.serving.outside_ops import ATTRIBUTES, check_trusted, effect_by_name, outside_faults
from kerasft.serving.servable_graph import read_meta_graph
from kerasft.serving.server.loaded_model import LoadedModel
from kerasft.serving.server.loading import Loading
from kerasft.serving.server.options import from_arguments
from kerasft.serving.server.versions import Version

# Words in the names of inputs and attributes that may mean a file, an address or a program.
WORDS = """
    file filename filenames files path paths dir dirs directory logdir url urls uri address addresses server prefix
    prefixes pattern patterns ckpt checkpoint graph mlir module stream region descriptor target command library scheme
    spec source vocab
""".split()
# Ops with such words that were read and reach nothing.
JUDGED = """
    ApproxTopK BoostedTreesCreateQuantileStreamResource BoostedTreesFlushQuantileSummaries
    BoostedTreesQuantileStreamResourceAddSummaries BoostedTreesQuantileStreamResourceDeserialize
    BoostedTreesQuantileStreamResourceFlush BoostedTreesQuantileStreamResourceGetBucketBoundaries
    IsBoostedTreesQuantileStreamResourceInitialized CTCBeamSearchDecoder ConvertToSparseCoreCsrWrappedCooTensor
    ExperimentalSetStatsAggregatorDataset SetStatsAggregatorDataset NegTrain RegexFullMatch RegexReplace
    RegexSplitWithOffsets StaticRegexFullMatch StaticRegexReplace TensorArrayGrad TensorArrayGradV2 TensorArrayGradV3
    TensorArrayGradWithShape TensorSliceDataset WordpieceTokenizeWithOffsets XlaSelectAndScatter
""".split()


@pytest.fixture(scope="module")
def table(tmp_path_factory):
    """A SavedModel of TensorFlow 2 with a variable and a table that a file of its assets fills."""
    folder = tmp_path_factory.mktemp("table")
    (folder / "words.txt").write_text("oil\ngas\n")
    whole, number = tf.lookup.TextFileIndex.WHOLE_LINE, tf.lookup.TextFileIndex.LINE_NUMBER
    module = tf.Module()
    reader = tf.lookup.TextFileInitializer(str(folder / "words.txt"), tf.string, whole, tf.int64, number)
    module.table, module.scale = tf.lookup.StaticHashTable(reader, -1), tf.Variable(2.0)

    @tf.function(input_signature=[tf.TensorSpec([None], tf.string, name="text")], autograph=False)
    def answer(text):
        return {"id": tf.cast(module.table.lookup(text), tf.float32) * module.scale}

    tf.saved_model.save(module, str(folder / "1"), signatures={"serving_default": answer})
    return folder / "1"


@pytest.fixture(scope="module")
def table_of_tensorflow_1(tmp_path_factory):
    folder = tmp_path_factory.mktemp("table1")
    (folder / "words.txt").write_text("oil\ngas\n")
    v1 = tf.compat.v1
    whole, number = tf.lookup.TextFileIndex.WHOLE_LINE, tf.lookup.TextFileIndex.LINE_NUMBER
    with tf.Graph().as_default(), v1.Session() as session:
        text = v1.placeholder(tf.string, [None], name="text")
        reader = tf.lookup.TextFileInitializer(str(folder / "words.txt"), tf.string, whole, tf.int64, number)
        ids = tf.lookup.StaticHashTable(reader, -1).lookup(text)
        scale = v1.get_variable("scale", initializer=2.0)
        outputs = {"id": tf.cast(ids, tf.float32) * scale}
        session.run([v1.global_variables_initializer(), v1.tables_initializer()])
        v1.saved_model.simple_save(session, str(folder / "1"), {"text": text}, outputs, v1.tables_initializer())
    return folder / "1"


@pytest.fixture
def change(table, tmp_path):
    """Returns a function that copies the model and lets another change the copy's graph."""

    def make(edit, source: Path = table) -> Path:
        shutil.copytree(source, tmp_path / "m" / "1")
        file = tmp_path / "m" / "1" / "saved_model.pb"
        proto = SavedModel.FromString(file.read_bytes())
        edit(proto.meta_graphs[0])
        file.write_bytes(proto.SerializeToString())
        return file.parent

    return make


def faults(folder):
    return list(outside_faults(folder, read_meta_graph(folder)))


def add_node(nodes, name, op, *inputs, **attributes):
    node = nodes.add(name=name, op=op, input=inputs)
    for key, value in attributes.items():
        node.attr[key].s = value.encode()
    return node


def add_string(graph, name, value):
    node = add_node(graph.node, name, "Const")
    node.attr["dtype"].type = tf.string.as_datatype_enum
    node.attr["value"].tensor.CopyFrom(tf.make_tensor_proto(value))


def node_of(nodes, op):
    return next(node for node in nodes if node.op == op)


def writes_when_loaded(path):
    """A change by which the initialiser writes a file."""

    def edit(meta_graph):
        add_string(meta_graph.graph_def, "where", str(path))
        add_string(meta_graph.graph_def, "what", "here I was")
        add_node(meta_graph.graph_def.node, "evil", "WriteFile", "where", "what")
        init = meta_graph.signature_def["__saved_model_init_op"].outputs["__saved_model_init_op"].name
        next(node for node in meta_graph.graph_def.node if node.name == init).input.append("^evil")

    return edit


def test_every_op_of_the_registry_that_speaks_of_files_or_addresses_was_judged():
    assert tf_text.__version__  # its ops are in the registry
    ops = OpList.FromString(pywrap_tf_session.TF_GetBuffer(pywrap_tf_session.TF_GetAllOpList())).op
    assert len(ops) > 1900
    for op in ops:
        names = [argument.name for argument in op.input_arg] + [attribute.name for attribute in op.attr]
        if any(set(WORDS) & set(name.lower().split("_")) for name in names) and op.name not in {*JUDGED, *ATTRIBUTES}:
            assert effect_by_name(op.name), (op.name, names)


@pytest.mark.parametrize("op", [
    "WriteFile", "ReadFile", "MatchingFiles", "SaveV2", "MergeV2Checkpoints", "RestoreV2", "TextLineDataset",
    "ExperimentalCSVDataset", "TFRecordReaderV2", "DataServiceDatasetV4", "RpcCall", "RemoteCall", "_HostSend",
    "CollectiveReduceV3", "DebugNumericSummary", "ImmutableConst", "LoadAndRemapMatrix", "GenerateVocabRemapping",
    "DatasetFromGraph", "XlaCallModule", "EagerPyFunc", "WriteScalarSummary", "CreateSummaryFileWriter", "DumpTensor",
    "CalibrationStatisticsSaver", "SnapshotDatasetV2", "CacheDatasetV2", "RecordInput", "Skipgram", "SqlDataset",
    "Abort", "TPUCompile", "FileSystemSetConfiguration", "CopyHost",
])  # fmt: skip
def test_what_reaches_out_is_named_with_what_it_does(change, op):
    folder = change(lambda meta_graph: add_node(meta_graph.graph_def.node, "evil", op, "where"))
    (fault,) = faults(folder)
    assert fault.startswith(f"op {op} (node evil of the main graph) ")
    with pytest.raises(ServableError, match=rf"op {op} .*: not run; if you trust who made this model, add --trust"):
        check_trusted(folder)
    check_trusted(folder, trust=True)


@pytest.mark.parametrize("op", ["MatMul", "PartitionedCall", "HashTableV2", "ParseExampleV2", "AsString", "Print"])
def test_what_stays_in_the_graph_is_let_pass(change, op):
    assert not faults(change(lambda meta_graph: add_node(meta_graph.graph_def.node, "fine", op)))


def test_ops_of_functions_that_nobody_calls_count_too(change):
    def edit(meta_graph):
        function = meta_graph.graph_def.library.function.add()
        function.signature.name = "lonely"
        add_node(function.node_def, "evil", "ReadFile")

    assert faults(change(edit)) == ["op ReadFile (node evil of lonely) reads files"]


@pytest.mark.parametrize(("op", "attribute", "harmless", "harmful"), [
    ("PrintV2", "output_stream", "log(info)", "file:///home/me/.ssh/authorized_keys"),
    ("DecodeProtoV2", "descriptor_source", "bytes://abc\n", "/etc/passwd"),
    ("FixedUnigramCandidateSampler", "vocab_file", "", "/etc/passwd"),
])  # fmt: skip
def test_attributes_that_name_files(change, op, attribute, harmless, harmful):
    for value, told in ((harmless, 0), (harmful, 1)):
        folder = change(lambda meta: add_node(meta.graph_def.node, "it", op, **{attribute: value}))  # noqa: B023
        assert len(faults(folder)) == told, value
        shutil.rmtree(folder)

    def filled_by_the_caller(meta_graph):
        meta_graph.graph_def.node.add(name="it", op=op).attr[attribute].placeholder = "x"

    assert f"takes {attribute} from elsewhere" in faults(change(filled_by_the_caller))[0]


def test_tables_from_assets_and_the_saver_are_let_pass(table, table_of_tensorflow_1):
    for folder in (table, table_of_tensorflow_1):
        assert faults(folder) == []
        assert LoadedModel(folder).run("serving_default", {"text": ["gas"]})["id"].tolist() == [2.0]


def initializer(meta_graph):
    """The function of the main graph that fills the table, and the node that calls it."""
    functions = {function.signature.name: function for function in meta_graph.graph_def.library.function}
    for node in meta_graph.graph_def.node:
        function = functions.get(node.attr["f"].func.name)
        if function is not None and any(each.op == "InitializeTableFromTextFileV2" for each in function.node_def):
            return function, node
    raise AssertionError


def names_a_file_itself(meta_graph):
    add_string(meta_graph.graph_def, "passwords", "/etc/passwd")
    initializer(meta_graph)[1].input[0] = "passwords"


def names_a_file_within_the_function(meta_graph):
    function, _ = initializer(meta_graph)
    add_string_to = add_node(function.node_def, "passwords", "Const")
    add_string_to.attr["value"].tensor.CopyFrom(tf.make_tensor_proto("/etc/passwd"))
    node_of(function.node_def, "InitializeTableFromTextFileV2").input[1] = "passwords:output:0"


def names_a_file_for_python_alone(meta_graph):
    """Python binds objects to a function's arguments by itself: here a constant instead of the asset."""
    add_string(meta_graph.graph_def, "passwords", "/etc/passwd")
    objects = meta_graph.object_graph_def
    objects.nodes.add().constant.operation = "passwords"
    objects.concrete_functions[initializer(meta_graph)[0].signature.name].bound_inputs[0] = len(objects.nodes) - 1


def writes_the_variable_of_the_path(meta_graph):
    add_string(meta_graph.graph_def, "passwords", "/etc/passwd")
    variable = meta_graph.graph_def.node[1]
    assert variable.op == "VarHandleOp"
    add_node(meta_graph.graph_def.node, "again", "AssignVariableOp", variable.name, "passwords")


def writes_the_variable_by_another_name(meta_graph):
    shared = meta_graph.graph_def.node[1].attr["shared_name"].s.decode()
    add_node(meta_graph.graph_def.node, "alias", "VarHandleOp", shared_name=shared)


def lets_a_client_name_the_file(meta_graph):
    meta_graph.signature_def["serving_default"].inputs["file"].name = "asset_path_initializer:0"
    meta_graph.signature_def["serving_default"].outputs["done"].name = f"{initializer(meta_graph)[1].name}:0"


def writes_into_the_memory_of_the_path(meta_graph):
    add_node(meta_graph.graph_def.node, "over", "InplaceUpdate", meta_graph.graph_def.node[0].name)


def test_numbers_that_are_written_in_place_are_let_pass(change):
    """As in the caches of models that write."""

    def edit(meta_graph):
        node = meta_graph.graph_def.node.add(name="cache", op="InplaceUpdate", input=["Const"])
        node.attr["T"].type = tf.float32.as_datatype_enum

    assert not faults(change(edit))


def calls_the_function_through_another(meta_graph):
    """A function's node may call what its caller hands it; the caller's inputs are then not the arguments."""
    function, node = initializer(meta_graph)
    outer = meta_graph.graph_def.library.function.add()
    outer.signature.name = "outer"
    call = outer.node_def.add(name="call", op="StatefulPartitionedCall")
    call.attr["f"].placeholder = "g"
    node.attr["f"].func.attr["g"].func.name = function.signature.name
    node.attr["f"].func.name = "outer"


@pytest.mark.parametrize("edit", [
    names_a_file_itself, names_a_file_within_the_function, names_a_file_for_python_alone,
    writes_the_variable_of_the_path, writes_the_variable_by_another_name, lets_a_client_name_the_file,
    writes_into_the_memory_of_the_path, calls_the_function_through_another,
])  # fmt: skip
def test_a_table_of_any_other_file_is_refused(change, edit):
    fault, *_ = faults(change(edit))
    assert fault.startswith(("op InitializeTableFromTextFileV2 (", "op RestoreV2 (")) and fault.endswith("reads files")


def test_a_table_of_tensorflow_1_that_a_signature_fills_again_is_refused(change, table_of_tensorflow_1):
    """The loader gives the asset's path when it initialises; run by a signature, the path is what the model says."""

    def edit(meta_graph):
        output = meta_graph.signature_def["serving_default"].outputs["id"].name.partition(":")[0]
        init = node_of(meta_graph.graph_def.node, "InitializeTableFromTextFileV2").name
        next(node for node in meta_graph.graph_def.node if node.name == output).input.append(f"^{init}")

    (fault,) = faults(change(edit, table_of_tensorflow_1))
    assert "InitializeTableFromTextFileV2" in fault


@pytest.mark.parametrize("name", ["../../secret", "/etc/passwd", "gs://bucket/words", "a/../../words.txt", ""])
def test_an_asset_is_a_file_of_the_model(change, name):
    def edit(meta_graph):
        meta_graph.asset_file_def[0].filename = name

    assert faults(change(edit)) == [f"the asset {name!r} is no file of assets/"]


def test_an_asset_may_not_be_a_link_out_of_the_folder(change, tmp_path):
    folder = change(lambda meta_graph: None)
    (tmp_path / "secret").write_text("s")
    (folder / "assets" / "words.txt").unlink()
    (folder / "assets" / "words.txt").symlink_to(tmp_path / "secret")
    assert faults(folder) == ["assets/words.txt is a link out of the model's folder"]
    (tmp_path / "link").symlink_to(folder.parent)  # the whole folder may stand anywhere
    (folder / "assets" / "words.txt").unlink()
    (folder / "assets" / "words.txt").write_text("oil\n")
    assert faults(tmp_path / "link" / "1") == []


def test_a_function_may_not_have_the_name_of_an_op_that_hands_a_path_on(change):
    def edit(meta_graph):
        function = meta_graph.graph_def.library.function.add()
        function.signature.name = "Identity"

    (fault,) = faults(change(edit))
    assert fault.startswith("one of its functions has the name of the op Identity")


def test_a_path_that_is_handed_on_a_thousand_times_is_refused_and_not_followed(change):
    def edit(meta_graph):
        graph, (_, call) = meta_graph.graph_def, initializer(meta_graph)
        last = call.input[0]
        for number in range(1000):
            last = add_node(graph.node, f"step{number}", "Identity", last).name
        call.input[0] = last

    (fault,) = faults(change(edit))
    assert fault.startswith("op InitializeTableFromTextFileV2")


def test_restoring_is_for_the_loader_and_its_variables(change):
    def edit(meta_graph):
        add_string(meta_graph.graph_def, "other", "gs://bucket/variables")
        saver = meta_graph.saver_def
        restore = next(node for node in meta_graph.graph_def.node if node.name == saver.restore_op_name)
        restore.input[0] = "other"

    (fault,) = faults(change(edit))
    assert fault.startswith("op RestoreV2")


def test_the_saver_may_not_be_run_by_a_signature(change):
    def edit(meta_graph):
        meta_graph.signature_def["serving_default"].outputs["saved"].name = meta_graph.saver_def.save_tensor_name

    told = [fault.split(" (")[0] for fault in faults(change(edit))]
    assert {"op SaveV2", "op MergeV2Checkpoints"} <= set(told)


def test_the_saver_may_not_be_handed_to_a_function_that_is_run(change):
    def edit(meta_graph):
        saver = meta_graph.saver_def.save_tensor_name.partition(":")[0]
        function = next(node for node in meta_graph.graph_def.node if node.name == saver).attr["f"].func.name
        outer = meta_graph.graph_def.library.function.add()
        outer.signature.name = "outer"
        outer.node_def.add(name="call", op="StatefulPartitionedCall").attr["f"].placeholder = "g"
        node = meta_graph.graph_def.node.add(name="start", op="StatefulPartitionedCall")
        node.attr["f"].func.name = "outer"
        node.attr["f"].func.attr["g"].func.name = function
        meta_graph.signature_def["serving_default"].outputs["done"].name = "start:0"

    assert [fault.split(" (")[0] for fault in faults(change(edit))] == ["op SaveV2", "op MergeV2Checkpoints"]


def test_what_loaders_could_read_otherwise_is_refused(change, tmp_path):
    folder = change(lambda meta_graph: None)
    (folder / "saved_model.pbtxt").write_text("")
    assert "saved_model.pbtxt stands beside saved_model.pb" in faults(folder)[0]
    (folder / "saved_model.pbtxt").unlink()
    proto = SavedModel.FromString((folder / "saved_model.pb").read_bytes())
    evil = proto.meta_graphs.add()
    evil.CopyFrom(proto.meta_graphs[0])
    del proto.meta_graphs[0]
    proto.meta_graphs.add().CopyFrom(evil)
    evil = proto.meta_graphs[0]
    evil.meta_info_def.tags.append("serve")  # twice is once for loaders, and the first of its tags is what they take
    writes_when_loaded(tmp_path / "written")(evil)
    (folder / "saved_model.pb").write_bytes(proto.SerializeToString())
    assert "op WriteFile" in faults(folder)[0]


def test_no_program_runs_a_model_whose_initialiser_writes_a_file(change, tmp_path, capsys):
    written = tmp_path / "written"
    folder = change(writes_when_loaded(written))
    with pytest.raises(ServableError, match="op WriteFile"):
        LoadedModel(folder)
    with pytest.raises(ServableError, match="op WriteFile"):
        Export(folder, task=None).load()
    trusting, careful = (from_arguments({"trust": trust}) for trust in (True, None))
    with pytest.raises(ServableError, match="op WriteFile"):
        Loading(careful.trust).load(Version("m", 1, folder))
    for options in (["--run"], ["--trust"]):
        assert check_servable([str(folder), *options]) == (0 if options == ["--trust"] else 1)
    told = capsys.readouterr()
    assert "op WriteFile (node evil of the main graph) writes files" in told.err
    assert "add --trust" in told.err and "read and not run" in told.out
    assert not written.exists()
    Loading(trusting.trust).load(Version("m", 1, folder))[0].close()  # the model is what it seems to be
    assert written.read_text() == "here I was"


def test_check_servable_runs_a_model_without_rights(change, tmp_path, capsys):
    written = tmp_path / "written"
    folder = change(writes_when_loaded(written))
    code = check_servable([str(folder), "--run", "--trust"])
    told = capsys.readouterr().err
    if "could not take from it" not in told:
        assert code == 1 and "the C API cannot load it" in told
        assert not written.exists()
    assert not written.exists() or written.stat().st_size == 0  # a limit that every Unix has
