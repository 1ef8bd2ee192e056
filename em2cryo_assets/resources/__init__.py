"""What assets are given: the study's folders, the machine, and archives that raw files come from."""
