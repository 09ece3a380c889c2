#!/usr/bin/env bash
# AWD-LSTM with a mixture of 15 softmaxes on Penn Treebank
# source: Yang et al. 2018, arXiv:1711.03953; the README of mos
# departure: validation during training reads as many streams as training; the published code reads 10
# published perplexity, valid / test:
#   trained               58.08 / 55.97
#   fine-tuned            56.54 / 54.44
#   fine-tuned + dynamic  48.33 / 47.69
arch=awd_lstm_mos_ptb finetune=yes cache=yes
dynamic="--dynamic-evaluation rms --dynamic-lr 4.64e-5 --dynamic-decay 4.4e-3 --dynamic-epsilon 2.3e-5 --dynamic-batches 0 --tokens-per-sample 5"
source "$(dirname "$(readlink -f "${BASH_SOURCE[0]}")")/../common.sh"
