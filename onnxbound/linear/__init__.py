"""The network linearised at a batch: Jacobian products by masks, their norms, and the check by finite differences."""
