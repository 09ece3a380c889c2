#!/usr/bin/env bash
# AWD-LSTM on WikiText-2
# source: Merity, Keskar and Socher 2017, arXiv:1708.02182; the README of awd-lstm-lm; dynamic evaluation:
#   Krause et al. 2018, arXiv:1709.07432
# departure: windows are at most 20 tokens longer than the mean; main.py has no limit (3 draws in 100,000
#   would exceed this one)
# departure: validation during training reads as many streams as training; the published code reads 10
# published perplexity, valid / test:
#   trained               68.7 / 65.6
#   fine-tuned            67.4 / 64.7
#   fine-tuned + cache    52.2 / 50.6
#   fine-tuned + dynamic  46.4 / 44.3
arch=awd_lstm_wt2 finetune=yes cache=yes
dynamic="--dynamic-evaluation rms --dynamic-lr 3.09e-5 --dynamic-decay 1.43e-3 --dynamic-epsilon 1.55e-5 --dynamic-batches 0 --tokens-per-sample 5"
source "$(dirname "$(readlink -f "${BASH_SOURCE[0]}")")/../common.sh"
