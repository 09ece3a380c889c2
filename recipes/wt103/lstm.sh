#!/usr/bin/env bash
# LSTM 3 x 1024 on WikiText-103
# source: OpenSeq2Seq, its documentation and lstm-wkt103-mixed
# published perplexity, valid / test:
#   trained  48.6 / -
# note: on the validation text, each window of 96 tokens scored from a zero state, in the tokens of
#   OpenSeq2Seq, after 72 hours on 4 GPUs (51 after 36 hours); the recipe's evaluations carry the state, and
#   fairseq-eval-lm --independent-windows --tokens-per-sample 96 scores as published
arch=lstm_wt103 finetune=no cache=yes
dynamic=""
source "$(dirname "$(readlink -f "${BASH_SOURCE[0]}")")/../common.sh"
