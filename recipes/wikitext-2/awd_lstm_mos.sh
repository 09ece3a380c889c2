#!/usr/bin/env bash
# AWD-LSTM with a mixture of 15 softmaxes on WikiText-2
# source: Yang et al. 2018, arXiv:1711.03953
# published: valid 66.01 test 63.33 | finetuned valid 63.88 test 61.45 | dynamic valid 42.41 test 40.68
corpus=wikitext2 name=awd_lstm_mos arch=awd_lstm_mos_wt2
finetune=yes cache=yes
dynamic="--dynamic-evaluation rms --dynamic-lr 1e-4 --dynamic-decay 2e-3 --tokens-per-sample 5"
source "$(dirname "$(readlink -f "${BASH_SOURCE[0]}")")/../common.sh"
