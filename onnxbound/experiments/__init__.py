"""The experiments of [A] as functions: several nets, checkpoints or noise, on one training set."""
