#!/usr/bin/env bash
# lstm_mos_bmlg_pytorch with a tuned clipping norm, in 45 epochs
# source: Zhang 2018, MSc thesis, Edinburgh
# departure: every token is trained on, including those of a short last window, whose step has the full size;
#   the published code drops what does not fill all streams and windows
# published perplexity, valid / test:
#   trained  78.535 / -
# note: the thesis's PyTorch code; the thesis prints the norm as 2.5, read here as 0.25
arch=lstm_mos_bmlg_tuned finetune=no cache=yes
dynamic=""
source "$(dirname "$(readlink -f "${BASH_SOURCE[0]}")")/../common.sh"
