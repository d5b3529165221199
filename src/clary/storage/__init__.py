"""Where state lives: rows (`resources`), bytes (`blobs`) and records (`journal`). The three do not know each other."""
