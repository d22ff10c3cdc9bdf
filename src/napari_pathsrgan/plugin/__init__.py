"""What the user sees. The only room that knows napari and Qt; nothing imports it."""
