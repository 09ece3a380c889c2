#!/usr/bin/env bash
# the model of lstm_mos_bm, trained with a larger learning rate and strict clipping
# source: Zhang 2018, MSc thesis, Edinburgh
# departure: every token is trained on, including those of a short last window, whose step has the full size;
#   the published code drops what does not fill all streams and windows
# published perplexity, valid / test:
#   trained  79.440 / -
# note: the thesis's TensorFlow code
arch=lstm_mos_bmlg finetune=no cache=yes
dynamic=""
source "$(dirname "$(readlink -f "${BASH_SOURCE[0]}")")/../common.sh"
