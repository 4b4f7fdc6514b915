"""What every command shares with the shell and the person at it. Imports nothing of ours."""
