#!/bin/bash
# The campaign lem-0123456789abcdef-1, order 1
# 12 blocks; 2 to a job.
# Written by lem. Submitted by hand it does the same: sbatch /scratch/ada/results/precision/cluster/1.sh
#SBATCH --job-name=lem-0123456789abcdef-1
#SBATCH --array=0-5%4
#SBATCH --ntasks=1
#SBATCH --output=/scratch/ada/results/precision/cluster/logs/1-%a.log
#SBATCH --open-mode=append
#SBATCH --export=NIL
#SBATCH --signal=B:TERM@90
#SBATCH --requeue
#SBATCH --partition=gpu
#SBATCH --account=project_465
#SBATCH --qos=normal
#SBATCH --constraint=h100&nvme
#SBATCH --gres=gpu:h100:2
#SBATCH --time=1-02:30:00
#SBATCH --exclusive
#SBATCH --mem=65536M
#SBATCH --reservation=energy
#SBATCH --mail-type=END
export HOME=/home/ada
export PATH=/usr/bin:/bin
module purge
module load apptainer

# Nothing is imported from where it happens to stand.
cd /
# In place of this shell, so that the signal before the time limit reaches it.
exec /project/lem/bin/python -P -m lem.campaign.node /scratch/ada/results/precision 1 "${SLURM_ARRAY_TASK_ID:?}"
