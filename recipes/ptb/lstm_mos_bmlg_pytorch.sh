#!/usr/bin/env bash
# lstm_mos_bmlg as trained in PyTorch, where the loss is averaged over all tokens
# source: Zhang 2018, MSc thesis, Edinburgh
# departure: every token is trained on, including those of a short last window, whose step has the full size;
#   the published code drops what does not fill all streams and windows
# published perplexity, valid / test:
#   trained  78.943 / -
# note: the thesis's PyTorch code
arch=lstm_mos_bmlg_pytorch finetune=no cache=yes
dynamic=""
source "$(dirname "$(readlink -f "${BASH_SOURCE[0]}")")/../common.sh"
