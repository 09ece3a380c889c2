#!/usr/bin/env bash
# 3 x 900 LSTM with a mixture of 5 softmaxes on Penn Treebank
# source: Zhang 2018, MSc thesis, Edinburgh
# published: valid 77.98 test 73.90
corpus=penn name=lstm_mos_bm arch=lstm_mos_bm
finetune=no cache=yes
dynamic=""
source "$(dirname "$(readlink -f "${BASH_SOURCE[0]}")")/../common.sh"
