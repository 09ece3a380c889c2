#!/usr/bin/env bash
# QRNN with a tied adaptive softmax on WikiText-103
# source: Merity, Keskar and Socher 2018, arXiv:1803.08240; the README of awd-lstm-lm
# departure: windows are at most 20 tokens longer than the mean; main.py has no limit (3 draws in 100,000
#   would exceed this one)
# departure: validation during training reads as many streams as training; the published code reads 10
# published perplexity, valid / test:
#   trained  32.0 / 33.0
arch=qrnn_wt103 finetune=no cache=yes
dynamic=""
source "$(dirname "$(readlink -f "${BASH_SOURCE[0]}")")/../common.sh"
