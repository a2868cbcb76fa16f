"""Results on disk, used again as long as the job and the program that ran it are the same.

One file a job, named by a digest of both. A file is written whole or not at all.
"""

import hashlib
import json
import os
import time

FORMAT = 1


def version_of(path):
    """A digest of a program's bytes: another build is another program."""
    with open(path, "rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


class Kept:
    def __init__(self, folder, version):
        self.folder = folder
        self.version = version
        os.makedirs(folder, exist_ok=True)

    def path(self, job):
        inputs = json.dumps([FORMAT, self.version, job.arguments()])
        digest = hashlib.sha256(inputs.encode()).hexdigest()[:32]
        return os.path.join(self.folder, digest + ".json")

    def get(self, job):
        """The rows, or None. A file that cannot be read is no result."""
        try:
            with open(self.path(job), encoding="utf-8") as file:
                stored = json.load(file)
            if stored["arguments"] != job.arguments():
                return None
            # What the program printed is kept; names are given by who asks.
            return job.finish(stored["rows"])
        except (OSError, ValueError, KeyError, TypeError):
            return None

    def put(self, job, rows, seconds):
        stored = {"arguments": job.arguments(), "version": self.version, "rows": rows,
                  "seconds": round(seconds, 3), "date": time.strftime("%Y-%m-%d", time.gmtime())}
        path = self.path(job)
        new = f"{path}.{os.getpid()}"
        with open(new, "w", encoding="utf-8") as file:
            json.dump(stored, file)
        os.replace(new, path)
