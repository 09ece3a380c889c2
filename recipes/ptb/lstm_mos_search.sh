#!/usr/bin/env bash
# 3 x 900 LSTM with a mixture of 14 softmaxes on Penn Treebank, found by random search
# source: Zhang 2018, MSc thesis, Edinburgh
# departure: every token is trained on, including those of a short last window, whose step has the full size;
#   the published code drops what does not fill all streams and windows
# published perplexity, valid / test:
#   trained  78.618 / 73.565
arch=lstm_mos_search finetune=no cache=yes
dynamic=""
source "$(dirname "$(readlink -f "${BASH_SOURCE[0]}")")/../common.sh"
