"""The network linearised at a batch: Jacobian products, their norms, and a check by finite differences."""
