"""Small networks trained on simulations: architecture, training loop, weight files, running over large images.

Belongs here: what any stage with a network needs. Does not belong here: what a network is asked for, its inputs
and how its maps are read (`sem.mask_network`, `sem.mask_decoding` and their like in other stages).
"""
