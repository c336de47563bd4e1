"""The test rig: interpreters, target processes and cores, fresh GDBs, and the comparison with the truth."""
