"""What an inspection looks for in dialogues: turns out of order, and such as nobody answers."""

from __future__ import annotations

from collections.abc import Iterator

from kerasft.data.quality.base import Check, Finding, Inspected


class TurnOrder(Check):
    """Dialogues in which a speaker takes two turns, or nobody answers the last one."""

    kinds = {"turns_out_of_order": "warning", "unanswered_turns": "info"}

    def find(self, data: Inspected) -> Iterator[Finding]:
        dialogue = data.task.dialogue
        learnt = dialogue.template.learnt if dialogue else frozenset()
        for rows in data:
            twice, unanswered = {}, []
            for row, roles in enumerate(rows.column("roles")):
                same = next((at for at, pair in enumerate(zip(roles, roles[1:]), 1) if pair[0] == pair[1]), None)
                if same is not None:
                    twice[row] = f"turns {same} and {same + 1} are both of {roles[same]}"
                elif roles[-1] not in learnt:
                    unanswered.append(row)
            if twice:
                fix = "join the turns, or set task.chat.rename"
                yield self.finding(
                    "turns_out_of_order", rows, twice, "have two turns of one speaker in a row", fix, twice
                )
            if unanswered:
                yield self.finding("unanswered_turns", rows, unanswered, "end with a turn that nothing is learnt from")
