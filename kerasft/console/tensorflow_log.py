"""A private hook: TensorFlow's C++ log is held back before any of its libraries can write to it."""

from __future__ import annotations

import ctypes
import importlib.util
import pathlib

# Why: TF_CPP_MIN_LOG_LEVEL governs TensorFlow's own log only. XLA's compiler, the CUDA plug-ins and gRPC write to
# Abseil's (`WARNING: All log messages before absl::InitializeLog() is called are written to STDERR`), which reads
# no environment variable; absl::SetMinLogLevel is its only switch.
# Holds for tensorflow 2.20 on Linux, which carries Abseil's release 20250127. tests/console/test_terminal.py fails
# when the symbol moves; a run then merely says more than it should.
LIBRARY = "libtensorflow_framework.so.2"
SET_MIN_LOG_LEVEL = "_ZN4absl12lts_2025012714SetMinLogLevelENS0_18LogSeverityAtLeastE"
FATAL = 3


def silence_abseil() -> bool:
    """Lets only fatal messages through Abseil's log; False where this TensorFlow has no such switch.

    It loads TensorFlow's base library, but not TensorFlow: what later libraries log while they load is held back too.
    """
    package = importlib.util.find_spec("tensorflow")
    if package is None or package.origin is None:
        return False
    library = pathlib.Path(package.origin).parent / LIBRARY
    if not library.exists():
        return False
    set_min_log_level = getattr(ctypes.CDLL(str(library)), SET_MIN_LOG_LEVEL, None)
    if set_min_log_level is None:
        return False
    set_min_log_level.argtypes, set_min_log_level.restype = [ctypes.c_int], None
    set_min_log_level(FATAL)
    return True
