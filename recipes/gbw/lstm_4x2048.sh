#!/usr/bin/env bash
# LSTM 4 x 2048 with noise-contrastive estimation on the Google Billion Words
# source: Leonard 2016, Torch blog
# published perplexity, valid / test:
#   trained  - / 40.61
# note: the learning rate here is 0.4 of the published 0.7, with which training diverged on Penn Treebank; the
#   published model is that of their epoch 100, 6.4 epochs here, after 2 to 3 weeks on 4 GPUs with 12 GB each
arch=lstm_gbw_4x2048 finetune=no cache=no
dynamic=""
source "$(dirname "$(readlink -f "${BASH_SOURCE[0]}")")/../common.sh"
