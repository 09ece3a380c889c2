#!/usr/bin/env bash
# AWD-LSTM with a mixture of 15 softmaxes on Penn Treebank
# source: Yang et al. 2018, arXiv:1711.03953
# published: valid 58.08 test 55.97 | finetuned valid 56.54 test 54.44 | dynamic valid 48.33 test 47.69
corpus=penn name=awd_lstm_mos arch=awd_lstm_mos_ptb
finetune=yes cache=yes
dynamic="--dynamic-evaluation rms --dynamic-lr 1e-4 --dynamic-decay 2e-3 --tokens-per-sample 5"
source "$(dirname "$(readlink -f "${BASH_SOURCE[0]}")")/../common.sh"
