"""What people see of seq2seq: outputs beside those of the data, and beside copies of their inputs."""

from kerasft.evaluation.answer_measures import Watched
from kerasft.tasks.generation.kind import WRITTEN_ANSWERS

KIND = WRITTEN_ANSWERS
WATCHED = Watched()  # of texts alone: answers are free text
