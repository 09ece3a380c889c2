# What all recipes share. A recipe sets these and sources this file:
#   arch      --arch; how it is trained is in lm_plugins/architectures/
#   finetune  yes: a second training from the best checkpoint
#   cache     yes: evaluate with a cache, tuned on the validation set
#   dynamic   flags of dynamic evaluation; empty: none
# The recipe recipes/CORPUS/NAME.sh uses preprocess/CORPUS.py, data-bin/CORPUS and exp/CORPUS/NAME.
set -euo pipefail
recipe=$(readlink -f "${BASH_SOURCE[1]}")
corpus=$(basename "$(dirname "$recipe")") name=$(basename "$recipe" .sh)
from=$PWD
cd "$(dirname "${BASH_SOURCE[0]}")/.."
[ -x .venv/bin/python ] && PATH="$PWD/.venv/bin:$PATH"

usage() {
  local default_data=data-bin/$corpus default_exp=exp/$corpus/$name
  if [ "$corpus" = text ]; then default_data+=/TEXT-LEVEL default_exp=exp/text/TEXT-LEVEL-$name; fi
  cat <<END
usage: $0 [options] [flags of fairseq-train ...]
  --stage N, --stop-stage N   first and last stage: 1 preprocess, 2 train, 3 fine-tune, 4 evaluate,
                              5 evaluate with a cache, 6 dynamic evaluation       (1 and 6)
  --source PATH               local files of the corpus; nothing is downloaded
  --data FOLDER               the data-bin                                ($default_data)
  --exp FOLDER                checkpoints, logs and results               ($default_exp)
  --gpus N                    processes of this node                      (1)
  --nodes N                   nodes, each of which runs this line         (1)
  --rendezvous HOST:PORT      of the first node, with --nodes
  --dry-run                   print the commands and run none
END
  if [ "$corpus" = text ]; then cat <<END
  --level L                   what a token is: word, character or sentencepiece   (word)
  --valid PATH, --test PATH   of the text                                 (the last 5 % each)
  --threshold N               of words: rarer ones become <unk>           (2)
  --vocab-size N              of sentencepiece                            (8000, or what the text makes)
  --model-type M              of sentencepiece: unigram or bpe            (unigram)
END
  fi
  cat <<END
Options are written --option VALUE or --option=VALUE. A stage that was done with the same command, data and
model is skipped; an interrupted training is resumed.
END
}

refuse() { echo "error: $*" >&2; exit 2; }

