#!/usr/bin/env bash
# QRNN with a tied adaptive softmax on WikiText-103
# source: Merity, Keskar and Socher 2018, arXiv:1803.08240; the README of awd-lstm-lm
# published perplexity, valid / test:
#   trained  32.0 / 33.0
arch=qrnn_wt103 finetune=no cache=yes
dynamic=""
source "$(dirname "$(readlink -f "${BASH_SOURCE[0]}")")/../common.sh"
