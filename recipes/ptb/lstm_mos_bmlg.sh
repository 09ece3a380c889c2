#!/usr/bin/env bash
# the model of lstm_mos_bm, trained with a larger gradient
# source: Zhang 2018, MSc thesis, Edinburgh
# published perplexity, valid / test:
#   trained  78.94 / -
# note: the thesis's PyTorch code; its TensorFlow code, whose flags these are, reached 79.44
arch=lstm_mos_bmlg finetune=no cache=yes
dynamic=""
source "$(dirname "$(readlink -f "${BASH_SOURCE[0]}")")/../common.sh"
