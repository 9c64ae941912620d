"""everfit.yaml to a typed, frozen `Project`; nothing below this package reads a setting from anywhere else."""