stage=1 stop_stage=6 source="" data="" exp="" gpus=1 nodes=1 rendezvous="" dry=""
level="" threshold="" vocab_size="" model_type="" valid="" test=""
own=" stage stop-stage source data exp gpus nodes rendezvous "
if [ "$corpus" = text ]; then own+="level threshold vocab-size model-type valid test "; fi
typed=("$@") flags=()
while [ $# -gt 0 ]; do
  option=${1%%=*}
  if [ "$1" = --dry-run ]; then
    dry=yes
  elif [ "$1" = --help ] || [ "$1" = -h ]; then
    usage; exit
  elif [[ $option == --* && $own == *" ${option#--} "* ]]; then
    if [ "$option" != "$1" ]; then value=${1#*=}; else value=${2-}; shift $(($# > 1)); fi
    if [[ -z $value || $value == --* ]]; then refuse "$option needs a value, see $0 --help"; fi
    variable=${option#--}
    printf -v "${variable//-/_}" %s "$value"
  else
    flags+=("$1")
  fi
  shift
done
for value in "$stage" "$stop_stage"; do
  if [[ ! $value =~ ^[1-6]$ ]]; then refuse "--stage and --stop-stage are numbers from 1 to 6, not $value"; fi
done
for value in "$gpus" "$nodes"; do
  if [[ ! $value =~ ^[1-9][0-9]{0,4}$ ]]; then refuse "--gpus and --nodes are numbers from 1 on, not $value"; fi
done
stop=$stop_stage
if [ "$stage" -gt "$stop" ]; then refuse "--stage $stage is after --stop-stage $stop: nothing is to be done"; fi
if [ "$nodes" -gt 1 ] && [ -z "$rendezvous" ]; then
  refuse "--nodes $nodes needs --rendezvous HOST:PORT, an address of the first node"
fi
if [ ${#flags[@]} -gt 0 ] && [[ ${flags[0]} != -* ]]; then
  refuse "${flags[0]} belongs to no option: files of the corpus are given as --source ${flags[0]}"
fi
if [ "$from" != "$PWD" ]; then  # paths are those of the folder in which they were typed
  for variable in source valid test data exp; do
    value=${!variable}
    if [[ -n $value && $value != /* ]]; then printf -v "$variable" %s "$from/$value"; fi
  done
fi

text_name() {  # PATH: its name without what a file's kind adds; of .../mine/train.txt it is mine
  local file suffix
  file=$(basename "$1")
  for suffix in .gz .xz .bz2 .zip .tar .tgz .txt; do file=${file%"$suffix"}; done
  if [ "$file" = train ]; then file=$(basename "$(dirname "$(realpath -m "$1")")"); fi
  file=${file//[[:space:]:\$\{\}]/_}  # which fairseq would take for its own
  echo "${file:-text}"
}
if [ "$corpus" = text ]; then
  if [ -z "$source" ] && [ -n "$dry" ]; then source=TEXT; fi
  if [ -z "$source" ] && { [ -z "$data" ] || [ "$stage" -eq 1 ]; }; then
    refuse "give the text as --source PATH, or a data-bin made from it as --data FOLDER --stage 2"
  fi
  level=${level:-word}
  if [ "$level" = character ]; then cache=no; fi  # the next character seldom depends on which were seen lately
  data=${data:-data-bin/text/$(text_name "$source")-$level}
  exp=${exp:-exp/text/$(basename "$data")-$name}
fi
data=${data:-data-bin/$corpus} exp=${exp:-exp/$corpus/$name}
best="$exp/checkpoints/checkpoint_best.pt"
if [ -z "$dry" ]; then
  if ! command -v fairseq-train >/dev/null; then
    refuse "fairseq-train is not on the PATH: run make setup, or activate the environment that has it"
  fi
  if [ "$stage" -ge 2 ] && [ ! -f "${data%%:*}/dict.txt" ]; then
    refuse "$data holds no dict.txt: begin with --stage 1, or give --data"
  fi
  if [ "$stage" -ge 3 ] && [ ! -f "$best" ]; then
    refuse "there is no $best: begin with --stage 2, or give --exp"
  fi
  # What fairseq-train would not understand comes to light here, before the corpus is got.
  checked="$exp/.done/flags"
  if [ ${#flags[@]} -gt 0 ] && [ "$(cat "$checked" 2>/dev/null)" != "$arch ${flags[*]}" ]; then
    python -m recipes.check_flags "$0" "${own// / --}" --arch "$arch" "${flags[@]}"
    mkdir -p "$exp/.done"
    echo "$arch ${flags[*]}" >"$checked"
  fi
fi
cpu=()  # evaluation and training compute in the same place
for flag in "${flags[@]}"; do if [ "$flag" = --cpu ]; then cpu=(--cpu); fi; done

keep=(tee -a)  # the command that shows the output of a stage and appends it to a log
logged() {  # STAGE COMMAND...: what it says goes to exp/logs too
  local log="$exp/logs/$1.log"
  shift
  if [ -n "$dry" ]; then printf '%q ' "$@"; echo; return; fi
  mkdir -p "$exp/logs"
  echo "\$ $*"
  echo "\$ $*" >>"$log"
  "$@" 2>&1 | "${keep[@]}" "$log"
}

run() {  # STAGE INPUT COMMAND...: unless it was done with this INPUT
  local label=$1 done="$exp/.done/$1" input=$2 stamp=""
  shift 2
  if [ -z "$dry" ]; then
    if [ -n "$input" ]; then stamp=" $(stat -c '%n %y %s' "$input")"; fi
    if [ -f "$done" ] && [ "$(cat "$done")" = "$*$stamp" ]; then echo "done before: $*"; return; fi
    mkdir -p "$exp/.done"
  fi
  logged "$label" "$@"
  if [ -z "$dry" ]; then echo "$*$stamp" >"$done"; fi
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
  python -m recipes.environment "$exp/environment.json" "$from" "$0" "${typed[@]}"
fi
if [ "$stage" -le 1 ] && [ 1 -le "$stop" ]; then
  preprocess=(python -m "preprocess.$corpus" "$data")
  for variable in source level threshold vocab_size model_type valid test; do
    if [ -n "${!variable}" ]; then preprocess+=("--${variable//_/-}" "${!variable}"); fi
  done
  logged preprocess "${preprocess[@]}"  # which knows what was done, and from what
fi
folders=$data
if [ "$corpus" = gbw ] && [ -d "$data" ]; then
  folders=$(find "$data" -mindepth 1 -maxdepth 1 -type d -name '[0-9]*' | sort | paste -sd:)
fi
made="${data%%:*}/.complete"  # data made anew are trained on again
if [ ! -f "$made" ]; then made="${data%%:*}/dict.txt"; fi
if [ "$stage" -le 2 ] && [ 2 -le "$stop" ]; then train train "$made" "$exp/checkpoints"; fi
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
