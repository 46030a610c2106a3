"""What the server of trial processes imports once: all that takes long, and nothing that runs TensorFlow."""

from kerasft.console.terminal import quiet_tensorflow

quiet_tensorflow(verbose=False)

import kerasft.results  # noqa: E402
import kerasft.search.trial  # noqa: E402
import kerasft.training.fit  # noqa: E402, F401
