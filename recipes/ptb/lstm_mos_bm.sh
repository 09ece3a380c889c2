#!/usr/bin/env bash
# 3 x 900 LSTM with a mixture of 5 softmaxes on Penn Treebank
# source: Zhang 2018, MSc thesis, Edinburgh
# departure: every token is trained on, including those of a short last window, whose step has the full size;
#   the published code drops what does not fill all streams and windows
# published perplexity, valid / test:
#   trained  77.98 / 73.90
arch=lstm_mos_bm finetune=no cache=yes
dynamic=""
source "$(dirname "$(readlink -f "${BASH_SOURCE[0]}")")/../common.sh"
