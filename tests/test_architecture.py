"""How the package is built, checked by its own source: who imports whom, sizes, and who reaches into Keras."""

from __future__ import annotations

import ast
import functools
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
PACKAGE = ROOT / "kerasft"

# Folders and files at the top of the package, from the programs down: imports point down this list only.
RANKS = (
    ("__main__",),
    ("cli",),
    ("launch",),  # takes the arguments of a training
    (
        "train",
        "evaluate",
        "predict",
        "chat",
        "export",
        "check_servable",
        "serve",
        "verify",
        "preflight",
        "inspect",
        "augment",
        "audit_labels",
        "init",
        "label",
        "merge",
        "continue",
    ),
    ("audit",),
    ("training_modes", "explain"),
    ("adapter",),
    ("augmentation_gain", "auditing", "extraction", "ensembles"),
    ("search", "compress", "continual", "cross_validation", "few_shots"),
    ("augmentation_texts",),
    ("augmentation_models",),
    ("session", "measure"),
    ("accelerators",),
    ("keras_models",),
    ("results",),
    ("named_runs",),
    ("publish",),
    ("run_card",),
    ("inference",),
    ("serving",),
    ("attribution",),
    ("training",),
    ("runs",),
    ("run_folder",),
    ("run_adapter",),
    ("assembly",),
    ("peft",),
    ("tasks",),
    ("prompting",),
    ("evaluation",),
    ("models",),
    ("distribution",),
    ("data",),
    ("kernels",),
    ("config",),
    ("console",),
    ("callable_module", "atomic", "json_lines", "versions", "paths", "printable", "invocation", "quoting"),
    ("callable_module", "atomic", "versions", "paths", "printable", "quoting", "invocation"),
    ("drafts",),
    ("callable_module", "atomic", "locks", "versions", "paths", "printable", "invocation"),
    ("errors",),
)
RANK = {room: rank for rank, rooms in enumerate(RANKS) for room in rooms}

FILE_LINES, FUNCTION_LINES, PARAMETERS = 250, 50, 7
# Pairs of folders that import each other, each with the reason why they still do.
FOLDER_CIRCLES: dict[tuple[str, str], str] = {}
# What is over a limit, and by how much it may be: none may grow, and one that no longer is over it must go from here.
LONG_FILES: dict[str, int] = {
    "kerasft/evaluation/metrics.py": 254,
    "kerasft/serving/capi.py": 264,
    "kerasft/training/optimizer.py": 256,
}
LONG_FUNCTIONS: dict[str, int] = {}
MANY_PARAMETERS: dict[str, int] = {
    "kerasft/kernels/operations.py:adam": 8,
    "kerasft/kernels/operations.py:attention": 8,
    "kerasft/kernels/operations.py:residual_norm": 8,
    "kerasft/predict.py:predict": 10,
    "kerasft/training/layers/packed_layers.py:_Decoder.call": 12,  # KerasHub's own signature
}

# Modules of `tasks/` that are the same for all of them, and what every section `task` has.
OF_ALL_TASKS = ("base", "registry", "watched")
SECTION = (
    "name", "batches_of_tokens", "half_at_most", "ragged", "fits_head", "grows", "grows_types", "calibrates", "writes",
)  # fmt: skip
ONE_TASK_A_FILE = "keras_models"  # each class there is the face of one task, by its own keys
# Files outside `tasks/` that ask which task something is of, each with the reason why they may.
KNOWS_TASKS: dict[str, str] = {
    "kerasft/models/presets/masked_lm_weights.py": "which task a saved head is of",
    "kerasft/compress/distil.py": "whether a student starts from a run of its own task",
    "kerasft/training/objectives/run_teacher.py": "whether a teacher is of the student's task",
    "kerasft/prompting/entailment.py": "whether a preset is a run that classifies pairs",
    "kerasft/prompting/registry.py": "which task a preset was trained for; a method of prompting has its name",
    "kerasft/training/starts.py": "which task a saved head is of",
}

