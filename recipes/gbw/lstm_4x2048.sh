#!/usr/bin/env bash
# LSTM 4 x 2048 with noise-contrastive estimation on the Google Billion Words
# source: Leonard 2016, Torch blog
# published perplexity, valid / test:
#   trained  - / 40.61
arch=lstm_gbw_4x2048 finetune=no cache=no
dynamic=""
source "$(dirname "$(readlink -f "${BASH_SOURCE[0]}")")/../common.sh"
