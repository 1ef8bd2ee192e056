"""When what is made: the plan, batches of runs, sensors, schedules, and register of keys. Computes nothing itself."""
