"""Sweeps on this machine, by Optuna; needs the extra ``optuna``."""
