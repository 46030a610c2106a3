"""Keras classes for those who write Python: from a preset, by `fit` on strings, to answers and a SavedModel."""

import os
import sys

from kerasft.errors import UserError

# Keras chooses its backend when it is first imported.
if "keras" not in sys.modules:
    os.environ["KERAS_BACKEND"] = "tensorflow"
elif (backend := sys.modules["keras"].config.backend()) != "tensorflow":
    raise UserError(f"Keras runs on {backend} here; set KERAS_BACKEND=tensorflow before keras is imported")