# Files that reach into Keras, KerasHub or another package by a private name, each with what it needs there.
PRIVATE: dict[str, str] = {
    "kerasft/data/sources/pip_fetch.py": "pip's finder of packages",
    "kerasft/data/tables/digest.py": "the type of hashlib's objects",
    "kerasft/distribution/coordination.py": "TensorFlow's coordination service",
    "kerasft/models/blocks.py": "all layers within a layer",
    "kerasft/models/generation/cached_decoder.py": "parts of KerasHub's decoder layers",
    "kerasft/models/generation/cached_encoder_decoder.py": "parts of KerasHub's BART and T5 layers",
    "kerasft/models/generation/four_bit_weights.py": "all layers within a model",
    "kerasft/models/generation/held_weights.py": "all layers within a model",
    "kerasft/models/layer_classes.py": "the classes of DeBERTa's layers",
    "kerasft/models/presets/gguf_llama.py": "parts of KerasHub's Llama layers",
    "kerasft/models/presets/keras_presets.py": "how KerasHub finds the files of a preset",
    "kerasft/models/presets/layer_settings.py": "how KerasHub's layers are made and named",
    "kerasft/models/savable.py": "all layers within a model",
    "kerasft/models/tokenizers/byte_level_tokenizer.py": "special tokens of KerasHub's tokenizers",
    "kerasft/models/tokenizers/sentence_piece.py": "the model in TensorFlow Text's tokenizer",
    "kerasft/peft/bottleneck.py": "all layers within a layer",
    "kerasft/peft/layernorm.py": "all layers within a model",
    "kerasft/peft/packed_kernels.py": "what a Keras variable holds",
    "kerasft/peft/prefix.py": "parts of Keras' and KerasHub's attention",
    "kerasft/peft/staying.py": "all layers within a model",
    "kerasft/peft/targets.py": "all layers within a model",
    "kerasft/serving/formats/huggingface.py": "all layers within a model",
    "kerasft/training/layers/compiled_activations.py": "all layers within a model",
    "kerasft/training/layers/deferred_rows.py": "calls of a layer in a functional model",
    "kerasft/training/layers/first_token.py": "calls of a layer in a functional model, parts of encoder layers",
    "kerasft/training/layers/fused_layers.py": "all layers within a model",
    "kerasft/training/layers/kernel_layers.py": "parts of KerasHub's encoder layers",
    "kerasft/training/layers/packed_layers.py": "calls of a layer in a functional model, DeBERTa's layers",
    "kerasft/training/layers/perturbed_embeddings.py": "all layers within a model",
    "kerasft/training/layers/plain_layers.py": "parts of Keras' attention",
    "kerasft/training/layers/rematerialize.py": "XLA's optimization barrier",
    "kerasft/training/objectives/relations.py": "all layers within a model, parts of KerasHub's encoder layers",
    "kerasft/training/optimizer.py": "Keras' optimizer",
}


@functools.cache
def parsed() -> dict[str, ast.Module]:
    """File, from the repository's root -> its source."""
    files = sorted(PACKAGE.rglob("*.py"))
    return {str(file.relative_to(ROOT)): ast.parse(file.read_text(encoding="utf-8")) for file in files}


def room(file_or_module: str) -> str:
    """`kerasft/data/tables/table.py` or `kerasft.data.tables.table` -> `data`; the package itself -> ``."""
    parts = file_or_module.removesuffix(".py").replace("/", ".").split(".")[1:]
    return parts[0] if parts and parts[0] != "__init__" else ""


@functools.cache
def modules() -> frozenset[str]:
    return frozenset(file.removesuffix(".py").removesuffix("/__init__").replace("/", ".") for file in parsed())


@functools.cache
def imports() -> dict[str, tuple[str, ...]]:
    """Modules of the package that each file imports, lazily or not; what only a type checker reads is left out."""
    return {file: tuple(_imports(tree)) for file, tree in parsed().items()}


def _imports(tree: ast.Module) -> Iterator[str]:
    found = list(ast.walk(tree))
    unread = {id(inner) for node in found if _for_types(node) for inner in ast.walk(node)}
    for node in found:
        if id(node) in unread:
            continue
        if isinstance(node, ast.ImportFrom) and node.module and node.module.split(".")[0] == "kerasft":
            inner = (f"{node.module}.{alias.name}" for alias in node.names)
            yield from (module if module in modules() else node.module for module in inner)
        elif isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names if alias.name.split(".")[0] == "kerasft")


def _for_types(node: ast.AST) -> bool:
    return isinstance(node, ast.If) and isinstance(node.test, ast.Name) and node.test.id == "TYPE_CHECKING"


def test_every_folder_and_file_has_its_rank():
    rooms = {room(file) for file in parsed()} - {""}
    assert rooms == set(RANK), sorted(rooms ^ set(RANK))


def test_imports_point_down():
    """The package's own name and version are everybody's; what it offers is imported when it is asked for."""
    upward = [
        f"{file} imports {module}"
        for file, found in imports().items()
        for module in found
        if room(file) and room(module) and room(file) != room(module) and RANK[room(file)] >= RANK[room(module)]
    ]
    assert upward == []


