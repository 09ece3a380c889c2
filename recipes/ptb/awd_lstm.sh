#!/usr/bin/env bash
# AWD-LSTM on Penn Treebank
# source: Merity, Keskar and Socher 2017, arXiv:1708.02182; the README of awd-lstm-lm; dynamic evaluation:
#   Krause et al. 2018, arXiv:1709.07432
# published perplexity, valid / test:
#   trained               61.2 / 58.8
#   fine-tuned            58.8 / 56.5
#   fine-tuned + cache    53.2 / 52.5
#   fine-tuned + dynamic  51.6 / 51.1
arch=awd_lstm_ptb finetune=yes cache=yes
dynamic="--dynamic-evaluation rms --dynamic-lr 1e-4 --dynamic-decay 2e-3 --tokens-per-sample 5"
source "$(dirname "$(readlink -f "${BASH_SOURCE[0]}")")/../common.sh"
