#!/usr/bin/env bash
# AWD-LSTM on Penn Treebank
# source: Merity, Keskar and Socher 2017, arXiv:1708.02182; the README of awd-lstm-lm; dynamic evaluation:
#   Krause et al. 2018, arXiv:1709.07432
# departure: windows are at most 20 tokens longer than the mean; main.py has no limit (3 draws in 100,000
#   would exceed this one)
# departure: validation during training reads as many streams as training; the published code reads 10
# published perplexity, valid / test:
#   trained               61.2 / 58.8
#   fine-tuned            58.8 / 56.5
#   fine-tuned + cache    53.2 / 52.5
#   fine-tuned + dynamic  51.6 / 51.1
arch=awd_lstm_ptb finetune=yes cache=yes
dynamic="--dynamic-evaluation rms --dynamic-lr 4.64e-5 --dynamic-decay 1.43e-3 --dynamic-epsilon 2.3e-5 --dynamic-batches 0 --tokens-per-sample 5"
source "$(dirname "$(readlink -f "${BASH_SOURCE[0]}")")/../common.sh"
