"""Between the physics and a sampler: measurement settings, counts, jobs."""
