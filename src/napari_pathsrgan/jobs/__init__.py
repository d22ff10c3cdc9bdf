"""Work that outlives the window: a job is a process that runs a verb, and a folder that says how it goes."""
