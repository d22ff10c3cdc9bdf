"""The dock *Super-resolution*: slides, their computed views, and what they are shown with."""
