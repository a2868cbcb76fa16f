"""What the jobs gave, as figures ask for it."""


class Results:
    """Rows by job. A job that gave none has None: figures leave it out."""

    def __init__(self, rows):
        self.by_job = rows

    def rows(self, job):
        found = self.by_job.get(job)
        # Named as this figure names it: another may have asked for the same point.
        return [] if found is None else job.finish(found)

    def row(self, point):
        rows = self.rows(point)
        return rows[0] if rows else None

    def value(self, point, key):
        row = self.row(point)
        return None if row is None else row.get(key)


def ratio(above, below):
    """above / below, or None if either is not known."""
    return None if not above or not below else above / below
