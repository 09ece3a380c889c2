# What all recipes share. A recipe sets these and sources this file:
#   corpus    module of preprocess/, whose data-bin is data-bin/$corpus
#   name      of the experiment, exp/$corpus/$name
#   arch      --arch; how it is trained is in lm_plugins/presets.py
#   finetune  yes: a second training from the best checkpoint
#   cache     yes: evaluate with a cache, tuned on the validation set
#   dynamic   flags of dynamic evaluation; empty: none
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."
[ -x .venv/bin/python ] && PATH="$PWD/.venv/bin:$PATH"

usage() {
  cat <<END
usage: $0 [options] [flags of fairseq-train ...]
  --stage N, --stop-stage N   first and last stage: 1 preprocess, 2 train, 3 fine-tune, 4 evaluate,
                              5 evaluate with a cache, 6 dynamic evaluation       (1 and 6)
  --source PATH               files of the corpus that are at hand: nothing is downloaded
  --data FOLDER               the data-bin                                (data-bin/$corpus)
  --exp FOLDER                checkpoints, logs and results               (exp/$corpus/$name)
  --gpus N                    processes of this node                      (1)
  --nodes N                   nodes, each of which runs this line         (1)
  --rendezvous HOST:PORT      of the first node, with --nodes
  --dry-run                   print the commands and run none
A stage that was done with the same command and model is not done again; an interrupted training goes on.
END
}

stage=1 stop=6 source="" data="data-bin/$corpus" exp="exp/$corpus/$name" gpus=1 nodes=1 rendezvous="" dry=""
flags=()
while [ $# -gt 0 ]; do
  case "$1" in
    --stage) stage=$2; shift 2 ;;
    --stop-stage) stop=$2; shift 2 ;;
    --source) source=$2; shift 2 ;;
    --data) data=$2; shift 2 ;;
    --exp) exp=$2; shift 2 ;;
    --gpus) gpus=$2; shift 2 ;;
    --nodes) nodes=$2; shift 2 ;;
    --rendezvous) rendezvous=$2; shift 2 ;;
    --dry-run) dry=yes; shift ;;
    --help | -h) usage; exit ;;
    *) flags+=("$1"); shift ;;
  esac
done
case "$stage$stop$gpus$nodes" in
  *[!0-9]*) echo "error: --stage, --stop-stage, --gpus and --nodes are numbers" >&2; exit 2 ;;
esac
if [ "$nodes" -gt 1 ] && [ -z "$rendezvous" ]; then
  echo "error: --nodes $nodes needs --rendezvous HOST:PORT, an address of the first node" >&2
  exit 2
fi
if [ -z "$dry" ] && ! command -v fairseq-train >/dev/null; then
  echo "error: fairseq-train is not on the PATH: run make setup, or activate the environment that has it" >&2
  exit 2
fi
cpu=()  # evaluation and training compute in the same place
for flag in "${flags[@]}"; do if [ "$flag" = --cpu ]; then cpu=(--cpu); fi; done

keep=(tee -a)  # the command that shows the output of a stage and appends it to a log
run() {  # STAGE INPUT COMMAND...: unless it was done with this INPUT
  local done="$exp/.done/$1" log="$exp/logs/$1.log" input=$2 stamp=""
  shift 2
  if [ -n "$dry" ]; then printf '%q ' "$@"; echo; return; fi
  if [ -n "$input" ]; then stamp=" $(stat -c '%n %y %s' "$input")"; fi
  if [ -f "$done" ] && [ "$(cat "$done")" = "$*$stamp" ]; then echo "done before: $*"; return; fi
  mkdir -p "$exp/.done" "$exp/logs"
  echo "\$ $*"
  echo "\$ $*" >>"$log"
  "$@" 2>&1 | "${keep[@]}" "$log"
  echo "$*$stamp" >"$done"
}

fairseq() {  # the command that starts fairseq-train, on one process or several
  launch=(fairseq-train)
  if [ "$gpus" -gt 1 ] || [ "$nodes" -gt 1 ]; then
    launch=(torchrun --nproc-per-node "$gpus" --nnodes "$nodes")
    if [ -n "$rendezvous" ]; then launch+=(--rdzv-backend c10d --rdzv-endpoint "$rendezvous"); fi
    launch+=("$(command -v fairseq-train || echo fairseq-train)")
  fi
}

train() {  # STAGE INPUT FOLDER FLAGS...
  local stage_name=$1 input=$2 folder=$3 keep=(python -m recipes.progress)
  shift 3
  fairseq
  run "$stage_name" "$input" "${launch[@]}" "$folders" --user-dir lm_plugins --arch "$arch" --save-dir "$folder" \
    --no-epoch-checkpoints --log-format json --log-interval 10 --no-progress-bar \
    --tensorboard-logdir "$exp/tensorboard/$stage_name" \
    "$@" "${flags[@]}"
}

if [ -z "$dry" ]; then
  mkdir -p "$exp"
  python -m recipes.environment "$exp/environment.json" "$0" "${flags[@]}"
fi
if [ "$stage" -le 1 ] && [ 1 -le "$stop" ]; then
  run preprocess "" python -m "preprocess.$corpus" "$data" ${source:+--source "$source"}
fi
folders=$data
if [ "$corpus" = gbw ] && [ -d "$data" ]; then
  folders=$(find "$data" -mindepth 1 -maxdepth 1 -type d -name '[0-9]*' | sort | paste -sd:)
fi
if [ "$stage" -le 2 ] && [ 2 -le "$stop" ]; then train train "" "$exp/checkpoints"; fi
best="$exp/checkpoints/checkpoint_best.pt"
if [ "$finetune" = yes ] && [ "$stage" -le 3 ] && [ 3 -le "$stop" ]; then
  train finetune "$best" "$exp/finetuned" --finetune-from-model "$best"
fi

evaluations=()
if [ "$stage" -le 4 ] && [ 4 -le "$stop" ]; then evaluations+=(--plain); fi
if [ "$cache" = yes ] && [ "$stage" -le 5 ] && [ 5 -le "$stop" ]; then evaluations+=(--cache); fi
if [ -n "$dynamic" ] && [ "$stage" -le 6 ] && [ 6 -le "$stop" ]; then evaluations+=(--dynamic="$dynamic"); fi
if [ "${#evaluations[@]}" -gt 0 ]; then
  if [ "$finetune" = yes ]; then evaluations+=(--finetune); fi
  python -m recipes.evaluate "$exp" "$folders" "${evaluations[@]}" "${cpu[@]}" ${dry:+--dry-run}
fi
if [ -z "$dry" ] && [ 2 -le "$stop" ]; then python -m recipes.report "$exp"; fi