def test_no_two_folders_import_each_other():
    """Below the ranks, too: not the folders within a folder."""
    arrows: dict[str, set[str]] = {}
    for file, found in imports().items():
        folder = str(Path(file).parent)
        for module in found:
            path = Path(*module.split("."))
            other = str(path if (ROOT / path).is_dir() else path.parent)
            if other != folder and "kerasft" not in (folder, other):  # files at the top have ranks of their own
                arrows.setdefault(folder, set()).add(other)
    both = {tuple(sorted((one, other))) for one, to in arrows.items() for other in to if one in arrows.get(other, ())}
    assert both - FOLDER_CIRCLES.keys() == set()
    assert FOLDER_CIRCLES.keys() - both == set(), "a circle that is gone must go from the table, too"


def functions(tree: ast.Module) -> Iterator[tuple[str, ast.FunctionDef | ast.AsyncFunctionDef]]:
    """Name with that of its class -> each function that stands by itself or in a class."""

    def within(body: list[ast.stmt], before: str) -> Iterator[tuple[str, ast.FunctionDef | ast.AsyncFunctionDef]]:
        for node in body:
            if isinstance(node, ast.ClassDef):
                yield from within(node.body, f"{before}{node.name}.")
            elif isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef)):
                yield f"{before}{node.name}", node

    yield from within(tree.body, "")


def lines_without_docstring(node: ast.FunctionDef | ast.AsyncFunctionDef) -> int:
    docstring = node.body[0] if ast.get_docstring(node) is not None else None
    told = docstring.end_lineno - docstring.lineno + 1 if docstring is not None else 0
    return node.end_lineno - node.lineno + 1 - told


def parameters(node: ast.FunctionDef | ast.AsyncFunctionDef) -> int:
    named = [*node.args.posonlyargs, *node.args.args, *node.args.kwonlyargs]
    return len([arg for arg in named if arg.arg not in ("self", "cls")])


def check(found: dict[str, int], limit: int, known: dict[str, int]) -> None:
    over = {name: size for name, size in found.items() if size > known.get(name, limit)}
    assert over == {}, f"more than {limit}: {over}"
    stale = {name: size for name, size in known.items() if found.get(name, 0) <= limit}
    assert stale == {}, f"these are within the limit now, or gone: take them out of the table: {stale}"


def test_files_are_short():
    sizes = {file: len((ROOT / file).read_text(encoding="utf-8").splitlines()) for file in parsed()}
    check(sizes, FILE_LINES, LONG_FILES)


def test_functions_are_short():
    """A docstring does not count."""
    found = {
        f"{file}:{name}": lines_without_docstring(node)
        for file, tree in parsed().items()
        for name, node in functions(tree)
    }
    check(found, FUNCTION_LINES, LONG_FUNCTIONS)


def test_functions_have_few_parameters():
    found = {f"{file}:{name}": parameters(node) for file, tree in parsed().items() for name, node in functions(tree)}
    check(found, PARAMETERS, MANY_PARAMETERS)


def own_private_names() -> set[str]:
    """Names with one underscore before them that are made somewhere in the package."""
    names = {"_asdict", "_replace", "_fields"}  # of named tuples
    for tree in parsed().values():
        for node in ast.walk(tree):
            if isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef, ast.ClassDef)):
                names.add(node.name)
            elif isinstance(node, ast.Attribute) and isinstance(node.ctx, ast.Store):
                if isinstance(node.value, ast.Name) and node.value.id in ("self", "cls", "_traced", "_held"):
                    names.add(node.attr)
            elif isinstance(node, ast.Name) and isinstance(node.ctx, ast.Store):
                names.add(node.id)
    return names


def reaches_into_others() -> dict[str, set[str]]:
    """File -> the private names of other packages that it uses."""
    own, found = own_private_names(), {}
    for file, tree in parsed().items():
        names = set()
        for node in ast.walk(tree):
            if isinstance(node, ast.Attribute) and node.attr.startswith("_") and not node.attr.startswith("__"):
                names |= {node.attr} - own
            elif isinstance(node, ast.ImportFrom) and node.module:
                names |= {node.module} if {"src", "python"} & set(node.module.split(".")) else set()
        if names:
            found[file] = names
    return found


def test_private_names_of_other_packages_stand_in_listed_files():
    found = reaches_into_others()
    assert {file: names for file, names in found.items() if file not in PRIVATE} == {}
    assert set(PRIVATE) - set(found) == set(), "a file that no longer reaches into others must go from the table"


