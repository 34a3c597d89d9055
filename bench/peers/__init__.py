"""Other queues on W1, W2 and W3, each in its best usual settings: one small file each, with what a user writes."""
