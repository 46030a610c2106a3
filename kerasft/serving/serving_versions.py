"""What releases of TensorFlow Serving lack that today's exports may hold."""

from __future__ import annotations

from kerasft.errors import UserError

# TensorFlow Serving 2.18 and 2.19 embed tf-text 2.12.1 (tensorflow/serving pull request 4057 and issue 2267, which has
# the error of the first op here). These are the ops that the libraries in the tensorflow-text 2.20.1 wheel register
# and those in the 2.12.1 wheel do not; the wheels of 2.17 to 2.20 have the same ones.
TF_TEXT_2_12 = ("TFText>RoundRobinGenerateMasks", "TFText>RoundRobinTrim", "TFText>Utf8Binarize")
# Release -> ops of tf-text that it lacks.
LACKING: dict[str, tuple[str, ...]] = {
    "2.18.0": TF_TEXT_2_12,
    "2.18.1": TF_TEXT_2_12,
    "2.19.0": TF_TEXT_2_12,
    "2.19.1": TF_TEXT_2_12,
    "2.20.0": (),
}
NEWEST = "2.20.0"


def lacking_ops(release: str) -> dict[str, str]:
    """A release such as 2.19.1, or 2.19 for the last of them -> {op: why it is refused}.

    Raises:
        UserError: nothing is known of that release.
    """
    releases = [name for name in LACKING if name == release or name.rpartition(".")[0] == release]
    if not releases:
        fix = f"there are {', '.join(LACKING)}"
        raise UserError(f"--tf-serving: {release}: nothing is known of this release; {fix}")
    return {
        op: f"is not in the tf-text of TensorFlow Serving {releases[-1]}; use {NEWEST}" for op in LACKING[releases[-1]]
    }
