"""The dock *Review* and the window that raters see."""
