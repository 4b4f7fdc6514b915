"""What every command shares with the shell and the person at it: exit codes, progress on stderr, numbers as text. Imports nothing of ours."""
