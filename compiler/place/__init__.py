"""Choose which core does what: core grids to rectangles of the mesh."""
