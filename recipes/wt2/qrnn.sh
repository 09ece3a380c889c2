#!/usr/bin/env bash
# AWD-QRNN on WikiText-2
# source: Merity, Keskar and Socher 2018, arXiv:1803.08240; the README of awd-lstm-lm; dynamic evaluation:
#   Krause et al. 2018, arXiv:1709.07432
# departure: windows are at most 20 tokens longer than the mean; main.py has no limit (3 draws in 100,000
#   would exceed this one)
# departure: validation during training reads as many streams as training; the published code reads 10
# published perplexity, valid / test:
#   trained               69.3 / 66.8
#   fine-tuned            68.5 / 65.9
#   fine-tuned + cache    53.6 / 52.1
#   fine-tuned + dynamic  45.9 / 44.0
arch=qrnn_wt2 finetune=yes cache=yes
dynamic="--dynamic-evaluation rms --dynamic-lr 1.2e-4 --dynamic-decay 8e-3 --dynamic-epsilon 2e-5 --dynamic-batches 0 --tokens-per-sample 20"
source "$(dirname "$(readlink -f "${BASH_SOURCE[0]}")")/../common.sh"
