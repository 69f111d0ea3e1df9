#!/bin/bash
# An agent of a W&B sweep on each task of a SLURM array, from the folder of this repository:
#
#     sbatch --array=1-8 sweeps/slurm_array.sh ENTITY/ee_lightning/SWEEP
#     sbatch --array=1-15%8 sweeps/slurm_array.sh --count 1 ENTITY/ee_lightning/SWEEP    # a job a run, 8 at a time
#
#SBATCH --job-name=ee-sweep
#SBATCH --ntasks=1
#SBATCH --cpus-per-task=4
#SBATCH --gres=gpu:1
#SBATCH --time=24:00:00
#SBATCH --output=slurm-%A_%a.log
set -euo pipefail

: "${1:?the name of the sweep is needed, as wandb sweep prints it}"
PATH="$PWD/.venv/bin:$PATH"
exec wandb agent "$@"
