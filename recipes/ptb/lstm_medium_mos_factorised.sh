#!/usr/bin/env bash
# medium LSTM with a mixture of 10 softmaxes and an output matrix of rank 256 on Penn Treebank
# source: Zhang 2018, MSc thesis, Edinburgh
# published perplexity, valid / test:
#   trained  89.882 / 86.005
arch=lstm_medium_mos_factorised finetune=no cache=yes
dynamic=""
source "$(dirname "$(readlink -f "${BASH_SOURCE[0]}")")/../common.sh"
