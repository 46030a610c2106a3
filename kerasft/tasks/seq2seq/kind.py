"""What people see of seq2seq: outputs beside those of the data, and beside copies of their inputs."""

from kerasft.tasks.generation.kind import WRITTEN_ANSWERS

KIND = WRITTEN_ANSWERS
