"""Work that outlives the window: a job is a process that runs a command, and a folder that says how it goes."""
