"""Jobs that one process does: points that are measured of one warmed system; or any job alone.

Such points differ in operations, settling and costs alone. Each gives the same bytes as by itself,
so that its result is kept by itself.
"""

import dataclasses

# An operation changes so many bytes of pages that the processes share: twice what was seen on A
# with 2 M records. With more records fewer are on one page.
COPIED = 3_000


@dataclasses.dataclass(frozen=True)
class Group:
    """What a process does, in the order in which it prints a row for each point."""

    jobs: tuple

    @property
    def alone(self):
        return self.jobs[0].alone

    @property
    def memory(self):
        """Bytes: of what is warmed, and of what one changes beside it. The last needs no copy."""
        first = self.jobs[0].memory
        return first + max((min(first, COPIED * job.measured) for job in self.jobs[:-1]), default=0)

    @property
    def work(self):
        first = self.jobs[0]
        return first.work + sum(job.work - job.warming for job in self.jobs[1:])

    def command(self, programs):
        return [*self.jobs[0].command(programs),
                *(word for job in self.jobs[1:] for word in ("--also", job.also()))]


def groups(jobs):
    """The jobs in groups, which come as their first jobs do. What is measured longest is last."""
    found = {}
    for job in jobs:
        found.setdefault(job.warmed, []).append(job)
    return [Group(tuple(sorted(together, key=lambda job: job.work)))
            for together in found.values()]
