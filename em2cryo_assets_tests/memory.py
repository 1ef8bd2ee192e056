"""Peak memory of a process of its own, for code that tests run there."""

PEAK_MIB = """
def peak_mib():
    # `ru_maxrss` would count the process that started this one: after half of the tests that has 2 GB.
    return next(int(line.split()[1]) for line in open("/proc/self/status") if line.startswith("VmHWM")) / 1024
"""
"""Source of a function for the code of a child process (Linux)."""
