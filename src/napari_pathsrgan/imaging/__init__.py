"""Image formation: what an objective, a camera and a file format make of a specimen. It holds no specimens."""
