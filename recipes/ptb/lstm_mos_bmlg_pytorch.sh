#!/usr/bin/env bash
# lstm_mos_bmlg as in PyTorch, where the loss is averaged over all tokens
# source: Zhang 2018, MSc thesis, Edinburgh
# published perplexity, valid / test:
#   trained  78.943 / -
# note: the thesis's PyTorch code
arch=lstm_mos_bmlg_pytorch finetune=no cache=yes
dynamic=""
source "$(dirname "$(readlink -f "${BASH_SOURCE[0]}")")/../common.sh"
