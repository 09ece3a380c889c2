#!/usr/bin/env bash
# AWD-LSTM on WikiText-2
# source: Merity, Keskar and Socher 2017, arXiv:1708.02182; the README of awd-lstm-lm; dynamic evaluation:
#   Krause et al. 2018, arXiv:1709.07432
# published perplexity, valid / test:
#   trained               68.7 / 65.6
#   fine-tuned            67.4 / 64.7
#   fine-tuned + cache    52.2 / 50.6
#   fine-tuned + dynamic  46.4 / 44.3
arch=awd_lstm_wt2 finetune=yes cache=yes
dynamic="--dynamic-evaluation rms --dynamic-lr 1e-4 --dynamic-decay 2e-3 --tokens-per-sample 5"
source "$(dirname "$(readlink -f "${BASH_SOURCE[0]}")")/../common.sh"
