"""The outside: command line, configuration files, processes and clusters."""
