#!/usr/bin/env bash
# medium LSTM with a mixture of 10 softmaxes and tied embeddings on Penn Treebank
# source: Zhang 2018, MSc thesis, Edinburgh
# departure: every token is trained on, including those of a short last window, whose step has the full size;
#   the published code drops what does not fill all streams and windows
# published perplexity, valid / test:
#   trained  80.336 / 77.072
# note: the thesis does not say how many softmaxes this model has; with 10, it has the number of parameters
#   given in table 7.2
arch=lstm_medium_mos_tied finetune=no cache=yes
dynamic=""
source "$(dirname "$(readlink -f "${BASH_SOURCE[0]}")")/../common.sh"
