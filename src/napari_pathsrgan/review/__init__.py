"""Mean opinion scores: images rated blind by people, and what their ratings say. Knows no torch and no window."""
