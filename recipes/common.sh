# The code that all recipes share. A recipe sets these variables and sources this file:
#   arch      --arch; lm_plugins/architectures/ defines how it is trained
#   finetune  yes: a second training run from the best checkpoint
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
  --source PATH               local files of the corpus, instead of a download
  --data FOLDER               the data-bin                                ($default_data)
  --exp FOLDER                checkpoints, logs and results               ($default_exp)
  --gpus N                    processes on this node                      (1)
  --nodes N                   nodes; run this command line on each        (1)
  --rendezvous HOST:PORT      address of the first node, with --nodes
  --dry-run                   print the commands without running them
END
  if [ "$corpus" = text ]; then cat <<END
  --level L                   what a token is: word, character or sentencepiece   (word)
  --valid PATH, --test PATH   validation and test text                    (the last 10 %, half for each)
  --threshold N               words that occur fewer times become <unk>   (2)
  --vocab-size N              number of SentencePiece pieces              (8000, or what the text allows)
  --model-type M              SentencePiece model: unigram or bpe         (unigram)
END
  fi
  cat <<END
Write options as --option VALUE or --option=VALUE. A stage that was run with the same flags, data and model
is skipped. An interrupted training run is resumed, but not with different flags or data.
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
    case $option in
      --) refuse "-- is not an option: leave it out" ;;
      --save-dir) refuse "the recipe sets $option: give --exp FOLDER, which holds checkpoints/" ;;
      --arch | -a | --log-format) refuse "the recipe sets $option: leave it out" ;;
      --distributed-world-size) refuse "the recipe sets $option: give --gpus N" ;;
      --no-save) refuse "a recipe evaluates the checkpoint that it saves: leave out $option" ;;
    esac
    flags+=("$1")
  fi
  shift
done
for value in "$stage" "$stop_stage"; do
  [[ $value =~ ^[1-6]$ ]] || refuse "--stage and --stop-stage must be numbers from 1 to 6, not $value"
done
for value in "$gpus" "$nodes"; do
  [[ $value =~ ^[1-9][0-9]{0,4}$ ]] || refuse "--gpus and --nodes must be numbers from 1 to 99999, not $value"
done
stop=$stop_stage
if [ "$stage" -gt "$stop" ]; then refuse "--stage $stage is after --stop-stage $stop: nothing is left to do"; fi
if [ "$nodes" -gt 1 ] && [ -z "$rendezvous" ]; then
  refuse "--nodes $nodes needs --rendezvous HOST:PORT, an address of the first node"
fi
if [ ${#flags[@]} -gt 0 ] && [[ ${flags[0]} != -* ]]; then
  refuse "${flags[0]} does not belong to an option: give files of the corpus as --source ${flags[0]}"
fi
if [ "$from" != "$PWD" ]; then  # paths are relative to the folder in which they were typed
  for variable in source valid test exp; do
    value=${!variable}
    if [[ -n $value && $value != /* ]]; then printf -v "$variable" %s "$from/$value"; fi
  done
  IFS=: read -ra folders <<<"$data"
  for i in "${!folders[@]}"; do
    if [[ ${folders[i]} != /* ]]; then folders[i]=$from/${folders[i]}; fi
  done
  data=$(IFS=:; echo "${folders[*]-}")
fi

text_name() {  # PATH: its name without suffixes such as .txt.gz; for .../mine/train.txt, the name is mine
  local file suffix
  file=$(basename "$1")
  for suffix in .gz .xz .bz2 .zip .tar .tgz .txt; do file=${file%"$suffix"}; done
  if [ "$file" = train ]; then file=$(basename "$(dirname "$(realpath -m "$1")")"); fi
  file=${file//[[:space:]:\$\{\}]/_}  # characters that fairseq would interpret
  echo "${file:-text}"
}
if [ "$corpus" = text ]; then
  if [ -z "$source" ] && { [ -z "$data" ] || [ "$stage" -eq 1 ]; }; then
    if [ -n "$dry" ]; then
      source=TEXT
    else
      refuse "give the text as --source PATH, or a data-bin made from it as --data FOLDER --stage 2"
    fi
  fi
  if [ -z "$source" ]; then  # the data folder records the level that it was made with
    if [ -n "$threshold$vocab_size$model_type$valid$test" ]; then
      refuse "--threshold, --vocab-size, --model-type, --valid and --test need the text as --source PATH"
    fi
    recorded=$(sed -n 's/.*"level": *"\([a-z]*\)".*/\1/p' "$data/text.json" 2>/dev/null || true)
    if [ -n "$level" ] && [ "$level" != "${recorded:-$level}" ]; then
      refuse "$data has the level $recorded, not $level: leave out --level"
    fi
    level=${recorded:-$level}
  fi
  level=${level:-word}
  if [ "$level" = character ]; then cache=no; fi  # a cache of recent characters hardly predicts the next one
  data=${data:-data-bin/text/$(text_name "$source")-$level}
  exp=${exp:-exp/text/$(basename "$data")-$name}
fi
data=${data:-data-bin/$corpus} exp=${exp:-exp/$corpus/$name}
case $exp in *:* | *'${'*)
  refuse "--exp $exp contains a colon or \${, which fairseq would interpret: give another folder" ;;
esac
best="$exp/checkpoints/checkpoint_best.pt"
if [ -z "$dry" ]; then
  if ! command -v fairseq-train >/dev/null; then
    refuse "fairseq-train is not on the PATH: run make setup, or activate the environment that contains it"
  fi
  if [ "$stage" -ge 2 ] && [ ! -f "${data%%:*}/dict.txt" ]; then
    refuse "$data holds no dict.txt: begin with --stage 1, or give --data"
  fi
  if [ "$stage" -ge 2 ] && [ -f "${data%%:*}/.inputs" ] && [ ! -f "${data%%:*}/.complete" ]; then
    refuse "$data is incomplete, because its preprocessing was interrupted: begin with --stage 1"
  fi
  if [ "$stage" -ge 3 ] && [ ! -f "$best" ]; then
    refuse "there is no $best: begin with --stage 2, or give --exp"
  fi
fi

plan=(--name="$0" --own="${own// / --}" --folder="$from" --corpus="$corpus" --arch="$arch" --data="$data"
  --exp="$exp" --stage="$stage" --stop-stage="$stop" --gpus="$gpus" --nodes="$nodes")
if [ -n "$rendezvous" ]; then plan+=(--rendezvous="$rendezvous"); fi
if [ "$finetune" = yes ]; then plan+=(--finetune); fi
if [ "$cache" = yes ]; then plan+=(--cache); fi
if [ -n "$dynamic" ]; then plan+=(--dynamic="$dynamic"); fi
if [ -n "$dry" ]; then plan+=(--dry-run); fi
preprocess=()
for variable in source level threshold vocab_size model_type valid test; do
  if [ -n "$source" ] && [ -n "${!variable}" ]; then preprocess+=("--${variable//_/-}" "${!variable}"); fi
done
# exec replaces this shell by the process that runs the stages, so that signals reach them.
exec python -m recipes.run "${plan[@]}" -- "${preprocess[@]}" -- "${flags[@]}" -- "$0" "${typed[@]}"
