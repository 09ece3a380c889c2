#!/usr/bin/env bash
# AWD-QRNN on Penn Treebank
# source: Merity, Keskar and Socher 2018, arXiv:1803.08240; the README of awd-lstm-lm; dynamic: Krause et al. 2018, arXiv:1709.07432
# published: valid 60.6 test 58.3 | finetuned valid 59.1 test 56.7 | cache valid 53.4 test 52.6 | dynamic valid 51.4 test 50.5
corpus=penn name=qrnn arch=qrnn_ptb
finetune=yes cache=yes
dynamic="--dynamic-evaluation rms --dynamic-lr 1e-4 --dynamic-decay 2e-3 --tokens-per-sample 5"
source "$(dirname "$(readlink -f "${BASH_SOURCE[0]}")")/../common.sh"
