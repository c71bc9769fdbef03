"""What runs in the sampler's process: rounds, ticks that are waited for, the trace."""
