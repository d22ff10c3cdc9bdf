"""The dock *Jobs*: forms that start jobs, their list, progress and results."""
