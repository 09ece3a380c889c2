#!/usr/bin/env bash
# LSTM 3 x 1024 on WikiText-103
# source: OpenSeq2Seq, its documentation and lstm-wkt103-mixed
# published perplexity, valid / test:
#   trained  48.6 / -
# note: on the validation text, for a model with layer normalisation whose state starts from zeros in each
#   window of 96 tokens
arch=lstm_wt103 finetune=no cache=yes
dynamic=""
source "$(dirname "$(readlink -f "${BASH_SOURCE[0]}")")/../common.sh"
