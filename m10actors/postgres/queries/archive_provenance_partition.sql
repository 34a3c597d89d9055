-- Makes one partition of provenance that is past its retention a part of the archive, if there is one; how many rows (operations role).
SELECT m10_recovery.archive_provenance_partition(%(older_than)s)
