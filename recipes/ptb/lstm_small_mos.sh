#!/usr/bin/env bash
# small LSTM with a mixture of 15 softmaxes on Penn Treebank
# source: Zhang 2018, MSc thesis, Edinburgh
# departure: every token is trained on, including those of a short last window, whose step has the full size;
#   the published code drops what does not fill all streams and windows
# published perplexity, valid / test:
#   trained  127.718 / 121.748
arch=lstm_small_mos finetune=no cache=yes
dynamic=""
source "$(dirname "$(readlink -f "${BASH_SOURCE[0]}")")/../common.sh"
