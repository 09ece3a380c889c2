#!/usr/bin/env bash
# medium LSTM with a mixture of 10 softmaxes and tied embeddings on Penn Treebank
# source: Zhang 2018, MSc thesis, Edinburgh
# published perplexity, valid / test:
#   trained  80.336 / 77.072
arch=lstm_medium_mos_tied finetune=no cache=yes
dynamic=""
source "$(dirname "$(readlink -f "${BASH_SOURCE[0]}")")/../common.sh"
