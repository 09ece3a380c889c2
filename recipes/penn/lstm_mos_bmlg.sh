#!/usr/bin/env bash
# the same as lstm_mos_bm, trained with a larger gradient
# source: Zhang 2018, MSc thesis, Edinburgh
# published: valid 78.94
corpus=penn name=lstm_mos_bmlg arch=lstm_mos_bmlg
finetune=no cache=yes
dynamic=""
source "$(dirname "$(readlink -f "${BASH_SOURCE[0]}")")/../common.sh"
