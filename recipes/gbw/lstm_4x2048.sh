#!/usr/bin/env bash
# LSTM 4 x 2048 with noise contrastive estimation on the Google Billion Words
# source: Leonard 2016, Torch blog
# published: test 40.61
corpus=gbw name=lstm_4x2048 arch=lstm_gbw_4x2048
finetune=no cache=no
dynamic=""
source "$(dirname "$(readlink -f "${BASH_SOURCE[0]}")")/../common.sh"
