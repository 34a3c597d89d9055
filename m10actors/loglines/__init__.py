"""Lines of logs in, failures out: which line is a failure, which lines belong to it, what kind it is. No I/O."""
