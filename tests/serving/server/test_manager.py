"""New versions take over without a failed request, broken ones are refused, labels move when there is something."""

import shutil
import threading

import pytest

PREDICT = "/v1/models/single_label:predict"
BODY = {"instances": ["goal match bank"]}


def publish(version, folder, number):
    """As the exporter does: whole, by a rename."""
    shutil.copytree(version, folder / ".draft")
    (folder / ".draft").rename(folder / str(number))


class Asking:
    """Threads that ask all the time; what they were answered."""

    def __init__(self, running, threads=3):
        self.answers = []
        self._stop = threading.Event()

        def ask():
            while not self._stop.is_set():
                self.answers.append(running.rest(PREDICT, BODY))

        self._threads = [threading.Thread(target=ask) for _ in range(threads)]

    def __enter__(self):
        for thread in self._threads:
            thread.start()
        return self

    def __exit__(self, *failed):
        self._stop.set()
        for thread in self._threads:
            thread.join()


def states(running):
    return running.server.manager.describe()["single_label"]


def test_versions_are_swapped_under_load_without_a_failed_request(start, model_folder, other_version):
    with start(model_folder) as running, Asking(running) as asking:
        before = running.rest(PREDICT, BODY)
        for number in range(2, 5):
            publish(other_version if number % 2 == 0 else model_folder / str(number - 2), model_folder, number)
            running.until(lambda number=number: states(running).get(number) == "AVAILABLE")
            running.until(lambda number=number: states(running)[number - 1] == "END")
        after = running.rest(PREDICT, BODY)
    assert before[0] == after[0] == 200 and before != after
    assert len(asking.answers) > 5
    assert {status for status, _ in asking.answers} == {200}
    # in a batch of another size the last bits differ
    told = {round(body["predictions"][0]["score"], 4) for _, body in [*asking.answers, before, after]}
    assert len(told) == 2


def test_a_broken_version_is_refused_with_the_reason_and_the_old_one_stays(start, model_folder, other_version):
    with start(model_folder) as running:
        before = running.rest(PREDICT, BODY)
        shutil.copytree(other_version, model_folder / ".draft")
        (model_folder / ".draft" / "variables" / "variables.data-00000-of-00001").write_bytes(b"cut")
        (model_folder / ".draft").rename(model_folder / "2")
        running.until(lambda: states(running).get(2) == "END")
        assert running.rest(PREDICT, BODY) == before
        status, body = running.rest("/v1/models/single_label/versions/2")
        assert status == 200 and body["model_version_status"][0]["state"] == "END"
        assert "TensorFlow cannot load it" in body["model_version_status"][0]["status"]["error_message"]
        assert running.rest("/v1/models/single_label/versions/2:predict", BODY)[0] == 404
        (refused,) = running.told("refused")
        assert refused["version"] == 2 and refused["reason"]
        # fixed in place, it is tried again
        whole = other_version / "variables" / "variables.data-00000-of-00001"
        shutil.copy2(whole, model_folder / "2" / "variables")
        running.until(lambda: states(running)[2] == "AVAILABLE")
        assert running.rest(PREDICT, BODY) != before
        assert len(running.told("refused")) == 1  # it was not tried again and again


@pytest.mark.parametrize(
    ("damage", "expected"),
    [
        (lambda folder: (folder / "saved_model.pb").write_bytes(b"\xff"), "not a SavedModel"),
        (
            lambda folder: (folder / "assets.extra" / "tf_serving_warmup_requests").write_bytes(b"x" * 40),
            "is not a TFRecord",
        ),
    ],
)
def test_other_ways_to_be_broken(start, model_folder, other_version, damage, expected):
    with start(model_folder) as running:
        shutil.copytree(other_version, model_folder / ".draft")
        damage(model_folder / ".draft")
        (model_folder / ".draft").rename(model_folder / "2")
        running.until(lambda: running.told("refused"))
        assert expected in running.told("refused")[0]["reason"]
        assert running.rest(PREDICT, BODY)[0] == 200
        shutil.copytree(other_version, model_folder / "2", dirs_exist_ok=True)  # fixed, whichever file it was
        running.until(lambda: states(running).get(2) == "AVAILABLE")


def test_a_label_means_the_old_version_until_the_new_one_answers(start, model_folder, other_version):
    file = model_folder / "serving" / "models.config"
    file.parent.mkdir()

    def configure(stable):
        file.write_text(
            'model_config_list { config { name: "single_label" base_path: "/models/single_label" '
            'model_platform: "tensorflow" model_version_policy { latest { num_versions: 2 } } '
            f'version_labels {{ key: "stable" value: {stable} }} }} }}'
        )

    configure(1)
    stable = "/v1/models/single_label/labels/stable:predict"
    with start(model_folder) as running:
        first = running.rest(stable, BODY)
        assert first[0] == 200 and first == running.rest("/v1/models/single_label/versions/1:predict", BODY)
        configure(2)
        running.until(lambda: running.server.manager.models["single_label"].settings.labels == {"stable": 2})
        assert running.rest(stable, BODY) == first  # there is no version 2 yet
        publish(other_version, model_folder, 2)
        running.until(lambda: running.rest(stable, BODY) != first)
        assert running.rest(stable, BODY) == running.rest("/v1/models/single_label/versions/2:predict", BODY)
        assert running.rest("/v1/models/single_label/versions/1:predict", BODY) == first  # two versions are served
        file.write_text("model_config_list { config { nam")
        running.until(lambda: running.told("not_updated"))
        assert running.rest(stable, BODY)[0] == 200
        assert "models.config: not a ModelServerConfig" in running.told("not_updated")[0]["reason"]


def test_a_folder_that_loses_its_versions_is_still_served(start, model_folder):
    with start(model_folder) as running:
        shutil.move(model_folder / "1", model_folder.parent / "away")
        running.until(lambda: running.rest(PREDICT, BODY)[0] == 200)
        assert states(running) == {1: "AVAILABLE"}
