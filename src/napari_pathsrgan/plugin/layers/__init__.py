"""napari layers of scans and computed views: what is drawn, what is exact, and what their metadata says."""
