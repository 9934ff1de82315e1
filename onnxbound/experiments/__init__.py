"""The experiments of [A] with several nets, with checkpoints, or with noise, on one training set."""
