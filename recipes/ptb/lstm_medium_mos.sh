#!/usr/bin/env bash
# medium LSTM with a mixture of 15 softmaxes on Penn Treebank
# source: Zhang 2018, MSc thesis, Edinburgh
# departure: every token is trained on, including those of a short last window, whose step has the full size;
#   the published code drops what does not fill all streams and windows
# published perplexity, valid / test:
#   trained  84.047 / 80.441
# note: 81.932 / 77.264 after 78 epochs with a different schedule, whose first stage was not published
arch=lstm_medium_mos finetune=no cache=yes
dynamic=""
source "$(dirname "$(readlink -f "${BASH_SOURCE[0]}")")/../common.sh"
