#!/usr/bin/env bash
# Run a recipe on the nodes of a Slurm job, with one process for each GPU:
#   sbatch --nodes 2 --gpus-per-node 8 recipes/slurm.sh recipes/wt103/qrnn.sh [flags ...]
# Preprocess the corpus first, on one node: recipes/wt103/qrnn.sh --stop-stage 1.
#SBATCH --job-name=lm_plugins
#SBATCH --ntasks-per-node=1
#SBATCH --signal=B:USR1@60
# Slurm sends SIGUSR1 to this script a minute before the time limit, and also before a preemption if its
# PreemptParameters have send_user_signal. Training then saves a checkpoint and ends. The same line continues
# it.
set -euo pipefail
if [ $# -eq 0 ]; then
  echo "usage: sbatch [options] recipes/slurm.sh RECIPE [flags ...]" >&2
  exit 2
fi
recipe=$1
shift
if [ -z "${SLURM_JOB_NODELIST:-}" ] || ! command -v scontrol >/dev/null; then
  echo "error: this is not a Slurm job: submit it, sbatch --nodes 2 --gpus-per-node 8 $0 $recipe" >&2
  exit 2
fi
if [ ! -x "$recipe" ]; then
  echo "error: $recipe is not a recipe: give the path of one, such as recipes/ptb/qrnn.sh" >&2
  exit 2
fi
stage=2 stop=6 flags=()
while [ $# -gt 0 ]; do
  option=${1%%=*}
  if [ "$option" = --stage ] || [ "$option" = --stop-stage ]; then
    if [ "$option" != "$1" ]; then value=${1#*=}; else value=${2-}; shift $(($# > 1)); fi
    if [[ ! $value =~ ^[1-6]$ ]]; then
      echo "error: --stage and --stop-stage must be numbers from 1 to 6, not $value" >&2
      exit 2
    fi
    if [ "$option" = --stage ]; then stage=$value; else stop=$value; fi
  else
    flags+=("$1")
  fi
  shift
done
if [ "$stage" -gt "$stop" ] || [ "$stop" -lt 2 ]; then
  echo "error: --stage $stage --stop-stage $stop leaves nothing to do: a job runs stages 2 to 6" >&2
  exit 2
fi
first=$(scontrol show hostnames "$SLURM_JOB_NODELIST" | head -n 1)
# Each job has a port of its own: at the same one, the processes of two jobs that share a node would meet.
port=${RENDEZVOUS_PORT:-$((20000 + ${SLURM_JOB_ID:-0} % 10000))}

step() {  # COMMAND...: run it, pass signals on to it, and return its status
  local status=0 name
  "$@" &
  for name in TERM INT HUP USR1 USR2; do trap "stopped=$name; kill -s $name $! 2>/dev/null || true" "$name"; done
  while wait $! || status=$?; [ -n "${stopped:-}" ] && kill -0 $! 2>/dev/null; do status=0; done
  if [ -n "${stopped:-}" ]; then exit $((status > 0 ? status : 1)); fi
  return "$status"
}

# All nodes train; the evaluations need only one.
if [ "$stage" -le 3 ]; then
  step srun "$recipe" --stage $((stage > 2 ? stage : 2)) --stop-stage $((stop < 3 ? stop : 3)) \
    --nodes "$SLURM_NNODES" --gpus "${SLURM_GPUS_ON_NODE:-1}" \
    --rendezvous "$first:$port" "${flags[@]}"
fi
if [ "$stop" -ge 4 ]; then
  step srun --nodes 1 --ntasks 1 "$recipe" --stage $((stage > 4 ? stage : 4)) --stop-stage "$stop" "${flags[@]}"
fi
