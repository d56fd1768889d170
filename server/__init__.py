"""Settings, wiring, processes and the command line. Imports every part; imported by none."""
