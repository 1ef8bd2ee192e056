"""Raw files as microscopes and people leave them: images with a pixel size, sidecars, clear errors."""