def names_of_tasks() -> set[str]:
    """Of tasks and of their problems, as a config has them, and of the classes of their sections."""
    found = {path.parent.name for path in PACKAGE.glob("tasks/*/task.py")} - {"base"}
    for file, tree in parsed().items():
        for node in ast.walk(tree) if room(file) == "config" else ():
            if isinstance(node, ast.ClassDef) and any(
                getattr(base, "id", None) == "TaskSection" for base in node.bases
            ):
                literals = [inner for inner in ast.walk(node) if getattr(inner, "target", None) is not None]
                chosen = [each for each in literals if getattr(each.target, "id", None) in ("problem", "mode")]
                found |= {node.name} | {
                    inner.value
                    for each in chosen
                    for inner in ast.walk(each.annotation)
                    if isinstance(inner, ast.Constant)
                }
    return found


def asks_which_task(tree: ast.Module, names: set[str]) -> Iterator[str]:
    """What a file outside `tasks/` does by the task's name, class or keys, each with its line."""
    for node in ast.walk(tree):
        line = getattr(node, "lineno", 0)
        if isinstance(node, ast.ImportFrom) and node.module:
            if node.module.startswith("kerasft.tasks.") and node.module.split(".")[2] not in OF_ALL_TASKS:
                yield f"line {line} imports {node.module}"
            if node.module.startswith("kerasft.config.") and (named := {alias.name for alias in node.names} & names):
                yield f"line {line} imports {', '.join(named)}"
        elif isinstance(node, (ast.Compare, ast.match_case, ast.Subscript)):
            inner = list(ast.walk(node.pattern if isinstance(node, ast.match_case) else node))
            constants = {each.value for each in inner if isinstance(each, ast.Constant) and isinstance(each.value, str)}
            if not isinstance(node, ast.Subscript) and (told := constants & names):
                yield f"line {line} compares with {', '.join(told)}"
            if any(ast.unparse(each).endswith("task.name") for each in inner if isinstance(each, ast.Attribute)):
                yield f"line {line} chooses by the task's name"
        elif isinstance(node, ast.Call) and getattr(node.func, "id", None) in ("getattr", "hasattr"):
            of, key = ast.unparse(node.args[0]), node.args[1]
            if of.endswith("task") and isinstance(key, ast.Constant):
                yield f"line {line} looks for a key of some tasks, {key.value}"
        elif isinstance(node, ast.Attribute) and ast.unparse(node.value).endswith("config.task"):
            if node.attr not in SECTION and not node.attr.startswith("model_"):
                yield f"line {line} reads a key of some tasks, {node.attr}"


def test_only_tasks_know_which_task_it_is():
    """What others need of a task is an attribute of it, of its section or of its kind."""
    names = names_of_tasks()
    assert {"seq2seq", "TextGenerationConfig", "multi_label"} <= names
    found = {
        file: asked
        for file, tree in parsed().items()
        if room(file) not in ("tasks", "config", ONE_TASK_A_FILE) and (asked := list(asks_which_task(tree, names)))
    }
    assert {file: asked for file, asked in found.items() if file not in KNOWS_TASKS} == {}
    assert set(KNOWS_TASKS) - set(found) == set(), "a file that no longer asks must go from the table"


@pytest.mark.parametrize(
    "line",
    [
        "from kerasft.tasks.seq2seq.task import Seq2Seq",
        "from kerasft.config.tasks import MaskedLMConfig",
        "found = config.task.name == other",
        "found = task.kind.name in ('seq2seq', 'x')",
        "found = TABLE[task.config.task.name]",
        "found = hasattr(config.task, 'packing')",
        "found = config.task.decoding.beams",
        "match problem:\n    case 'regression': pass",
    ],
)
def test_a_file_that_asks_which_task_it_is_is_found(line):
    assert list(asks_which_task(ast.parse(line), names_of_tasks()))


@pytest.mark.parametrize("line", ["raise UserError(f'{config.task.name}: {task.kind}')", "found = config.task.ragged"])
def test_a_message_may_name_the_task(line):
    assert not list(asks_which_task(ast.parse(line), names_of_tasks()))


@pytest.mark.parametrize("table", [LONG_FILES, LONG_FUNCTIONS, MANY_PARAMETERS])
def test_tables_are_sorted(table):
    assert list(table) == sorted(table)


def test_no_test_imports_another():
    """What several tests share is in tests/support."""
    found = {}
    for file in sorted((ROOT / "tests").rglob("*.py")):
        for node in ast.walk(ast.parse(file.read_text(encoding="utf-8"))):
            if isinstance(node, (ast.Import, ast.ImportFrom)):
                names = [node.module or ""] if isinstance(node, ast.ImportFrom) else [name.name for name in node.names]
                parts = {part for name in names for part in name.split(".")}
                if any(part.startswith("test_") or part == "conftest" for part in parts):
                    found[str(file.relative_to(ROOT))] = names
    assert found == {}
