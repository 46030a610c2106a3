"""A training that takes its steps on order, so that several in processes of their own can take turns.

An order is a line of standard input, a number of steps; the answer is a line that begins with `pace`. Between two
orders a training waits and uses no processor. Runs in any environment: nothing but the standard library.
"""

import json
import sys
import time

MARK = "pace "  # before an answer: libraries print lines of their own


class Pace:
    """Call `begin` before the first step and `after_step` after each; the process ends where no orders are left."""

    def begin(self):
        order = sys.stdin.readline().strip()
        if not order:
            raise SystemExit(0)
        self.left = self.steps = int(order)
        self.examples = self.tokens = 0
        self.begun, self.processor = time.perf_counter(), time.process_time()

    def after_step(self, examples, tokens):
        """tokens: real ones, without padding."""
        self.examples, self.tokens, self.left = self.examples + examples, self.tokens + tokens, self.left - 1
        if self.left:
            return
        answer = {
            "steps": self.steps,
            "examples": self.examples,
            "tokens": self.tokens,
            "seconds": time.perf_counter() - self.begun,
            "processor_seconds": time.process_time() - self.processor,
        }
        print(MARK + json.dumps(answer), flush=True)
        self.begin()
