"""The commands of ``pathsrgan``: one object each, from which command line, job forms and saved options are made.

Nothing heavy is imported before the command that needs it runs: ``pathsrgan info`` loads neither torch nor napari.
"""
