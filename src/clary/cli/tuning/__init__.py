"""What people look at while and after a tuning job runs: the list, the leaderboard, the report."""
