"""What is served, as folders and ModelServerConfig say it."""

from pathlib import Path

import pytest

from kerasft.errors import UserError
from kerasft.serving.bundle import contents
from kerasft.serving.server.settings import ModelSettings, VersionPolicy, read_file, read_folder

MEASURED = dict.fromkeys(
    ("load_seconds", "warm_up_seconds", "one_short_seconds", "largest_batch_seconds", "largest_batch_cpu_seconds"), 1.0
) | {"largest_batch": 32, "empty_bytes": 1, "loaded_bytes": 2, "peak_bytes": 3, "one_long_seconds": 1.0}


@pytest.mark.parametrize(
    ("policy", "chosen"),
    [
        (VersionPolicy(), {7}),
        (VersionPolicy(latest=2), {3, 7}),
        (VersionPolicy(latest=None), {1, 3, 7}),
        (VersionPolicy(specific=frozenset({1, 9})), {1}),
    ],
)
def test_policies(policy, chosen):
    assert policy.choose([1, 3, 7]) == chosen


def test_a_folder_by_itself_serves_its_newest_version(tmp_path):
    folder = tmp_path / "name"
    folder.mkdir()
    assert read_folder(folder) == ModelSettings("name", folder, VersionPolicy(latest=1), {})


def test_the_bundles_configuration_holds_for_its_folder(tmp_path):
    (tmp_path / "my" / "serving").mkdir(parents=True)
    text = contents("my", 3, MEASURED, {"text": "a"})["models.config"]
    (tmp_path / "my" / "serving" / "models.config").write_text(text)
    assert read_folder(tmp_path / "my") == ModelSettings("my", tmp_path / "my", VersionPolicy(latest=2), {"stable": 3})


def config(*models, platform="tensorflow"):
    inner = "".join(f'config {{ name: "{n}" base_path: "{p}" model_platform: "{platform}" }}' for n, p in models)
    return f"model_config_list {{ {inner} }}"


def test_a_file_names_several_models(tmp_path):
    file = tmp_path / "models.config"
    file.write_text(config(("a", "/m/a"), ("b", "/m/b")))
    assert [(each.name, each.base_path) for each in read_file(file)] == [("a", Path("/m/a")), ("b", Path("/m/b"))]


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        (config(("a", "/m"), ("a", "/n")), "the model a is configured twice"),
        (config(("a", "")), "without a base_path"),
        (config(("a", "/m"), platform="other"), "model_platform is 'other'"),
        ("", "there is no model_config_list"),
        ("model_config_list { confg {} }", "confg"),
    ],
)
def test_mistakes_are_one_line(tmp_path, text, expected):
    file = tmp_path / "models.config"
    file.write_text(text)
    with pytest.raises(UserError, match=expected) as told:
        read_file(file)
    assert str(told.value).startswith(f"{file}: ") and "\n" not in str(told.value)
