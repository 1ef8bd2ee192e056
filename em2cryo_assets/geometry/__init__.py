"""What the sciences share about shape: grids, meshes, distances, harmonics."""
