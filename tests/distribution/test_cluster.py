"""Who the workers are, by each of the environments that tell it."""

import json

import pytest

from kerasft.config.schema import Config
from kerasft.distribution.cluster import Cluster, expand_nodes, find_cluster, speaking
from kerasft.errors import Diverged, EndedElsewhere, Stop, UserError, WorkerLost

SLURM = {
    "SLURM_STEP_NODELIST": "gpu[01-02],login",
    "SLURM_STEP_TASKS_PER_NODE": "2(x2),1",
    "SLURM_PROCID": "3",
    "SLURM_JOB_ID": "100",
}
KUBERNETES = {
    "JOB_COMPLETION_INDEX": "1",
    "HOSTNAME": "bert-1",
    "KERASFT_SERVICE": "bert",
    "KERASFT_WORKERS": "3",
}


def config(strategy: str) -> Config:
    return Config.model_validate(
        {
            "name": "t",
            "task": {"name": "text_classification"},
            "model": {"preset": "x"},
            "data": {"train": "x", "columns": {"text": "text", "label": "label"}},
            "training": {"strategy": strategy},
        }
    )


def tf_config(kind: str, index: int, **jobs: list[str]) -> dict[str, str]:
    return {"TF_CONFIG": json.dumps({"cluster": jobs, "task": {"type": kind, "index": index}})}


@pytest.mark.parametrize("strategy", ["auto", "multi_worker"])
def test_tf_config_names_the_workers(strategy):
    found = find_cluster(config(strategy), tf_config("worker", 1, worker=["a:1", "b:2"]))
    assert found == Cluster(("a:1", "b:2"), 1) and not found.chief
    assert json.loads(found.tf_config)["task"] == {"type": "worker", "index": 1}


def test_a_chief_of_its_own_is_the_first_worker():
    jobs = {"chief": ["a:1"], "worker": ["b:2", "c:3"]}
    assert find_cluster(config("auto"), tf_config("chief", 0, **jobs)).chief
    assert find_cluster(config("auto"), tf_config("worker", 1, **jobs)) == Cluster(("a:1", "b:2", "c:3"), 2)


def test_slurm_gives_each_task_of_a_node_its_port():
    found = find_cluster(config("multi_worker"), SLURM)
    assert found.addresses == ("gpu01:20100", "gpu01:20101", "gpu02:20100", "gpu02:20101", "login:20100")
    assert found.index == 3


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("one", ["one"]),
        ("n[08-10]", ["n08", "n09", "n10"]),
        ("n[1,3-4]-ib,b2", ["n1-ib", "n3-ib", "n4-ib", "b2"]),
        ("r[1-2]n[1-2]", ["r1n1", "r1n2", "r2n1", "r2n2"]),
    ],
)
def test_slurms_short_form_of_nodes(text, expected):
    assert expand_nodes(text) == expected


def test_kubernetes_pods_are_found_by_their_names():
    found = find_cluster(config("multi_worker"), {**KUBERNETES, "KERASFT_PORT": "9000"})
    assert found == Cluster(("bert-0.bert:9000", "bert-1.bert:9000", "bert-2.bert:9000"), 1)


@pytest.mark.parametrize(
    ("strategy", "environment"),
    [("auto", {}), ("auto", SLURM), ("auto", KUBERNETES), ("mirrored", tf_config("worker", 0, worker=["a:1"]))],
)
def test_nobody_else_is_waited_for_unasked(strategy, environment):
    assert find_cluster(config(strategy), environment) is None


@pytest.mark.parametrize(
    ("environment", "said"),
    [
        ({}, "multi_worker needs TF_CONFIG on each worker.*kerasft.launch --workers N"),
        ({"TF_CONFIG": "{}"}, "TF_CONFIG: '{}' is not of the form"),
        ({"TF_CONFIG": "nonsense"}, "is not of the form"),
        (tf_config("worker", 2, worker=["a:1", "b:2"]), "no chief and no worker of its cluster"),
        (tf_config("evaluator", 0, worker=["a:1"]), "no chief and no worker"),
        ({**SLURM, "SLURM_STEP_TASKS_PER_NODE": "2"}, "1 counts for the 3 nodes"),
        ({**SLURM, "SLURM_PROCID": "9"}, "SLURM_PROCID: 9, but there are 5 workers"),
        ({**KUBERNETES, "KERASFT_WORKERS": ""}, "needs the environment variable KERASFT_WORKERS"),
        ({**KUBERNETES, "KERASFT_WORKERS": "two"}, "'two' is not a whole number"),
        ({**KUBERNETES, "HOSTNAME": "bert"}, "does not end with -1"),
    ],
)
def test_what_makes_no_sense_is_named(environment, said):
    with pytest.raises(UserError, match=said):
        find_cluster(config("multi_worker"), environment)


@pytest.mark.parametrize(
    ("index", "error", "kind", "text"),
    [
        (0, Diverged("nan"), Diverged, "nan"),
        (1, Diverged("nan"), EndedElsewhere, ""),
        (1, WorkerLost("gone"), WorkerLost, "worker 1: gone"),
        (1, EndedElsewhere(2), EndedElsewhere, ""),
    ],
)
def test_an_end_is_told_once(index, error, kind, text):
    with pytest.raises(Stop) as raised, speaking(Cluster(("a:1", "b:2"), index)):
        raise error
    assert type(raised.value) is kind and str(raised.value) == text
    assert raised.value.exit_code == error.exit_code
