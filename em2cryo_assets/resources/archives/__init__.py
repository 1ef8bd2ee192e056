"""What public archives have in common: fetching with a budget, keys, records. Each archive is a room beside it."""
