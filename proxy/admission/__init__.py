"""Pools: who waits, who goes. Fairness, rates, seats, places that linger. Pure."""
