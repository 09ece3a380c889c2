#!/usr/bin/env bash
# AWD-QRNN on WikiText-2
# source: Merity, Keskar and Socher 2018, arXiv:1803.08240; the README of awd-lstm-lm; dynamic: Krause et al. 2018, arXiv:1709.07432
# published: valid 69.3 test 66.8 | finetuned valid 68.5 test 65.9 | cache valid 53.6 test 52.1 | dynamic valid 45.9 test 44.0
corpus=wikitext2 name=qrnn arch=qrnn_wt2
finetune=yes cache=yes
dynamic="--dynamic-evaluation rms --dynamic-lr 1e-4 --dynamic-decay 2e-3 --tokens-per-sample 5"
source "$(dirname "$(readlink -f "${BASH_SOURCE[0]}")")/../common.sh"
